"""Which sections are stale after a change: exactly those that it decides, and what reads them."""

import dataclasses
import json
from copy import deepcopy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.config import plain
from mixpo.files import RunFiles
from mixpo.fingerprints import named_files, named_models, save
from mixpo.pipeline import planned
from mixpo.recipe import load_recipe
from mixpo.status import State, statuses

QUESTIONS = {"sources": {"s": {"loader": "scenes", "count": 4}}}
EVALUATE = {"benchmarks": {"scenes": {"loader": "scenes", "count": 4}}, "styles": ["cot"]}
CHANGES = {
    "questions": [("sources.s.count", 5), ("seed", 3)],
    "sample": [
        ("temperature", 0.5),
        ("n", 3),
        ("backend.dtype", "bfloat16"),
        ("style", "direct"),
        ("images.max_pixels", 900),
    ],
    "dropout": [("ratio", 0.25), ("max_new_tokens", 7)],
    "verify": [("thoughts", ["<reflection>"])],
    "pair": [("max_pairs", 2), ("difficulty", [0.1, 0.9]), ("seed", 4)],
    "relabel": [],
    "demonstrations": [("describe", 0.5)],
    "train": [
        ("learning_rate", 2e-6),
        ("objective.beta", 0.3),
        ("lora", {"r": 4}),
        ("epochs", 2),
        ("batch", 32),
        ("trainer.optim", "sgd"),
        ("precision", "float32"),
        ("optimizer", "adafactor"),
        ("freeze", ["vision"]),
        ("lora", {"target_modules": ["q_proj", "v_proj"]}),
    ],
    "evaluate": [("max_new_tokens", 9), ("benchmarks.scenes.count", 5)],
}
"""Field -> another value than it has; each decides the section's content."""
RUNTIME = {
    "questions": [("images.fps", 4.0), ("images.max_pixels", 900)],
    "sample": [
        ("images.fps", 4.0),
        ("images.max_frames", 8),
        ("backend.token_budget", 99),
        ("backend.cuda_graphs", False),
        ("backend.device", "cpu"),
        ("backend.canaries", False),
    ],
    "verify": [("workers", 1), ("time_limit", 9.0)],
    "train": [
        ("micro_batch", 4),
        ("row_tokens", 5),
        ("save_steps", 7),
        ("layout", "paired"),
        ("reference", "cached"),
        ("trainer.gradient_checkpointing", True),
        ("gradient_checkpointing", True),
        ("attention", "eager"),
        ("shard", "fsdp2"),
        ("workers", 3),
    ],
    "evaluate": [("images.fps", 4.0), ("compare", "first"), ("backend.token_budget", 99)],
    "report": [("pairs_shown", 5)],
}
"""Those that only say how it is computed or shown."""
READS = {
    "questions": {},
    "demonstrations": {"questions": "questions"},
    "sample": {"questions": "questions", "model": "train"},
    "dropout": {"responses": "sample", "questions": "questions"},
    "verify": {"responses": "sample", "questions": "questions"},
    "pair": {"verdicts": "verify", "responses": "sample", "questions": "questions"},
    "train": {"pairs": "pair", "questions": "questions", "model": "train"},
    "evaluate": {"models": "train"},
}
"""Step -> field -> the step whose section it names."""


