"""`recipes/base.yaml`, with few scenes: from drawn scenes through four supervised stages to a model that is loaded."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.models.base_model import Config as BaseConfig
from mixpo.models.base_model import make_tokenizer
from mixpo.models.base_model import run as make_base
from mixpo.pipeline import run_recipe
from mixpo.prompts import Style, instruction
from mixpo.questions.demonstrations import Config, run
from mixpo.recipe import load_recipe

RECIPE = Path(__file__).parent.parent / "recipes" / "base.yaml"
COUNTS = {"describe": 32, "skill": 24, "sft": 40, "text": 40}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The run's folder, and the call that made it."""
    overrides = [f"run={tmp_path_factory.mktemp('base') / 'run'}", "base_model.vocab_size=400"]
    for stage, count in COUNTS.items():
        overrides += [f"{stage}_questions.sources.{stage}.count={count}"]
        overrides += [f"{stage}.{field}" for field in ("batch=8", "micro_batch=8", "logging_steps=1")]

    def again():
        return run_recipe(load_recipe(RECIPE, overrides))

    return again(), again


def weights(files, section):
    return AutoModelForImageTextToText.from_pretrained(files.checkpoints(section) / "model").state_dict()


def lines(files, stage):
    path = files.checkpoints(stage) / "log.jsonl"
    return [line for line in map(json.loads, path.read_text().splitlines()) if "loss" in line]


def test_each_stage_trains_on_its_own_demonstrations(made):
    files, _ = made
    for stage, count in COUNTS.items():
        shown = list(files.demonstrations(f"{stage}_answers"))
        assert {record.question_id for record in shown} == {q.id for q in files.questions(f"{stage}_questions")}
        assert len(shown) == count
        log = lines(files, stage)
        assert len(log) == count // 8
        assert [line["loss"] for line in log] == pytest.approx([line["loss/generation"] for line in log], rel=1e-5)
    assert all(record.prompt.startswith("Describe") for record in files.demonstrations("describe_answers"))
    prompts = {record.prompt for record in files.demonstrations("sft_answers")}
    assert len(prompts) > 20  # questions, not descriptions
    shown = list(files.demonstrations("text_answers"))
    described = {bool(record.images) for record in shown if record.prompt.startswith("Describe")}
    assert described == {True, False}  # some are text alone
    assert all(record.images for record in shown if not record.prompt.startswith("Describe"))
    assert lines(files, "describe")[-1]["loss"] < lines(files, "describe")[0]["loss"]


def test_each_stage_starts_from_the_one_before(made):
    """A random model gives a token about log(vocabulary) nats; each stage moves the weights of the one before by a few
    steps of AdamW, each of about the learning rate, and so less far than they are from those of the stage before that.
    """
    files, _ = made
    assert lines(files, "describe")[0]["loss/generation"] == pytest.approx(math.log(400), rel=0.25)
    models = [weights(files, section) for section in ("base_model", *COUNTS)]

    def moved(before, after):
        assert before.keys() == after.keys()
        return torch.cat([(before[name] - after[name]).flatten() for name in before]).norm().item()

    for before, start, after in zip(models, models[1:], models[2:]):
        assert 0 < moved(start, after) < moved(before, after)


def test_the_tokenizer_learns_the_demonstrations_that_the_section_names(made):
    files, _ = made
    texts = [text for record in files.demonstrations("sft_answers") for text in (record.prompt, record.text)]
    instructions = [instruction(style) for style in Style if style is not Style.AUTO]
    expected = make_tokenizer([*texts, *instructions * 30], 400).get_vocab()
    tokenizer = AutoProcessor.from_pretrained(files.checkpoints("base_model") / "model").tokenizer
    assert tokenizer.get_vocab() == expected
    assert len(expected) == 400


def test_what_is_there_is_not_made_again(made):
    files, again = made
    (shown,) = files.demonstrations("sft_answers").paths()
    models = sorted(files.root.glob("checkpoints/*/model/model.safetensors"))
    assert len(models) == 5
    before = shown.read_bytes(), [path.stat().st_mtime_ns for path in models]
    again()
    assert (shown.read_bytes(), [path.stat().st_mtime_ns for path in models]) == before


def test_demonstrations_go_on_where_they_stopped(made, tmp_path):
    """A third of them is there, and is not written twice; the rest is what it would have been."""
    files, _ = made
    whole = list(files.demonstrations("sft_answers"))
    config = Config(name="answers", questions="sft_questions", describe=0.08, direct=0.2, hasty=0.65, hasty_single=0.2,
                    slip=0.35)  # fmt: skip
    part = files.demonstrations("answers")
    part.append(whole[::3])
    run(config, files)
    assert sorted(part, key=lambda record: record.id) == sorted(whole, key=lambda record: record.id)


def test_a_base_model_without_demonstrations_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match="section 'shown' has no demonstrations; run it before 'base_model'"):
        make_base(BaseConfig(demonstrations="shown"), RunFiles(tmp_path))
