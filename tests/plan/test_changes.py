"""What makes a training fit: tried in a fixed order, what changes nothing that is learned first."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from devices.cases import shape_named
from mixpo.images import ImageRoots
from mixpo.models.shape import Prompt
from mixpo.plan.changes import MARGIN, Planned, gib, made_to_fit, verdict
from mixpo.plan.lengths import Pairs, longest_rows, micro_batch
from mixpo.records import Origin, PreferencePair, Turn
from mixpo.training.memory import Setup
from mixpo.training.rows import RowDataset
from mixpo.training.section import Config
from mixpo.training.setup import setup_of

PROMPT = Prompt(tokens=2108, completions=(350, 300) * 4, images=(1025,) * 8, image_tokens=2048)
CHOSEN = Prompt(tokens=2108, completions=(300,) * 4, images=(1025,) * 8, image_tokens=2048)
GROUPS = [Pairs(4, PROMPT, CHOSEN)] * 4


@dataclass
class Section:
    row_tokens: int | None = None
    held_out: float = 0.0
    reference_update_steps: int = 0
    trainer: dict[str, Any] = field(default_factory=dict)


def planned(model="internvl3-8b", pairs=16, section=None, **setup):
    setup = Setup(**{"precision": "bf16", "reference": "live", "reference_bytes": 2, **setup})
    return Planned(config=section or Section(), shape=shape_named(model), groups=GROUPS, setup=setup, pairs=pairs)


def test_a_reference_that_moves_is_held_in_float32():
    """It is blended with the policy's weights."""
    assert setup_of(Config()).reference_bytes == 2
    assert setup_of(Config(reference_update_steps=4)).reference_bytes == 4


@pytest.mark.parametrize(
    ("model", "memory", "setup", "changes"),
    [
        ("internvl3-1b", 80, {}, ("gradient_checkpointing: true",)),
        ("internvl3-1b", 24, {"gradient_checkpointing": True}, ("micro_batch: 8",)),
        ("internvl3-8b", 141, {"gradient_checkpointing": True}, ("shard: fsdp2", "offload: all")),
        ("internvl3-8b", 80, {"devices": 8, "gradient_checkpointing": True}, ("shard: fsdp2",)),
        ("internvl3-8b", 80, {"devices": 8}, ("gradient_checkpointing: true", "shard: fsdp2")),
        ("internvl3-8b", 80, {}, ("gradient_checkpointing: true", "shard: fsdp2", "offload: all")),
        ("internvl3-8b", 16, {"devices": 8, "shard": "zero2", "gradient_checkpointing": True},
         ("lora: {}", "shard: none", "quantize: 4bit", "micro_batch: 8")),
    ],
)  # fmt: skip
def test_the_first_change_that_makes_it_fit(model, memory, setup, changes):
    found = made_to_fit(planned(model, **setup), memory * 1e9)
    assert found is not None
    assert found.changes == changes
    assert found.memory().total <= MARGIN * memory * 1e9 < memory * 1e9 < planned(model, **setup).memory().total


def test_a_reference_that_is_needed_stays():
    found = made_to_fit(planned(section=Section(held_out=0.1), gradient_checkpointing=True), 141e9)
    assert found is not None
    assert "reference: cached" not in found.changes


def test_the_verdict_in_a_sentence():
    one = planned("internvl3-1b")
    assert verdict(one, 1e12) == f"fits ({gib(one.memory().total)} of 931 GiB)"
    assert verdict(one, 80e9).startswith("does not fit (")
    assert "74.5 GiB): fits with `gradient_checkpointing: true` (" in verdict(one, 80e9)
    assert "whatever is changed" in verdict(one, 1e8)


def test_a_micro_batch_has_the_longest_pairs_and_as_many_as_it_says():
    short = Pairs(4, Prompt(tokens=10, completions=(5, 4) * 4), Prompt(tokens=10, completions=(5,) * 4))
    assert micro_batch([short, GROUPS[0]], 4, None, False) == [
        Prompt(tokens=2108, completions=(350,) * 4 + (300,) * 4, images=(1025,) * 8, image_tokens=2048)
    ]
    assert [row.completions for row in micro_batch([short], 1, None, False)] == [(5, 5)]
    assert [len(row.completions) for row in micro_batch([short, short], 8, None, True)] == [4, 4]
    assert [row.length for row in micro_batch(GROUPS, 16, 5000, False)] == [4708]
    assert [len(row.completions) for row in micro_batch(GROUPS, 16, 3000, False)] == [2]


def test_the_longest_rows_are_those_with_all_that_is_said_before_the_answer():
    def pair(name, prompt="?", **given):
        return PreferencePair(
            id=name, question_id=name, prompt=prompt, chosen="3", rejected="4", origin=Origin.IMPORTED, **given
        )

    turns = (Turn(role="user", text="w" * 900), Turn(role="assistant", text="w" * 900))
    pairs = [pair("plain", "w" * 600), pair("system", system="w" * 1200), pair("turns", turns=turns), pair("short")]
    rows = RowDataset(pairs, ImageRoots({}))
    assert longest_rows(rows, 8, 3) == [[2], [1], [0]]
