"""What an objective asks for, what it must be at the first step, and what it refuses."""

import math

import pytest
import torch

from mixpo.losses.mix import Objective, Terms, mix
from mixpo.losses.objective import GENERATION, PREFERENCE, QUALITY, SMOOTHED

LN2 = math.log(2)
ONLY_PREFERENCE = {"preference_weight": 1.0, "quality_weight": 0.0, "generation_weight": 0.0}


def test_defaults_are_the_papers():
    """MPO: 0.8 ln 2 + 0.2 (2 ln 2) = 1.2 ln 2 = 0.831777."""
    objective = Objective()
    assert objective.first_step_expectation == pytest.approx(0.831777, abs=1e-6)
    assert (objective.preference, objective.quality, objective.generation, objective.beta) == ("dpo", "bco", "sft", 0.1)


EXPECTED = {
    "dpo": LN2,
    "rso_hinge": 1.0,
    "ipo": 25.0,  # (1 / (2 * 0.1))^2
    "ipo_mean": 25.0,
    "cdpo": LN2,
    "robust_dpo": LN2,
    "sppo": 50.0,  # (0.5 / 0.1)^2 twice
    "aot": LN2,
    "orpo": None,
    "nca": 2 * LN2,
    "apo_zero": 1.0,
    "apo_down": 1.0,
    "exo": 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1),
    "simpo": None,
}
"""The value of each preference loss where policy and reference are equal (beta 0.1, label smoothing 0.1)."""


@pytest.mark.parametrize("name", list(PREFERENCE))
def test_first_step_of_every_preference(name):
    """The closed form, and the value that `mix` gives where policy and reference are equal."""
    expected = EXPECTED[name]
    smoothing = {"label_smoothing": 0.1} if name in SMOOTHED else {}
    objective = Objective(preference=name, **smoothing, **ONLY_PREFERENCE)
    assert objective.first_step_expectation == (None if expected is None else pytest.approx(expected, rel=1e-12))
    logps = -torch.rand(2, 5, dtype=torch.float64) * 300
    terms = Terms(
        chosen_logps=logps[0],
        rejected_logps=logps[1],
        ref_chosen_logps=logps[0],
        ref_rejected_logps=logps[1],
        chosen_lengths=torch.full((5,), 100.0),
        rejected_lengths=torch.full((5,), 120.0),
    )
    if expected is not None:
        torch.testing.assert_close(mix(terms, objective).total, torch.full((5,), expected, dtype=torch.float64))


def test_first_step_of_quality_and_of_sft():
    weights = {"preference_weight": 0.0, "quality_weight": 1.0}
    assert Objective(quality="bco", **weights).first_step_expectation == pytest.approx(2 * LN2)
    assert Objective(quality="kto", **weights).first_step_expectation == pytest.approx(1.0)
    assert Objective(quality="kto", undesirable_weight=3.0, **weights).first_step_expectation == pytest.approx(2.0)
    assert Objective(preference_weight=0.0, quality_weight=0.0).first_step_expectation == 0.0


@pytest.mark.parametrize(
    ("objective", "rejected", "reference"),
    [
        (Objective(), True, True),
        (Objective(preference_weight=0.0, quality_weight=0.0), False, False),
        (Objective(preference="orpo", preference_weight=0.1, quality_weight=0.0), True, False),
        (Objective(preference="simpo", quality_weight=0.0), True, False),
        (Objective(preference="simpo", quality_weight=0.2), True, True),
        (Objective(preference="simpo", preference_weight=0.0, quality_weight=0.2), True, True),
        (Objective(preference_weight=0.0, quality_weight=0.2), True, True),
    ],
)
def test_needs(objective, rejected, reference):
    assert (objective.needs_rejected, objective.needs_reference) == (rejected, reference)


def test_other_needs():
    assert not Objective().couples_pairs
    assert Objective(preference="aot").couples_pairs
    assert not Objective(preference="aot", preference_weight=0.0).couples_pairs
    assert Objective(generation="sft_token_mean").needs_mean_length
    assert not Objective(generation="sft_token_mean", generation_weight=0.0).needs_mean_length
    assert not Objective().needs_mean_length


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"preference": "dop"}, f"preference 'dop' is none of {', '.join(PREFERENCE)}"),
        ({"quality": "dpo"}, f"quality 'dpo' is none of {', '.join(QUALITY)}"),
        ({"generation": ""}, f"generation '' is none of {', '.join(GENERATION)}"),
        ({"quality_weight": -0.1}, "quality_weight must be a number of at least 0, not -0.1"),
        ({"preference_weight": math.nan}, "preference_weight must be a number of at least 0, not nan"),
        (
            {"preference_weight": 0.0, "quality_weight": 0.0, "generation_weight": 0.0},
            "the weights of preference, quality and generation are all 0: there is nothing to train",
        ),
        ({"beta": 0.0}, "beta must be above 0, not 0.0"),
        ({"preference_beta": -1.0}, "preference_beta must be above 0, not -1.0"),
        ({"undesirable_weight": -1.0}, "undesirable_weight must be a number of at least 0, not -1.0"),
        ({"target_margin": math.inf}, "target_margin must be a number of at least 0, not inf"),
        ({"label_smoothing": 0.5}, "label_smoothing must be at least 0 and below 0.5, not 0.5"),
        (
            {"label_smoothing": 0.1},
            "label_smoothing=0.1 does nothing to preference 'dpo'; say which is meant (aot, cdpo, exo, robust_dpo; "
            "what older versions of TRL make of 'sigmoid' is cdpo)",
        ),
        (
            {"preference": "exo"},
            "preference exo needs label_smoothing above 0, for example 1e-3: it takes its logarithm",
        ),
    ],
)
def test_refusals_say_what_is_wrong(values, sentence):
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the whole sentence is compared
        Objective(**values)
    assert str(raised.value) == sentence
