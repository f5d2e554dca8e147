"""The reward shift: averages of previous steps only, exact, and the same after a save and a load."""

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.losses.reward_shift import RewardShift

STEPS = st.lists(st.lists(st.floats(-50, 50), min_size=1, max_size=8), min_size=1, max_size=20)


def test_zero_before_the_first_update():
    assert [RewardShift(kind).value for kind in ("mean", "ema", "none")] == [0.0, 0.0, 0.0]


def test_mean_by_hand():
    """Rewards 1, 2, 3 and then 10: 6/3 = 2, then 16/4 = 4 (not the mean of step means, 6)."""
    shift = RewardShift("mean")
    shift.update(6.0, 3)
    assert shift.value == 2.0
    shift.update(10.0, 1)
    assert shift.value == 4.0


def test_ema_by_hand():
    """Decay 1/2, step means 2, 10, 4: 2; (1/2 2 + 10)/(3/2) = 22/3; (1/4 2 + 1/2 10 + 4)/(7/4) = 38/7."""
    shift = RewardShift("ema", 0.5)
    values = []
    for total, count in ((6.0, 3), (10.0, 1), (8.0, 2)):
        shift.update(total, count)
        values.append(shift.value)
    assert values == pytest.approx([2, 22 / 3, 38 / 7], rel=1e-15)


def test_none_stays_zero():
    shift = RewardShift("none")
    shift.update(5.0, 1)
    assert shift.value == 0.0


@settings(max_examples=50)
@given(steps=STEPS)
def test_mean_is_the_mean_of_all_rewards_however_they_are_split(steps):
    shift = RewardShift("mean")
    for step in steps:
        shift.update(math.fsum(step), len(step))
    everything = [Fraction(reward) for step in steps for reward in step]
    assert shift.value == pytest.approx(float(sum(everything) / len(everything)), abs=1e-12)


@settings(max_examples=50)
@given(steps=STEPS, decay=st.floats(0, 1))
def test_ema_weights_sum_to_one_and_fade(steps, decay):
    """Against the definition, sum of decay^age * step mean over sum of decay^age; a constant is its own average."""
    shift, constant = RewardShift("ema", decay), RewardShift("ema", decay)
    for step in steps:
        shift.update(math.fsum(step), len(step))
        constant.update(3.0 * len(step), len(step))
    means = [math.fsum(step) / len(step) for step in steps]
    weights = [decay**age for age in range(len(steps))][::-1]
    wanted = math.fsum(w * m for w, m in zip(weights, means, strict=True)) / math.fsum(weights)
    assert shift.value == pytest.approx(wanted, abs=1e-9)
    assert constant.value == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize("kind", ["mean", "ema", "none"])
def test_resumed_equals_uninterrupted_to_the_last_bit(kind):
    whole, first = RewardShift(kind, 0.9), RewardShift(kind, 0.9)
    steps = [(0.1 * i - 1 / 3, i % 4 + 1) for i in range(20)]
    for total, count in steps[:7]:
        first.update(total, count)
    resumed = RewardShift(kind, 0.9)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for total, count in steps[7:]:
        resumed.update(total, count)
    for total, count in steps:
        whole.update(total, count)
    assert resumed.value == whole.value


def test_a_step_without_pairs_changes_nothing():
    shift = RewardShift("ema", 0.5)
    shift.update(4.0, 2)
    shift.update(0.0, 0)
    assert shift.value == 2.0


def test_refusals():
    with pytest.raises(ValueError, match="reward shift 'median' is none of mean, ema, none"):
        RewardShift("median")
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.5"):
        RewardShift("ema", 1.5)
    with pytest.raises(FloatingPointError, match="diverged"):
        RewardShift().update(float("nan"), 2)
    with pytest.raises(ValueError, match="has kind 'ema', this run asks for 'mean'"):
        RewardShift("mean").load_state_dict(RewardShift("ema").state_dict())
