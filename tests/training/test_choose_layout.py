"""What `layout: auto` looks at; what it chooses for each family is in `families/test_layout_choice.py`."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask

from mixpo.batches.encode import Example
from mixpo.batches.layout import Layout
from mixpo.errors import UserError
from mixpo.training.choose_layout import attends_everywhere, possible, refuse_without_flex, telling, tolerance
from mixpo.training.mask_watch import shows_later_tokens

CAUSAL = torch.ones(1, 1, 4, 4, dtype=torch.bool).tril()
LATER = CAUSAL.clone()
LATER[0, 0, 1, 2] = True


def additive(mask):
    return torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)


def blocks(sees):
    return create_block_mask(sees, 2, None, 130, 130, device="cpu")


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (CAUSAL, False),
        (LATER, True),
        (additive(CAUSAL), False),
        (additive(LATER), True),
        (torch.ones(2, 4, dtype=torch.long), False),
        (torch.ones(1, 1, 4, 6, dtype=torch.bool), False),
        (blocks(lambda row, head, query, key: query >= key), False),
        (blocks(lambda row, head, query, key: (query >= key) | ((row == 1) & (query == 5) & (key == 129))), True),
    ],
)
def test_masks_that_show_later_tokens(mask, expected):
    assert shows_later_tokens(mask) == expected


def test_recurrent_layers_are_known_by_name():
    def config(kinds):
        return SimpleNamespace(get_text_config=lambda: SimpleNamespace(layer_types=kinds))

    assert attends_everywhere(config(None))
    assert attends_everywhere(config(["full_attention", "sliding_attention"]))
    assert not attends_everywhere(config(["full_attention", "linear_attention"]))


def test_tolerance_follows_from_the_weights():
    cpu, layer = torch.device("cpu"), torch.nn.Linear(2, 2)
    assert tolerance(layer, cpu) == 1e-4
    assert tolerance(layer.bfloat16(), cpu) == 4 * 2.0**-7
    quantised = torch.nn.Linear(2, 2)
    quantised.register_parameter("packed", torch.nn.Parameter(torch.zeros(2, dtype=torch.uint8), requires_grad=False))
    assert tolerance(quantised, cpu) == 4 * 2.0**-7


def test_what_is_compared_fits_into_the_window():
    """A process that has only longer rows compares none, as the others do the same passes."""
    short, long = (
        Example(prompt_ids=[1] * tokens, completions=[[2, 3]], image_inputs={"pixel_values": torch.zeros(1)})
        for tokens in (3, 9)
    )
    assert telling([short, long], 1, math.inf) == [long]
    assert telling([short, long], 1, 8) == [short]
    assert telling([long], 1, 8) == []


def test_attention_that_takes_no_mask_is_paired():
    config = SimpleNamespace(_attn_implementation="flash_attention_2")
    decoder = SimpleNamespace(config=config, forward=lambda input_ids: None)
    model = SimpleNamespace(get_decoder=lambda: decoder)
    assert possible(Layout.AUTO, model) is Layout.PAIRED
    assert possible(Layout.PAIRED, model) is Layout.PAIRED
    with pytest.raises(UserError, match="flash_attention_2 does not"):
        possible(Layout.SHARED, model)
    config._attn_implementation = "eager"
    assert possible(Layout.AUTO, model) is Layout.AUTO


def test_flex_attention_that_cannot_be_had_is_refused(internvl):
    refuse_without_flex("auto", internvl[0])
    with pytest.raises(UserError, match="attention: flex needs a GPU"):
        refuse_without_flex("flex", internvl[0])