@st.composite
def recipes(draw):
    """Sections in a random order that can run, each reading any of those before it; and who reads whom."""
    steps, read = {}, {}
    of = {step: [] for step in READS}
    for number in range(draw(st.integers(3, 12))):
        able = [step for step, fields in READS.items() if all(of[s] for f, s in fields.items() if f[:5] != "model")]
        step = draw(st.sampled_from(able))
        name = f"{step}{number}"
        values, named = {"uses": step}, set()
        for field, other in READS[step].items():
            chosen = (
                draw(st.sampled_from(of[other] or [None])) if field[:5] == "model" else draw(st.sampled_from(of[other]))
            )
            if field == "models":
                values["models"] = {"base": "base", **({"mpo": f"step:{chosen}"} if chosen else {})}
            elif field == "model":
                values["model"] = f"step:{chosen}" if chosen else "base"
            else:
                values[field] = chosen
            named |= {chosen} if chosen else set()
        if step == "pair":
            values["continuations"] = draw(st.sampled_from(["", *of["dropout"]]))
            named |= {values["continuations"]} - {""}
        steps[name] = {**values, **deepcopy({"questions": QUESTIONS, "evaluate": EVALUATE}.get(step, {}))}
        read[name] = named
        of[step].append(name)
    return steps, read


def changed(steps, name, field, value):
    copy = deepcopy(steps)
    place = copy[name]
    *parents, last = field.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return copy


def states(steps, folder, **shared):
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump({"run": str(folder / "run"), **shared, "steps": steps}, sort_keys=False))
    recipe, configs = planned(load_recipe(path))
    return statuses(recipe, configs, RunFiles(recipe.run))


def finished(steps, folder):
    """As after a run: every section has its fingerprint."""
    files = RunFiles(folder / "run")
    for name, status in states(steps, folder).items():
        save(name, dataclasses.replace(status.now, finished=True), files)


@pytest.mark.parametrize(
    ("images", "changed"),
    [
        ({"fps": 4}, {"rows", "evaluate", "verify", "sample"}),
        ({"max_frames": 8}, {"rows", "evaluate", "verify", "sample"}),
        ({"max_pixels": 900}, {"evaluate", "verify", "sample"}),
    ],
)
def test_what_the_recipe_says_of_videos_and_pictures_makes_anew_what_looks_at_them(tmp_path, images, changed):
    """Frames are taken of files whose sources do not say which; what models see of pictures is no matter of these."""
    (tmp_path / "q.jsonl").write_text('{"text": "?", "answer": "1"}\n')
    rows = {"loader": "file", "path": str(tmp_path / "q.jsonl")}
    own = {"uses": "questions", "sources": {"s": {**rows, "images": {"fps": 1}}}}
    steps = {
        "rows": {"uses": "questions", "sources": {"s": rows}}, "own": own,
        "drawn": {"uses": "questions", **QUESTIONS},
        "sample": {"questions": "rows"}, "verify": {"questions": "rows"},
        "evaluate": {"models": {"a": "base"}, "benchmarks": {"b": rows}, "styles": ["cot"]},
        "shown": {"uses": "evaluate", "models": {"a": "base"}, **EVALUATE},
    }  # fmt: skip
    finished(steps, tmp_path)
    shown = {"shown"} if "max_pixels" in images else set()
    assert stale(states(steps, tmp_path, images=images)) == changed | shown
    assert not stale(states(steps, tmp_path, images={"fps": 2.0, "max_frames": 32}))  # the defaults


def stale(found):
    return {name for name, status in found.items() if status.state is State.STALE}


@settings(max_examples=60)
@given(st.data())
def test_exactly_what_depends_on_a_change_is_stale(tmp_path_factory, data):
    steps, read = data.draw(recipes())
    folder = tmp_path_factory.mktemp("run")
    finished(steps, folder)
    assert {status.state for status in states(steps, folder).values()} == {State.DONE}
    name = data.draw(st.sampled_from(list(steps)))
    free = RUNTIME.get(steps[name]["uses"], [])
    if free:
        field, value = data.draw(st.sampled_from(free))
        assert not stale(states(changed(steps, name, field, value), folder)), field
    deciding = CHANGES[steps[name]["uses"]]
    field, value = data.draw(st.sampled_from(deciding))
    after = states(changed(steps, name, field, value), folder)
    expected = {name}
    for other in steps:
        if read[other] & expected:
            expected.add(other)
    assert stale(after) == expected
    assert after[name].reasons[0].startswith(f"{field} was ")
    # What reads a changed section says which; made anew alone, the rest is stale until it is, too.
    save(name, dataclasses.replace(after[name].now, finished=True), RunFiles(folder / "run"))
    assert stale(states(changed(steps, name, field, value), folder)) == expected - {name}


