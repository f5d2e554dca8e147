"""The cost of a step, by hand, and read off a model whose matrices can be counted."""

import runpy
from pathlib import Path

import pytest
import torch

from mixpo.batches.encode import Encoder
from mixpo.models.shape import Layer, Prompt, Shape, Transformer, paired, shape_of, tower_tokens
from mixpo.plan.cost import Flops, forward_flops, step_flops, visible
from mixpo.training.memory import Setup, StepMemory, device_bytes

LAYER = Layer(
    hidden=7, key_width=5, inner=16, gated=True, readers=3, norms=2, rms=True, normed_heads=0, scaled=False,
    parameters=500, matrices=7,
)  # fmt: skip
SHAPE = Shape(
    language=Transformer(
        layers=2, width=10, heads=2, weights=1000, kept=50, kept_lean=9, parameters=1200, wide=True, layer=LAYER
    ),
    vision=Transformer(
        layers=1, width=4, heads=1, weights=100, kept=20, kept_lean=3, parameters=190, wide=True, layer=LAYER
    ),
    projector=30,
    projector_kept=10,
    hidden=7,
    vocabulary=11,
    tied=False,
    parameters=1500,
    patch=588,
)
PROMPT = Prompt(tokens=5, completions=(2, 3), images=(4, 4), image_tokens=2)


def test_visible_by_hand():
    """Prompt of 5: 1 + 2 + 3 + 4 + 5 = 15. Completions: 6 + 7 = 13 and 6 + 7 + 8 = 21. Together 49."""
    assert visible(PROMPT) == 49


def test_forward_by_hand():
    """Tower: 2 x (2 x 100 x 4 + 4 x 4 x 16) = 2,112; projector 2 x 30 x 2 = 120. Language: 2 x 1000 x 10 = 20,000.
    Attention: 4 x 10 x 49 x 2 = 3,920. Head, on 5 completion tokens: 2 x 77 x 5 = 770."""
    assert forward_flops(SHAPE, [PROMPT]) == Flops(vision=2232, language=20000, attention=3920, head=770)
    assert forward_flops(SHAPE, [PROMPT]).forward == 26922


def test_a_step_is_three_forward_passes_and_a_fourth_for_a_live_reference():
    assert step_flops(SHAPE, [PROMPT], live_reference=False) == 3 * 26922
    assert step_flops(SHAPE, [PROMPT], live_reference=True) == 4 * 26922
    assert step_flops(SHAPE, [PROMPT, PROMPT], live_reference=True) == 8 * 26922


def test_paired_rows_repeat_the_prompt_and_not_the_images():
    """5 + 2 and 5 + 3 tokens instead of 10; 15 + 13 and 15 + 21 seen instead of 49."""
    rows = paired([PROMPT])
    assert [row.length for row in rows] == [7, 8]
    assert forward_flops(SHAPE, rows) == Flops(vision=2232, language=30000, attention=4 * 10 * 64 * 2, head=770)


def test_bytes_by_hand():
    """State 4 x 4 x 1500 = 24,000; copy 6,000; kept 4 x (50 x 10 + 20 x 8) = 2,640; logits 2 x 4 x 5 x 11 = 440."""
    found = device_bytes(SHAPE, [PROMPT], Setup(cpu=True, recompute="none", reference="live"))
    assert found == StepMemory(
        weights=6000, gradients=6000, optimizer=12000, reference=6000, activations=2640, working=440
    )
    assert device_bytes(SHAPE, [PROMPT], Setup(cpu=True, chunk=3)).total == 24000 + 2640 + 264


def test_bytes_with_activations_computed_again_by_hand():
    """A layer in whole, 50 / 2 and 20 / 1, and what is kept of all: 4 x ((9 + 25) x 10 + (3 + 20) x 8) = 2,096."""
    found = device_bytes(SHAPE, [PROMPT], Setup(cpu=True, recompute="elementwise", reference="live"))
    assert found.total == 24000 + 6000 + 2096 + 440


def test_the_shape_of_a_model(model, processor):
    """Language: 2 layers of 4 x 128 x 128 (attention) and 3 x 128 x 352. Tower: 1 layer of 4 x 64 x 64 and
    2 x 64 x 192, and patches of 3 x 8 x 8 into 64. Projector: 256 to 128 to 128, of 4 patches each."""
    shape = shape_of(model)
    assert shape.language.weights == 2 * (4 * 128 * 128 + 3 * 128 * 352)
    assert (shape.language.layers, shape.language.width) == (2, 128)
    assert shape.vision.weights == 4 * 64 * 64 + 2 * 64 * 192 + 192 * 64
    assert shape.projector == 256 * 128 + 128 * 128
    assert (shape.hidden, shape.vocabulary) == (128, len(processor.tokenizer))
    assert shape.patch == 192
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    with torch.device("meta"):
        assert shape_of(type(model)(model.config)) == shape


def test_tokens_of_the_tower(processor, rows):
    """Tiles of 64 x 64 pixels in patches of 8 x 8: 64 tokens each; 16 of them per tile reach the prompt."""
    example = Encoder(processor)(rows[0])
    tiles = tower_tokens(example.image_inputs, patch=192)
    assert set(tiles) == {64}
    assert 16 * len(tiles) == example.prompt_ids.count(processor.image_token_id)
    assert tower_tokens({}, patch=192) == ()
    grid = {"pixel_values": torch.zeros(20, 1176), "image_grid_thw": torch.tensor([[1, 2, 4], [1, 2, 6]])}
    assert tower_tokens(grid, patch=1176) == (8, 12)


@pytest.mark.parametrize("prompts", [[], [Prompt(tokens=3, completions=(1,))]])
def test_without_images_there_is_no_tower(prompts):
    assert forward_flops(SHAPE, prompts).vision == 0


def test_the_table_of_the_docs_is_up_to_date():
    """If this fails: python docs/cost_table.py."""
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "cost.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(docs / "cost_table.py"))["updated"](page) == page
