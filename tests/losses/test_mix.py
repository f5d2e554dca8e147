"""The weighted sum: by hand, which parts are computed, where gradients go, and that splitting pairs changes nothing."""

import pytest
import torch

from mixpo.losses.mix import Objective, Terms, mix
from mixpo.losses.objective import COUPLING, GENERATION, PREFERENCE, QUALITY, SMOOTHED

NAMES = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")


def random_terms(pairs: int, seed: int = 0) -> Terms:
    torch.manual_seed(seed)
    policy = -torch.rand(2, pairs, dtype=torch.float64) * 50 - 1
    reference = policy + torch.randn(2, pairs, dtype=torch.float64) * 5
    return Terms(
        chosen_logps=policy[0].clone().requires_grad_(),
        rejected_logps=policy[1].clone().requires_grad_(),
        ref_chosen_logps=reference[0],
        ref_rejected_logps=reference[1],
        chosen_lengths=torch.randint(5, 40, (pairs,)).double(),
        rejected_lengths=torch.randint(5, 40, (pairs,)).double(),
    )


def smoothing(preference: str) -> dict[str, float]:
    return {"label_smoothing": 0.1} if preference in SMOOTHED else {}


def part_of(terms: Terms, rows: slice) -> Terms:
    names = (*NAMES, "chosen_lengths", "rejected_lengths")
    return Terms(**{name: getattr(terms, name)[rows] for name in names})


def test_by_hand():
    """beta 0.1: rewards 0.1 (-7 + 10) = 0.3 and 0.1 (-9 + 10) = 0.1; shift 0.5.

    L_p = -log sigmoid(0.2) = 0.598139; L_q = -log sigmoid(-0.2) - log sigmoid(0.4) = 0.798139 + 0.513015 = 1.311154;
    L_g = 7 / 14 = 0.5; total 0.8 * 0.598139 + 0.2 * 1.311154 + 0.5 = 1.240742.
    """
    values = {"chosen_logps": -7.0, "rejected_logps": -9.0, "ref_chosen_logps": -10.0, "ref_rejected_logps": -10.0}
    tensors = {name: torch.tensor([value]) for name, value in values.items()}
    terms = Terms(**tensors, chosen_lengths=torch.tensor([14.0]), rejected_lengths=torch.tensor([3.0]))
    mixed = mix(terms, Objective(), shift=0.5)
    wanted = {
        "preference": 0.598139,
        "quality": 1.311154,
        "generation": 0.5,
        "chosen_rewards": 0.3,
        "rejected_rewards": 0.1,
        "total": 1.240742,
    }
    for name, value in wanted.items():
        torch.testing.assert_close(getattr(mixed, name), torch.tensor([value]), atol=1e-5, rtol=0)


def test_sft_alone_needs_chosen_only():
    objective = Objective(preference_weight=0.0, quality_weight=0.0)
    terms = Terms(chosen_logps=torch.tensor([-6.0, -4.0]), chosen_lengths=torch.tensor([3.0, 8.0]))
    mixed = mix(terms, objective)
    torch.testing.assert_close(mixed.total, torch.tensor([2.0, 0.5]))
    assert mixed.preference is mixed.quality is mixed.chosen_rewards is mixed.rejected_rewards is None


def test_orpo_needs_no_reference():
    """P(chosen) = 1/2 and P(rejected) = 1/4 a token: SFT ln 2 + 0.1 * 0.287682."""
    objective = Objective(preference="orpo", preference_weight=0.1, quality_weight=0.0)
    logps = torch.tensor([0.5, 0.25]).log()
    terms = Terms(
        chosen_logps=4 * logps[:1],
        rejected_logps=6 * logps[1:],
        chosen_lengths=torch.tensor([4.0]),
        rejected_lengths=torch.tensor([6.0]),
    )
    mixed = mix(terms, objective)
    torch.testing.assert_close(mixed.total, torch.tensor([0.693147 + 0.1 * 0.287682]))
    assert mixed.chosen_rewards is None


