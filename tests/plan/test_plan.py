"""`mixpo plan` on pairs of a run folder: the lengths are the data's own."""

from types import SimpleNamespace

import pytest
from PIL import Image

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout
from mixpo.errors import UserError
from mixpo.files import BASE_MODEL
from mixpo.models.load import load_processor
from mixpo.models.shape import Prompt, paired
from mixpo.output import text
from mixpo.plan.cost import forward_flops, step_flops
from mixpo.plan.estimate import step_cost
from mixpo.plan.machines import machine_named
from mixpo.plan.plan import plan, shape_on_paper

RECIPE = """
run: {run}
steps:
  train: {{batch: 2, micro_batch: 2, epochs: 3, layout: {layout}}}
"""


def lines_of(*asked):
    """What is shown, line by line."""
    return [line.strip() for line in text(plan(*asked)[1]).splitlines()]


@pytest.fixture
def recipe(tmp_path, run_folder):
    def write(layout="auto"):
        path = tmp_path / f"{layout}.yaml"
        path.write_text(RECIPE.format(run=run_folder.root, layout=layout))
        return path

    return write


def prompts(rows):
    encoder = Encoder(load_processor(str(BASE_MODEL)))
    for question, numbers in (("q", (0, 1)), ("r", (2,))):
        images = rows[0]["images"] if question == "q" else []
        row = {"images": images, "prompt": [{"role": "user", "content": f"What is there? {question}"}]}
        examples = [encoder({**row, **{key: rows[n][key] for key in ("chosen", "rejected")}}) for n in numbers]
        tiles = sum(len(example.image_inputs.get("pixel_values", ())) for example in examples[:1])
        yield Prompt(
            tokens=len(examples[0].prompt_ids),
            completions=tuple(len(ids) for example in examples for ids in example.completions),
            images=(64,) * tiles,
            image_tokens=16 * tiles,
        )


def test_limits_on_pictures_are_counted(recipe, tmp_path):
    Image.new("RGB", (300, 100)).save(tmp_path / "images" / "0.png")  # three tiles and a small copy

    def tokens(*overrides):
        lines = lines_of(recipe(), overrides, "8xh100")
        return int(next(line for line in lines if line.startswith("MPO")).split()[2].replace(",", ""))

    limited = tokens("images.max_pixels=500")
    assert limited < tokens()
    assert limited == tokens("train.images.max_tiles=1")


@pytest.mark.parametrize("layout", ["auto", "paired"])
def test_tokens_flops_and_hours_follow_from_the_data(recipe, rows, layout):
    """Three pairs, two a step: a whole step has 2/3 of all tokens; three epochs are six steps, with 4.5 steps' work."""
    lines = lines_of(recipe(layout), [], "8xh100")
    assert lines[0].endswith("3 pairs, 6 steps of up to 2 pairs")
    every = list(prompts(rows))
    every = paired(every) if layout == "paired" else every
    flops = step_flops(shape_on_paper(str(BASE_MODEL)), every, live_reference=True)
    name, reference, tokens, step, _memory, hours = next(line for line in lines if line.startswith("MPO")).split()
    assert (name, reference) == ("MPO", "live")
    assert int(tokens) == round(sum(prompt.length for prompt in every) * 2 / 3)
    assert float(step) == pytest.approx(flops * 2 / 3 / 1e12, rel=5e-3)
    assert float(hours) == pytest.approx(flops * 3 / (8 * 989e12 * 0.4) / 3600, rel=5e-3)  # bf16, as a GPU chooses
    assert lines[1].startswith(
        "8 x h100: bf16, without gradient checkpointing, adamw_torch_fused, a whole model on each"
    )
    assert any(line.startswith("this section, GiB a device: weights ") for line in lines)
    assert any(line.startswith("fits (0.0") and line.endswith(" of 74.5 GiB)") for line in lines)
    sft = next(line for line in lines if line.startswith("SFT")).split()
    assert 0 < float(sft[3]) < 3 / 4 * float(step)  # no reference, and no rejected completions


def test_checkpointing_costs_a_forward_pass_without_the_head(recipe, rows):
    every = list(prompts(rows))
    once = forward_flops(shape_on_paper(str(BASE_MODEL)), every)
    overrides = ["train.trainer.gradient_checkpointing=true", "train.reference=cached"]
    numbers, shown = plan(recipe(), overrides, "8xh100")
    assert any("with gradient checkpointing" in line for line in shown if isinstance(line, str))
    (mpo,) = (
        row for row in numbers["train"]["objectives"] if (row["objective"], row["reference"]) == ("MPO", "cached")
    )
    assert mpo["flops_per_step"] == pytest.approx((4 * once.forward - once.head) * 2 / 3, rel=5e-3)


def test_what_is_read_costs_the_tower_alone(rows):
    prompt = next(prompts(rows))
    shape = shape_on_paper(str(BASE_MODEL))
    settled = SimpleNamespace(
        shape=shape,
        groups=[SimpleNamespace(chosen=prompt, count=1)],
        config=SimpleNamespace(batch=2, layout=Layout.PAIRED, read=True),
        setup=SimpleNamespace(lora=0, gradient_checkpointing=False),
        sft=True,
    )
    _, flops = step_cost(settled, live=False)
    once = forward_flops(shape, paired([prompt]))
    assert flops == 2 * 3 * once.vision
    assert 0 < once.vision < once.forward


def test_hours_follow_the_precision(recipe):
    def hours(*overrides):
        lines = lines_of(recipe(), list(overrides), "1xh100")
        return float(next(line for line in lines if line.startswith("MPO")).split()[5])

    assert hours("train.precision=float32") / hours() == pytest.approx(989 / 67, rel=1e-2)
    assert hours("train.precision=float32") / hours(
        "train.precision=float32", "train.trainer.tf32=true"
    ) == pytest.approx(494 / 67, rel=1e-2)


def test_users_mistakes_are_sentences(recipe, tmp_path):
    with pytest.raises(UserError, match="no machine is called 'tpu'"):
        machine_named("tpu")
    with pytest.raises(UserError, match="holds no pairs"):
        plan(recipe(), [f"run={tmp_path / 'empty'}"], "64xa100")
    with pytest.raises(UserError, match="the folder has no config.json"):
        shape_on_paper(str(tmp_path))
