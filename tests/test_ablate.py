"""Studies: how they are written out, what their table says, and one small study for real."""

import json
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import yaml

from mixpo.ablate import Study, ablate, expand, load_study
from mixpo.config import build
from mixpo.errors import RecipeError
from mixpo.evaluation.ablation import ACCURACY, Plan, scored, summarise
from mixpo.evaluation.scores import Answers, BenchmarkQuestions, numbered_answers
from mixpo.files import RunFiles
from mixpo.records import Outcome, Question, Verdict
from mixpo.references import references
from mixpo.report.ablation import write

RECIPES = Path(__file__).parent.parent / "recipes"
STUDY = {
    "seeds": [0, 1],
    "data": {"questions": {}, "sample": {"n": 2}, "verify": {}, "few": {"uses": "pair", "max_pairs": 1}},
    "train": {"pairs": "few", "objective": {"beta": 0.2}},
    "variants": {"mpo": {}, "sft": {"objective": {"preference_weight": 0.0}}},
    "evaluate": {"benchmarks": {"scenes": {"loader": "scenes"}}},
}


def test_a_study_is_written_out_as_one_recipe():
    sections = expand(build(Study, STUDY, "study"), "base")
    assert list(sections) == [
        "questions", "sample-s0", "sample-s1", "verify-s0", "verify-s1", "few-s0", "few-s1",
        "mpo-s0", "mpo-s1", "sft-s0", "sft-s1", "evaluate",
    ]  # fmt: skip
    assert sections["questions"].values == {}
    assert sections["sample-s1"].values == {"seed": 1, "n": 2, "questions": "questions"}
    # What a step looks for by default is the section of its own seed, too.
    assert sections["verify-s1"].values == {"questions": "questions", "responses": "sample-s1"}
    assert sections["few-s1"].values == {
        "seed": 1, "max_pairs": 1, "questions": "questions", "responses": "sample-s1", "verdicts": "verify-s1",
        "continuations": "",
    }  # fmt: skip
    assert sections["sft-s1"].values == {
        "seed": 1, "pairs": "few-s1", "questions": "questions", "demonstrations": "",
        "objective": {"beta": 0.2, "preference_weight": 0.0},
    }  # fmt: skip
    assert sections["evaluate"].values["models"] == {
        "base": "base", "mpo-s0": "step:mpo-s0", "mpo-s1": "step:mpo-s1", "sft-s0": "step:sft-s0",
        "sft-s1": "step:sft-s1",
    }  # fmt: skip


def test_only_some_variants_and_of_the_data_what_they_need():
    study = {
        **STUDY,
        "data": {
            "first": {"uses": "questions"},
            "shown": {"uses": "demonstrations", "questions": "first"},
            "start": {"uses": "train", "model": "base", "demonstrations": "shown", "questions": "first"},
            "idle": {"uses": "questions"},
            **STUDY["data"],
            "many": {"uses": "pair"},
        },
        "variants": {**STUDY["variants"], "more": {"pairs": "many"}},
    }
    every = list(expand(build(Study, study, "study"), "step:start"))
    some = list(expand(build(Study, {**study, "only": ["sft", "mpo"], "seeds": [0]}, "study"), "step:start"))
    assert some == [
        "first", "shown", "start", "questions", "sample-s0", "verify-s0", "few-s0", "mpo-s0", "sft-s0", "evaluate",
    ]  # fmt: skip
    assert {"idle", "many-s0", "more-s0"} <= set(every)
    with pytest.raises(RecipeError, match="only: 'spt' is none of the variants mpo, sft, more"):
        build(Study, {**study, "only": ["spt"]}, "study")
    with pytest.raises(RecipeError, match="against: 'mpo' is none of the variants sft"):
        build(Study, {**study, "only": ["sft"]}, "study")


def test_a_start_of_each_seed_is_refused():
    sample = {"n": 2, "model": "base"}
    data = {**STUDY["data"], "sample": sample, "first": {"uses": "train", "model": "base", "pairs": "few"}}
    with pytest.raises(RecipeError, match="model: 'step:first' is trained once for each seed"):
        expand(build(Study, {**STUDY, "data": data}, "study"), "step:first")