def test_a_users_file_with_other_content_is_said_and_a_touched_one_is_not(tmp_path):
    data = tmp_path / "mine.jsonl"
    data.write_text('{"id": "a", "text": "2 + 2?", "answer": "5"}\n')
    steps = {"questions": {"sources": {"mine": {"loader": "jsonl", "path": str(data)}}}, "sample": {}, "verify": {}}
    finished(steps, tmp_path)
    data.write_text('{"id": "a", "text": "2 + 2?", "answer": "5"}\n')
    assert not stale(states(steps, tmp_path))
    data.write_text('{"id": "a", "text": "2 + 2?", "answer": "4"}\n')
    found = states(steps, tmp_path)
    assert stale(found) == {"questions", "sample", "verify"}
    assert found["questions"].reasons == [f"{data} has changed"]
    assert found["verify"].reasons == ["sample is made anew", "questions is made anew"]
    data.unlink()
    assert not stale(states(steps, tmp_path))  # nothing to compare with: the step itself says what it misses


def test_a_model_folder_with_other_weights_is_said(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"a" * 5_000_000)
    steps = {"questions": QUESTIONS, "sample": {"model": str(model)}, "verify": {}}
    finished(steps, tmp_path)
    (model / "model.safetensors").write_bytes(b"a" * 4_999_999 + b"b")
    assert stale(states(steps, tmp_path)) == {"sample", "verify"}


def test_an_evaluation_may_grow(tmp_path):
    def steps(models, benchmarks, styles):
        return {"evaluate": {"models": models, "benchmarks": benchmarks, "styles": styles}}

    one = {"scenes": {"loader": "scenes", "count": 4}}
    two = {**one, "more": {"loader": "scenes", "count": 2}}
    finished(steps({"base": "base"}, one, ["cot"]), tmp_path)
    assert states(steps({"base": "base"}, one, ["cot"]), tmp_path)["evaluate"].state is State.DONE
    grown = states(steps({"base": "base", "other": "elsewhere/model"}, two, ["cot", "direct"]), tmp_path)
    assert grown["evaluate"].state is State.PARTLY
    assert stale(states(steps({"base": "elsewhere/model"}, one, ["cot"]), tmp_path)) == {"evaluate"}
    # A model that a new section is about to train is asked when it is there.
    train = {"import": {"format": "trl", "path": "p.jsonl"}, "train": {}}
    found = states(train | steps({"base": "base", "mpo": "step:train"}, one, ["cot"]), tmp_path)
    assert found["evaluate"].state is State.PARTLY
    other = {"scenes": {"loader": "scenes", "count": 5}}
    found = states(steps({"base": "base"}, other, ["cot"]), tmp_path)
    assert found["evaluate"].reasons == ["benchmarks.scenes.count was 4 and is now 5"]


def test_prompts_of_an_evaluation_grow_by_their_names(tmp_path):
    def steps(*styles):
        return {"evaluate": {"models": {"base": "base"}, **EVALUATE, "styles": list(styles)}}

    own, other = {"template": "{question} Think."}, {"template": "{question}", "name": "short"}
    finished(steps("cot", own), tmp_path)
    assert states(steps("cot", own), tmp_path)["evaluate"].state is State.DONE
    assert states(steps(own), tmp_path)["evaluate"].state is State.DONE
    assert states(steps("cot", own, other), tmp_path)["evaluate"].state is State.PARTLY
    found = states(steps("cot", {"template": "{question} Look."}), tmp_path)["evaluate"]
    assert found.reasons == ["styles.own.template was '{question} Think.' and is now '{question} Look.'"]


