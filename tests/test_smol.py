"""`recipes/smol.yaml` with a tiny random language model: from a tower and a language model to MPO and its report."""

import json
from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from fixtures.languages import tiny_language
from mixpo.instructions import FINAL_ANSWER
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe

ROOT = Path(__file__).parent.parent
TRAININGS = {"read": "3.0e-3", "sft": "3.0e-3", "train": "1.0e-3"}
BENCHMARKS = ("figures", "shown", "asked", "words", "dark", "range")
BATCH = {"read": 16, "sft": 16, "train": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The run's files, and the call that made it."""
    place = tmp_path_factory.mktemp("smol")
    language = tiny_language(place / "language", [f"Ann is 7.\nBen is 3.\n{FINAL_ANSWER} yes"] * 2, 300, 64)
    overrides = [
        f"run={place / 'run'}", f"smol.model={ROOT}/recipes/tower",
        "see_questions.sources.see.count=64", 'see_questions.sources.see.families=["clock *"]',  # few words
        "sft_questions.sources.sft.count=640", 'sft_questions.sources.sft.families=["chart compare"]',
        "sft_answers.describe=0.0", "sft_answers.direct=0.5",
        "questions.sources.shown.count=16", 'questions.sources.shown.families=["chart compare"]',
        "questions.sources.asked.count=8",
        "sample.max_new_tokens=24", "evaluate.max_new_tokens=24",
        "pair.chosen.steps=any",  # so small a model writes none that can be checked
        f"text.benchmarks.text.path={ROOT}/recipes/text_questions.jsonl", "text.benchmarks.text.limit=6",
        "text.max_new_tokens=24", 'text.models={sft: "step:sft", mpo: "step:train"}',  # random, it never ends a turn
    ]  # fmt: skip
    overrides += [f"evaluate.benchmarks.{name}.count=6" for name in BENCHMARKS]
    for name in ("best_sft", "best_mpo"):
        overrides += [f"{name}.benchmark.count=6", f"{name}.n=2", f"{name}.max_new_tokens=24"]
    for name, rate in TRAININGS.items():
        overrides += [f"{name}.learning_rate={rate}", f"{name}.batch={BATCH[name]}", f"{name}.micro_batch=4"]
        overrides += [f"{name}.logging_steps=1", f"{name}.precision=float32"]

    def again():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SMOLLM2", str(language))
            return run_recipe(load_recipe(ROOT / "recipes" / "smol.yaml", overrides))

    return again(), again


def weights(files, section):
    return AutoModelForImageTextToText.from_pretrained(files.checkpoints(section) / "model").state_dict()


def test_the_whole_loop_from_a_language_model_to_a_report(made):
    files, again = made
    for name in TRAININGS:
        lines = [json.loads(line) for line in (files.checkpoints(name) / "log.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in lines if "loss" in line]
        assert len(losses) >= 2
        assert all(loss == loss for loss in losses)
    assert list(files.pairs("pair"))
    scores = {(score.benchmark, score.style, score.model) for score in files.evaluation("evaluate").scores()}
    assert scores == set(product(BENCHMARKS, ("direct", "cot"), ("sft", "mpo")))
    scores = {(score.benchmark, score.style, score.model) for score in files.evaluation("text").scores()}
    assert scores == set(product(("text",), ("direct", "cot"), ("sft", "mpo")))
    report = files.report.read_text(encoding="utf-8")
    assert "chart compare" in report
    before = {name: weights(files, name) for name in TRAININGS}
    again()
    assert all(torch.equal(value, weights(files, "train")[name]) for name, value in before["train"].items())


def test_the_language_model_is_not_touched_while_pictures_learn_to_be_read(made):
    files, _ = made
    tower = AutoModelForImageTextToText.from_pretrained(ROOT / "recipes" / "tower", dtype="float32").state_dict()
    composed, read, sft = (weights(files, name) for name in ("smol", "read", "sft"))
    assert all(torch.equal(tower[name], composed[name]) for name in tower if "vision_tower" in name)
    changed = {name for name in composed if not torch.equal(composed[name], read[name])}
    assert changed
    assert all("multi_modal_projector" in name or "vision_tower" in name for name in changed)
    assert any("language_model" in name and not torch.equal(read[name], sft[name]) for name in read)