def test_a_model_of_the_data_is_trained_once_unless_its_pairs_are_those_of_a_seed():
    study = {
        "seeds": [0, 1],
        "data": {
            "questions": {}, "shown": {"uses": "demonstrations"},
            "start": {"uses": "train", "demonstrations": "shown", "model": "base"},
            "sample": {"model": "step:start"}, "verify": {}, "pair": {},
            "first": {"uses": "train", "model": "step:start"}, "again": {"uses": "sample", "model": "step:first"},
        },
        "variants": {"mpo": {}, "mpo-again": {"model": "step:first"}},
        "evaluate": {"benchmarks": {"scenes": {"loader": "scenes"}}},
    }  # fmt: skip
    sections = expand(build(Study, {**study}, "study"), "step:start")
    read = {name: {r.field: r.section for r in references(section.values)} for name, section in sections.items()}
    assert read["start"] == {"demonstrations": "shown", "questions": "questions"}
    assert read["sample-s1"] == {"model": "start", "questions": "questions"}
    assert read["first-s1"] == {"model": "start", "pairs": "pair-s1", "questions": "questions"}
    assert read["again-s1"] == {"model": "first-s1", "questions": "questions"}
    assert read["mpo-again-s0"] == {"model": "first-s0", "pairs": "pair-s0", "questions": "questions"}
    assert [sections[name].values.get("seed") for name in ("start", "first-s1", "again-s0")] == [None, 1, 0]
    assert sections["evaluate"].values["models"]["base"] == "step:start"


@pytest.mark.parametrize("name", ["ablation.yaml", "ablation-small.yaml", "verified.yaml", "smol_study.yaml"])
def test_the_studies_that_ship_resolve(name, monkeypatch, tmp_path):
    """Every section of the expanded recipe builds its step's configuration."""
    from mixpo.pipeline import resolve

    monkeypatch.setenv("NLVR", str(tmp_path))
    recipe, study = load_study(RECIPES / name, ["study.seeds=[0]"])
    configs = resolve(recipe)
    assert {variant + "-s0" for variant in study.variants} <= configs.keys()


def test_the_generalisation_recipe_resolves(monkeypatch, tmp_path):
    from mixpo.pipeline import resolve
    from mixpo.recipe import load_recipe

    monkeypatch.setenv("NLVR", str(tmp_path))
    assert {"on_scenes", "on_nlvr", "evaluate"} <= resolve(load_recipe(RECIPES / "generalisation.yaml")).keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": {}}, "needs seeds, variants"),
        ({"against": "dpo"}, "'dpo' is none of the variants"),
        ({"seeds": [1, 1]}, "stands twice"),
        ({"seedz": [1]}, "did you mean 'seeds'"),
        ({"data": {"smple": {}}}, "no step is called 'smple'"),
        ({"variants": {"mpo": {}, "sample": {}}}, "has this name"),
        ({"base": "mpo-s1"}, "two of its sections or models would be called 'mpo-s1'"),
        ({"data": {**STUDY["data"], "sft-s0": {"uses": "questions"}}}, "would be called 'sft-s0'"),
        ({"data": {**STUDY["data"], "evaluate": {"uses": "questions"}}}, "would be called 'evaluate'"),
        ({"evaluate": {**STUDY["evaluate"], "models": {"mine": "base"}}}, "evaluate.models: .* leave it out"),
        ({"train": {**STUDY["train"], "seed": 5}}, "mpo.seed: each of study.seeds takes its place"),
        ({"data": STUDY["data"] | {"sample": {"seed": 3}}}, "sample.seed: each of study.seeds takes its place"),
    ],
)
def test_mistakes_get_a_sentence(change, message, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"study": {**STUDY, **change}}, sort_keys=False))
    with pytest.raises(RecipeError, match=message):
        load_study(path)


