"""Logged sums stay on the device until a line is written; what is written is as if each had been fetched at once."""

import random

import torch

from mixpo.losses.mix import Mixed
from mixpo.training.metrics import Means
from mixpo.training.optimizer_step import OptimizerStep


def test_means_are_those_of_values_fetched_one_by_one():
    """To the last bit: float32 sums over a micro-batch, added up in float64, in order."""
    rng, means = random.Random(0), Means()
    expected, pairs = dict.fromkeys(("loss", "logps/chosen"), 0.0), 0
    for _ in range(200):
        count = rng.randint(1, 70)
        values = {name: torch.randn(count, requires_grad=True) * 100 for name in expected}
        means.add(values, count, 3 * count)
        pairs += count
        for name, value in values.items():
            expected[name] += value.detach().sum().item()
    found = means.drain(list)
    assert found == {**{name: total / pairs for name, total in expected.items()}, "tokens": 3.0 * pairs}
    assert isinstance(found["tokens"], float)  # in the log as 12.0
    assert means.drain(list) == {}


def test_rewards_of_a_step_are_added_in_float64():
    step, expected = OptimizerStep(), 0.0
    step.begin(2, 1.0)
    assert step.total() == (0.0, 0)
    for _ in range(50):
        chosen, rejected = torch.randn(7) * 1000, torch.randn(7) / 1000
        step.add(Mixed(total=chosen, preference=None, quality=None, generation=None, chosen_rewards=chosen,
                       rejected_rewards=rejected))  # fmt: skip
        for rewards in (chosen, rejected):
            expected += rewards.sum().item()
    assert step.total() == (expected, 700)