def test_only_the_total_carries_a_gradient_and_none_reaches_the_reference():
    terms = random_terms(4)
    for name in ("ref_chosen_logps", "ref_rejected_logps"):
        getattr(terms, name).requires_grad_()
    mixed = mix(terms, Objective(), shift=0.3)
    assert mixed.total.requires_grad
    parts = (mixed.preference, mixed.quality, mixed.generation, mixed.chosen_rewards, mixed.rejected_rewards)
    assert not any(part.requires_grad for part in parts)


@pytest.mark.parametrize("generation", list(GENERATION))
@pytest.mark.parametrize("quality", list(QUALITY))
@pytest.mark.parametrize("preference", [name for name in PREFERENCE if name not in COUPLING])
def test_any_split_gives_the_same_values_and_gradients(preference, quality, generation):
    """Seven pairs at once, or 3 and 4: the pairs' values are the same, and so is the gradient of their sum."""
    objective = Objective(preference=preference, quality=quality, generation=generation, **smoothing(preference))
    terms = random_terms(7)
    inputs = (terms.chosen_logps, terms.rejected_logps)
    options = {"shift": 0.4, "mean_length": 17.5}
    whole = mix(terms, objective, **options).total
    split = torch.cat([mix(part_of(terms, rows), objective, **options).total for rows in (slice(3), slice(3, 7))])
    assert whole.shape == (7,)
    torch.testing.assert_close(split, whole, atol=0, rtol=1e-14)
    for mine, theirs in zip(
        torch.autograd.grad(split.sum(), inputs), torch.autograd.grad(whole.sum(), inputs), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=1e-13)


@pytest.mark.parametrize("preference", list(PREFERENCE))
def test_float32_is_close_to_float64(preference):
    """Log-probabilities of float32, about -1e3 to 1e-4, lose no more than that in the loss."""
    objective = Objective(preference=preference, **smoothing(preference))
    exact = random_terms(16)
    single = Terms(**{name: getattr(exact, name).float() for name in (*NAMES, "chosen_lengths", "rejected_lengths")})
    torch.testing.assert_close(
        mix(single, objective, shift=0.2).total, mix(exact, objective, shift=0.2).total.float(), atol=1e-4, rtol=1e-5
    )


def test_token_mean_is_the_mean_over_all_tokens():
    terms = random_terms(6)
    objective = Objective(preference_weight=0.0, quality_weight=0.0, generation="sft_token_mean")
    mean_length = terms.chosen_lengths.mean().item()
    mean = mix(terms, objective, mean_length=mean_length).total.mean()
    torch.testing.assert_close(mean, -terms.chosen_logps.sum() / terms.chosen_lengths.sum())


def test_preference_beta_leaves_rewards_and_quality_alone():
    terms = random_terms(3)
    plain, own = mix(terms, Objective()), mix(terms, Objective(preference_beta=0.5))
    torch.testing.assert_close(own.quality, plain.quality, atol=0, rtol=0)
    torch.testing.assert_close(own.chosen_rewards, plain.chosen_rewards, atol=0, rtol=0)
    torch.testing.assert_close(own.preference, mix(terms, Objective(beta=0.5)).preference, atol=0, rtol=0)


def test_kto_takes_the_shift_as_its_reference_point_but_not_below_zero():
    """A KL divergence is not negative: shift -0.7 counts as 0."""
    terms = random_terms(3)
    objective = Objective(quality="kto")
    below, zero, above = (mix(terms, objective, shift=shift).quality for shift in (-0.7, 0.0, 0.7))
    torch.testing.assert_close(below, zero, atol=0, rtol=0)
    wanted = (0.7 - 0.1 * (terms.chosen_logps - terms.ref_chosen_logps)).sigmoid()
    wanted = wanted + (0.1 * (terms.rejected_logps - terms.ref_rejected_logps) - 0.7).sigmoid()
    torch.testing.assert_close(above, wanted.detach())


def test_sixteen_bit_logps_are_a_bug():
    terms = Terms(chosen_logps=torch.tensor([-300.0], dtype=torch.bfloat16), chosen_lengths=torch.tensor([4.0]))
    with pytest.raises(AssertionError, match="16 bits"):
        mix(terms, Objective(preference_weight=0.0, quality_weight=0.0))