def test_a_folder_of_an_older_version_is_read_with_missing_fields_at_their_defaults(tmp_path):
    """Its recipe lacks a field, and has one that is gone; it has no fingerprints."""
    steps = {"questions": QUESTIONS, "sample": {"n": 2}, "verify": {}}
    finished(steps, tmp_path)
    run = tmp_path / "run"
    _, configs = planned(load_recipe(tmp_path / "r.yaml"))
    saved = {name: {"uses": name, **plain(config)} for name, config in configs.items()}
    del saved["sample"]["logps"], saved["sample"]["backend"]["canaries"], saved["verify"]["thoughts"]
    saved["sample"]["gone"] = 3
    (run / "recipe.yaml").write_text(yaml.safe_dump({"name": "old", "run": str(run), "steps": saved}))
    for name in steps:
        RunFiles(run).fingerprint(name).unlink()
    (run / "responses" / "sample").mkdir(parents=True)
    (run / "questions" / "questions").mkdir(parents=True)
    (run / "timings").mkdir()
    (run / "timings" / "questions.json").write_text('{"seconds": 1, "runs": 1}')
    found = states(steps, tmp_path)
    assert [status.state for status in found.values()] == [State.DONE, State.PARTLY, State.MISSING]
    found = states({**steps, "sample": {"n": 3}}, tmp_path)
    assert found["sample"].reasons == ["n was 2 and is now 3"]


def test_a_newer_version_with_one_more_field_changes_nothing(tmp_path):
    """The saved values lack it; what reads the section compares the digest that it keeps."""
    steps = {"questions": QUESTIONS, "sample": {"n": 2}, "verify": {}}
    finished(steps, tmp_path)
    files = RunFiles(tmp_path / "run")
    path = files.fingerprint("sample")
    saved = json.loads(path.read_text())
    del saved["values"]["logps"]
    path.write_text(json.dumps(saved))
    found = states(steps, tmp_path)
    assert not stale(found)
    assert found["sample"].now.digest == saved["digest"]
    assert found["sample"].now.values["logps"] is False


def test_a_newer_version_with_a_list_in_place_of_one_text_changes_nothing(tmp_path):
    train = {"batch": 1, "micro_batch": 1, "lora": {}}
    steps = {"questions": QUESTIONS, "sample": {"n": 2}, "verify": {}, "pair": {}, "train": train}
    finished(steps, tmp_path)
    path = RunFiles(tmp_path / "run").fingerprint("train")
    saved = json.loads(path.read_text())
    saved["values"]["lora"]["target_modules"] = "all-linear"
    path.write_text(json.dumps(saved))
    assert not stale(states(steps, tmp_path))
    other = {**steps, "train": {**train, "lora": {"target_modules": ["all-linears"]}}}
    assert stale(states(other, tmp_path)) == {"train"}


def test_a_model_elsewhere_is_a_name_and_no_path_of_this_machine():
    """A server, a judge, a reward model: what they call a model may well begin with a slash."""
    here = {"model": "/models/a", "models": {"b": "./b", "c": "step:train", "d": "owner/name", "e": "base"}}
    assert dict(named_models(here)) == {"model": "/models/a", "models.b": "./b", "models.d": "owner/name"}
    assert not dict(named_models({**here, "backend": {"name": "openai_server"}}))
    judged = {"model": "base", "llm_judge": {"model": "/models/judge"}, "backend": {"server": {"model": "/models/x"}}}
    assert not dict(named_models(judged))
    values = {"sources": {"a": {"loader": "jsonl", "path": "a.jsonl"}, "h": {"loader": "huggingface", "path": "o/n"}}}
    foreign = {
        "trainer": {"fsdp_config": {"path": "x"}},
        "backend": {"script": "s.jsonl", "vllm": {"extra": {"path": "y"}}},
    }
    assert dict(named_files(values | foreign)) == {"sources.a.path": "a.jsonl", "backend.script": "s.jsonl"}