@pytest.mark.parametrize(("key", "value"), [("model", {"a": 1}), ("run", {"a": 1}), ("name", [1, 2]), ("run", True)])
def test_what_is_no_text_is_no_name(key, value, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({key: value, "study": STUDY}))
    with pytest.raises(RecipeError, match=rf"study.yaml:(\d+:)? {key}: must be text, not"):
        load_study(path)


def test_questions_may_have_a_seed_of_their_own():
    """They are drawn once, whatever the number of seeds."""
    study = {**STUDY, "data": {**STUDY["data"], "questions": {"seed": 7}}}
    assert expand(build(Study, study, "study"), "base")["questions"].values == {"seed": 7}


def test_what_a_recipe_says_at_its_top_a_study_may_say(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"system": "Be brief.", "study": STUDY}, sort_keys=False))
    recipe, _ = load_study(path)
    assert recipe.shared == {"model": "base", "seed": 0, "system": "Be brief."}


def test_a_seed_is_a_whole_number(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"seed": "abc", "study": STUDY}))
    with pytest.raises(RecipeError, match=r"study.yaml: seed: must be a whole number, not 'abc'"):
        load_study(path)


def right(rows):
    """Accuracy over seeds of a (seeds, questions) table of 1 and 0."""
    return scored(ACCURACY, [numpy.stack([row, numpy.ones_like(row)], axis=1) for row in numpy.array(rows)])


def test_the_interval_of_one_seed_is_that_of_its_questions():
    """60 of 100 right: 0.6 +- 1.96 sqrt(0.6 * 0.4 / 100) = 0.096."""
    found = right([[1.0] * 60 + [0.0] * 40]).estimate()
    assert found.value == 0.6
    assert (found.low, found.high) == pytest.approx((0.504, 0.696), abs=0.015)


def test_seeds_that_differ_widen_the_interval():
    same = [[1.0] * 50 + [0.0] * 50] * 3
    apart = [[float(n < cut) for n in range(100)] for cut in (30, 50, 70)]
    narrow, wide = right(same).estimate(), right(apart).estimate()
    assert narrow.value == wide.value == pytest.approx(0.5)
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)


def test_a_difference_is_paired():
    """Ten of a hundred questions are won and none is lost: 0.1 +- 1.96 sqrt(0.1 * 0.9 / 100) = 0.059."""
    before = [[1.0] * 50 + [0.0] * 50] * 2
    after = [[1.0] * 60 + [0.0] * 40] * 2
    found = right(after).minus(right(before)).estimate()
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.041, 0.159), abs=0.015)


@pytest.fixture
def evaluated(tmp_path):
    """Ten questions; right of base 3, mpo 8 and 6, sft 5 and 5, by chain of thought. What `summarise` is given."""
    files = RunFiles(tmp_path / "run")
    questions = [Question(id=f"s-{n}", text="?", answer="1") for n in range(10)]
    answers = []
    for model, right in {"base": 3, "mpo-s0": 8, "mpo-s1": 6, "sft-s0": 5, "sft-s1": 5}.items():
        for style, number in (("cot", right), ("direct", 4)):
            verdicts = [
                Verdict(id=f"{q.id}/0", question_id=q.id, outcome=Outcome.CORRECT if n < number else Outcome.UNPARSED)
                for n, q in enumerate(questions)
            ]
            answers.append(Answers(model, "s", style, numbered_answers(questions, [], verdicts)))
    for section in ("mpo-s0", "mpo-s1", "sft-s0", "sft-s1"):
        folder = files.checkpoints(section)
        folder.mkdir(parents=True)
        (folder / "log.jsonl").write_text(
            '{"step": 1, "tokens": 100}\n{"step": 2, "tokens": 50}\n{"total_flos": 1e9}\n'
        )
        (folder / "data.json").write_text('{"sha256": "", "records": 20}')
    plan = Plan(
        seeds=(0, 1), variants=("mpo", "sft"), base="base", against="mpo", shared=(),
        sections={(v, s): f"{v}-s{s}" for v in ("mpo", "sft") for s in (0, 1)},
    )  # fmt: skip
    return plan, files, {"s": BenchmarkQuestions(questions)}, answers


