"""`rounds: 2`: which sections are repeated, what they read, and a run of two rounds that is interrupted."""

import pytest
import yaml

from mixpo import pipeline
from mixpo.errors import RecipeError
from mixpo.files import RunFiles
from mixpo.recipe import load_recipe
from mixpo.report import page
from mixpo.responses import dropout
from mixpo.rounds import with_rounds

STEPS = {
    "questions": {
        "sources": {
            "scenes": {"loader": "scenes", "count": 6},
            "pictures": {"loader": "scenes", "count": 4, "describe": True},
        }
    },
    "sample": {"n": 4, "style": "cot", "temperature": 1.0, "max_new_tokens": 60, "block": 16},
    "verify": {"workers": 1},
    "dropout": {"max_new_tokens": 60},
    "pair": {"continuations": "dropout"},
    "train": {"batch": 8, "micro_batch": 4, "learning_rate": 1e-4, "layout": "shared"},
    "evaluate": {
        "models": {"base": "base", "mpo": "step:train"},
        "benchmarks": {"test": {"loader": "scenes", "split": "test", "count": 4}},
        "styles": ["cot"],
        "max_new_tokens": 60,
    },
    "report": {},
}


def recipe(tmp_path, steps=STEPS, **values):
    path = tmp_path / "r.yaml"
    path.write_text(
        yaml.safe_dump({"run": str(tmp_path / "run"), "rounds": 2, "steps": steps, **values}, sort_keys=False)
    )
    return load_recipe(path)


def expanded(tmp_path, steps=STEPS, **values):
    written = recipe(tmp_path, steps, **values)
    made = with_rounds(written, pipeline.resolve(written))
    return list(made.sections), pipeline.resolve(made)


def test_a_second_round_reads_its_own_files_and_starts_from_the_first_model(tmp_path):
    names, configs = expanded(tmp_path, seed=5)
    first = ["sample", "verify", "dropout", "pair", "train"]
    assert names == ["questions", *first, *(f"{name}-round-2" for name in first), "evaluate", "report"]
    sample, verify, cut, pair, train = (configs[f"{name}-round-2"] for name in first)
    assert sample.model == cut.model == train.model == "step:train"
    assert (sample.questions, sample.n, configs["sample"].model) == ("questions", 4, "base")
    assert verify.responses == cut.responses == pair.responses == "sample-round-2"
    assert (pair.verdicts, pair.continuations, train.pairs) == ("verify-round-2", "dropout-round-2", "pair-round-2")
    assert (sample.seed, cut.seed, pair.seed, train.seed) == (6, 6, 5, 5)
    assert configs["evaluate"].models == {"base": "base", "mpo": "step:train", "mpo-round-2": "step:train-round-2"}


def test_a_third_round_starts_from_the_second(tmp_path):
    names, configs = expanded(tmp_path, rounds=3)
    assert len(names) == 18
    assert configs["train-round-3"].model == configs["sample-round-3"].model == "step:train-round-2"
    assert list(configs["evaluate"].models) == ["base", "mpo", "mpo-round-2", "mpo-round-3"]


def test_what_comes_before_the_policy_is_not_repeated(tmp_path):
    """Supervised training first; a stranger's responses are judged with the policy's, but never written by it."""
    steps = {
        "questions": STEPS["questions"],
        "demonstrations": {},
        "sft": {"uses": "train", "demonstrations": "demonstrations", "batch": 8, "micro_batch": 4},
        "sample": {"model": "step:sft"},
        "verify": {},
        "pair": {},
        "train": {"model": "step:sft", "batch": 8, "micro_batch": 4},
    }
    names, configs = expanded(tmp_path, steps)
    assert [name for name in names if name.endswith("-round-2")] == [
        f"{name}-round-2" for name in ("sample", "verify", "pair", "train")
    ]
    assert configs["sample"].model == configs["train"].model == "step:sft"
    assert configs["sample-round-2"].model == configs["train-round-2"].model == "step:train"


def test_one_round_changes_nothing(tmp_path):
    written = recipe(tmp_path, rounds=1)
    assert with_rounds(written, pipeline.resolve(written)) is written


@pytest.mark.parametrize(
    ("steps", "rounds", "message"),
    [
        ({"questions": STEPS["questions"]}, 2, "no section that trains on pairs"),
        (
            {"import": {"format": "trl", "path": "pairs.parquet"}, "train": STEPS["train"]},
            2,
            "come from no section that samples",
        ),
        ({**STEPS, "sample-round-2": {"uses": "sample"}}, 2, "round 2 needs this name"),
        (
            {**STEPS, "evaluate": {**STEPS["evaluate"], "models": {"mpo-round-2": "base", "mpo": "step:train"}}},
            2,
            "models.mpo-round-2: a later round needs this name",
        ),
        (STEPS, 0, "whole number from 1 on, not 0"),
        (STEPS, "two", "whole number from 1 on, not 'two'"),
        (STEPS, True, "whole number from 1 on, not True"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, steps, rounds, message):
    with pytest.raises(RecipeError, match=message) as error:
        expanded(tmp_path, steps, rounds=rounds)
    assert "r.yaml" in str(error.value)


def test_two_rounds_interrupted_in_the_second(tmp_path, monkeypatch):
    """The rerun leaves alone what the first round wrote, and the report has a line for each round."""
    run, stopped = dropout.run, []

    def interrupted(config, files):
        if config.name.endswith("-round-2") and not stopped:
            stopped.append(config.name)
            raise KeyboardInterrupt
        run(config, files)

    monkeypatch.setattr(dropout, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run_recipe(recipe(tmp_path))
    root = tmp_path / "run"
    written = [root / "responses" / "sample", root / "responses" / "sample-round-2", root / "checkpoints" / "train"]
    before = {path: path.stat().st_mtime_ns for folder in written for path in folder.rglob("*") if path.is_file()}
    assert before
    files = pipeline.run_recipe(recipe(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(files.responses("sample-round-2"))) == 40
    texts = [{response.id: response.text for response in files.responses(s)} for s in ("sample", "sample-round-2")]
    assert texts[0].keys() == texts[1].keys()
    assert texts[0] != texts[1]
    models = {score.model for score in files.evaluation("evaluate").scores()}
    assert models == {"base", "mpo", "mpo-round-2"}
    table = page.rounds(page.collect(files))
    assert [row.cells[0] for row in table.rows] == ["1 (train)", "2 (train-round-2)"]
    assert [row.cells[1] for row in table.rows] == ["40", "40"]
    assert all(row.cells[-1].endswith(" %") for row in table.rows)
    assert "2 (train-round-2)" in files.report.read_text()
    assert RunFiles(root).recipe.read_text().count("-round-2:\n") == 5