def test_the_table_by_hand(evaluated):
    content = summarise(*evaluated)
    found = {(r["variant"], r["style"], r["metric"]): r for r in content["results"]}
    mpo = found["mpo", "cot", "accuracy"]
    assert mpo["value"]["value"] == pytest.approx(0.7)
    assert mpo["by_seed"] == pytest.approx((0.8, 0.6))
    assert mpo["spread"] == pytest.approx(0.02**0.5)  # deviations 0.1 and -0.1, n - 1 = 1
    assert mpo["over_base"]["value"] == pytest.approx(0.4)
    assert found["sft", "cot", "accuracy"]["over_against"]["value"] == pytest.approx(-0.2)
    assert found["base", "cot", "accuracy"]["over_base"] is None
    assert found["mpo", "cot", "unparsed"]["over_base"]["value"] == pytest.approx(-0.4)
    gaps = {v: found[v, "cot-direct", "accuracy"]["value"]["value"] for v in ("base", "mpo", "sft")}
    assert gaps == pytest.approx({"base": -0.1, "mpo": 0.3, "sft": 0.1})
    (cost, _) = content["costs"]
    assert (cost["tokens"], cost["flops"], cost["pairs"]) == (150, 1e9, 20)


def test_own_prompts_come_behind_the_styles(evaluated):
    plan, files, asked, answers = evaluated
    content = summarise(plan, files, asked, [replace(one, style="own") for one in answers[::2]] + answers)
    styles = list(dict.fromkeys(r["style"] for r in content["results"]))
    assert styles == ["direct", "cot", "own", "cot-direct"]


def test_page_and_markdown(evaluated):
    _, files, *_ = evaluated
    summarise(*evaluated)
    page = write(files).read_text()
    assert page.count("<svg") == 2
    assert "s, chain of thought" in page
    table = (files.root / "ablation.md").read_text()
    assert "| mpo | 70.0 (" in table
    assert json.loads(files.json("ablation").read_text())["against"] == "mpo"


def test_a_small_study_for_real_and_resumed(tmp_path):
    """Two trainings of two steps on drawn scenes; the second call does nothing again."""
    overrides = [
        f"run={tmp_path / 'run'}",
        "study.variants={mpo: {}, sft: {objective: {preference_weight: 0.0, quality_weight: 0.0}}}",
        "study.data={questions: {sources: {scenes: {loader: scenes, split: train, count: 30}}}, "
        "sample: {n: 6, style: cot, temperature: 1.0, max_new_tokens: 120}, verify: {}, pair: {max_pairs: 3}}",
        "study.train={pairs: pair, max_records: 16, learning_rate: 1.0e-4, batch: 8, micro_batch: 8, layout: shared, "
        "held_out: 0.3, save_steps: 1}",
        "study.evaluate={styles: [cot], max_new_tokens: 60, benchmarks: {scenes: {loader: scenes, count: 6}}}",
    ]  # fmt: skip
    files = ablate(RECIPES / "ablation-small.yaml", overrides, jobs=2)
    content = json.loads(files.json("ablation").read_text())
    accurate = [(r["variant"], r["style"]) for r in content["results"] if r["metric"] == "accuracy"]
    assert accurate == [(v, "cot") for v in ("base", "mpo", "sft")]
    assert all(cost["pairs"] <= 16 and cost["flops"] > 0 for cost in content["costs"])
    log = (files.checkpoints("mpo-s0") / "log.jsonl").read_text()
    assert "eval_rewards/accuracies" in log  # pairs of held-out questions, told apart while it trains
    assert json.loads((files.checkpoints("mpo-s0") / "signatures.json").read_text()) == []  # too short to tell
    weights = files.checkpoints("mpo-s0") / "model" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    ablate(RECIPES / "ablation-small.yaml", overrides)
    assert weights.stat().st_mtime_ns == before
    again = json.loads(files.json("ablation").read_text())
    assert again["results"] == content["results"]
