"""Each formula: arithmetic to redo by hand, its definition in Python's floats, and what must hold for any input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mixpo.losses.formulas import (
    aot,
    apo_down,
    apo_zero,
    bco,
    blend,
    cdpo,
    dpo,
    exo,
    ipo,
    kto,
    nca,
    orpo,
    robust_dpo,
    rso_hinge,
    sft,
    sft_token_mean,
    simpo,
    sppo,
)

LN2 = math.log(2)
REWARDS = st.floats(-20, 20)


def of(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(mine: Tensor, *wanted: float, atol: float = 1e-6) -> None:
    torch.testing.assert_close(mine, of(*wanted), atol=atol, rtol=0)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# -- by hand -------------------------------------------------------------------------------------------------------


def test_dpo_by_hand():
    """Rewards 0.3 and 0.1: margin 0.2, sigmoid(0.2) = 0.549834, -log of it = 0.598139; margin 0: ln 2."""
    close(dpo(of(0.3, 1.0), of(0.1, 1.0)), 0.598139, 0.693147)


def test_bco_by_hand():
    """Shift 0.1. Chosen 0.3: -log sigmoid(0.2) = 0.598139. Rejected -0.1: -log sigmoid(0.2) again. Sum 1.196278."""
    close(bco(of(0.3), of(-0.1), 0.1), 1.196278)


def test_bco_shift_moves_both_rewards_down():
    """Shift 0.5 on rewards 0.5 and 0.5: both sigmoids at 0, 2 ln 2. A shift with the wrong sign would give 1.626523."""
    close(bco(of(0.5), of(0.5), 0.5), 2 * LN2)


def test_sft_by_hand():
    """Log-probabilities -6 over 3 tokens and -4 over 8: 2 and 0.5 a token."""
    close(sft(of(-6.0, -4.0), of(3, 8)), 2.0, 0.5)


def test_sft_token_mean_by_hand():
    """The same completions: 10 nats over 11 tokens; mean length 5.5, so 6/5.5 and 4/5.5, whose mean is 10/11."""
    values = sft_token_mean(of(-6.0, -4.0), 5.5)
    close(values, 6 / 5.5, 4 / 5.5)
    assert values.mean().item() == pytest.approx(10 / 11)


def test_rso_hinge_by_hand():
    """Margins 0.25, 1 and 3: 0.75, then nothing left to gain."""
    close(rso_hinge(of(0.5, 1.0, 1.0), of(0.25, 0.0, -2.0)), 0.75, 0.0, 0.0)


def test_ipo_by_hand():
    """tau 0.1: the target is 5. h = 3 and 1: (2 - 5)^2 = 9; h = 4 and -1: 0; h = 8 and 0: overshooting costs 9 too."""
    close(ipo(of(3.0, 4.0, 8.0), of(1.0, -1.0, 0.0), 0.1), 9.0, 0.0, 9.0)


def test_cdpo_by_hand():
    """Margin 0.2, eps 0.1: 0.9 * 0.598139 + 0.1 * 0.798139 = 0.618139."""
    close(cdpo(of(0.3), of(0.1), 0.1), 0.618139)


def test_robust_dpo_by_hand():
    """Margin 0.2, eps 0.1: (0.9 * 0.598139 - 0.1 * 0.798139) / 0.8 = (0.538325 - 0.079814) / 0.8 = 0.573139."""
    close(robust_dpo(of(0.3), of(0.1), 0.1), 0.573139)


def test_sppo_by_hand():
    """beta 0.1: targets +5 and -5. h = 2 and 1: (2 - 5)^2 + (1 + 5)^2 = 9 + 36."""
    close(sppo(of(2.0), of(1.0), 0.1), 45.0)


def test_aot_by_hand():
    """Policy margins (3, 1) sort to (1, 3), the reference's (0, 2) stay: differences 1 and 1 (unsorted 3 and -1).

    beta 0.2: -log sigmoid(0.2) = 0.598139 twice.
    """
    close(aot(of(3.0, 1.0), of(0.0, 2.0), 0.2, 0.0), 0.598139, 0.598139)


def test_orpo_by_hand():
    """P = 1/2 has odds 1, P = 1/4 odds 1/3: odds ratio 3, sigmoid(ln 3) = 3/4, -ln(3/4) = 0.287682."""
    close(orpo(of(math.log(1 / 2)), of(math.log(1 / 4))), 0.287682)


def test_nca_by_hand():
    """Rewards 0.2 and -0.2: 0.598139 + 0.5 * 0.798139 + 0.5 * 0.598139 = 1.296278."""
    close(nca(of(0.2), of(-0.2)), 1.296278)


def test_apo_by_hand():
    """Rewards ln 3 and -ln 3, sigmoids 3/4 and 1/4, of their difference 9/10.

    Zero: 1 - 3/4 + 1/4 = 0.5. Down: 3/4 + 1 - 9/10 = 0.85.
    """
    close(apo_zero(of(math.log(3)), of(-math.log(3))), 0.5)
    close(apo_down(of(math.log(3)), of(-math.log(3))), 0.85)


def test_exo_by_hand():
    """eps 0.2. Margin 0: p = 1/2, 0.5 ln(0.5/0.8) + 0.5 ln(0.5/0.2) = 0.223144. Margin ln 4: p = 0.8 = 1 - eps, 0."""
    close(exo(of(0.0, math.log(4)), of(0.0, 0.0), 0.2), 0.223144, 0.0)


def test_simpo_by_hand():
    """beta 2, gamma 0.5: 2 (-0.5 + 0.85) - 0.5 = 0.2: 0.598139."""
    close(simpo(of(-0.5), of(-0.85), 2.0, 0.5), 0.598139)


def test_kto_by_hand():
    """z = 0.5. Chosen 0.5 + ln 3: 1 - 3/4; rejected 0.5 - ln 3: 1 - 3/4. With weights 1 and 2: 0.25 + 0.5."""
    close(kto(of(0.5 + math.log(3)), of(0.5 - math.log(3)), 0.5, 1.0, 2.0), 0.75)


# -- any input -----------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(chosen=REWARDS, rejected=REWARDS, shift=st.floats(-5, 5), eps=st.floats(0.01, 0.45))
def test_formulas_equal_their_definitions(chosen, rejected, shift, eps):
    """Every formula of rewards against Python's floats, where sigmoid and logarithm are still apart."""
    c, r, margin = of(chosen), of(rejected), chosen - rejected

    def nll(x: float) -> float:
        return -math.log(sigmoid(x))

    close(dpo(c, r), nll(margin), atol=1e-9)
    close(bco(c, r, shift), nll(chosen - shift) + nll(shift - rejected), atol=1e-9)
    close(rso_hinge(c, r), max(0.0, 1 - margin), atol=1e-12)
    close(cdpo(c, r, eps), (1 - eps) * nll(margin) + eps * nll(-margin), atol=1e-9)
    close(robust_dpo(c, r, eps), ((1 - eps) * nll(margin) - eps * nll(-margin)) / (1 - 2 * eps), atol=1e-8)
    close(nca(c, r), nll(chosen) + 0.5 * nll(-chosen) + 0.5 * nll(-rejected), atol=1e-9)
    close(apo_zero(c, r), 1 - sigmoid(chosen) + sigmoid(rejected), atol=1e-12)
    close(apo_down(c, r), sigmoid(chosen) + 1 - sigmoid(margin), atol=1e-12)
    p = sigmoid(margin)
    close(exo(c, r, eps), p * math.log(p / (1 - eps)) + (1 - p) * math.log(sigmoid(-margin) / eps), atol=1e-9)
    close(kto(c, r, shift), 1 - sigmoid(chosen - shift) + 1 - sigmoid(shift - rejected), atol=1e-12)
    tau = 0.1 + eps
    close(ipo(c, r, tau), (margin - 1 / (2 * tau)) ** 2, atol=1e-9)
    close(sppo(c, r, tau), (chosen - 1 / (2 * tau)) ** 2 + (rejected + 1 / (2 * tau)) ** 2, atol=1e-9)


@settings(max_examples=50)
@given(chosen=st.floats(-30, -1e-3), rejected=st.floats(-30, -1e-3))
def test_orpo_is_the_odds_ratio(chosen, rejected):
    odds = [math.exp(x) / -math.expm1(x) for x in (chosen, rejected)]
    close(orpo(of(chosen), of(rejected)), math.log1p(odds[1] / odds[0]), atol=1e-9)


@settings(max_examples=50)
@given(chosen=REWARDS, rejected=REWARDS)
def test_swapping_the_pair(chosen, rejected):
    """-log sigmoid(m) - (-log sigmoid(-m)) = -m: what a swap costs is the margin. cDPO at eps 1/2 does not see it."""
    c, r = of(chosen), of(rejected)
    close(dpo(c, r) - dpo(r, c), rejected - chosen, atol=1e-9)
    torch.testing.assert_close(cdpo(c, r, 0.5), cdpo(r, c, 0.5))


@settings(max_examples=30)
@given(chosen=REWARDS, rejected=REWARDS, eps=st.floats(0.0, 0.4))
def test_robust_dpo_is_unbiased(chosen, rejected, eps):
    """Labels swapped with probability eps: the expectation of the robust loss is the DPO loss of the true labels."""
    c, r = of(chosen), of(rejected)
    expectation = (1 - eps) * robust_dpo(c, r, eps) + eps * robust_dpo(r, c, eps)
    torch.testing.assert_close(expectation, dpo(c, r), atol=1e-8, rtol=1e-8)


def test_smoothing_zero_is_dpo():
    c, r = torch.randn(2, 50, dtype=torch.float64).unbind()
    torch.testing.assert_close(cdpo(c, r, 0.0), dpo(c, r))
    torch.testing.assert_close(robust_dpo(c, r, 0.0), dpo(c, r))


def test_aot_of_one_pair_is_cdpo_and_order_does_not_matter():
    c, r, ref_c, ref_r = torch.randn(4, 9, dtype=torch.float64).unbind()
    for i in range(9):
        one = aot((c - r)[i : i + 1], (ref_c - ref_r)[i : i + 1], 0.7, 0.1)
        torch.testing.assert_close(one, cdpo(0.7 * (c - ref_c)[i : i + 1], 0.7 * (r - ref_r)[i : i + 1], 0.1))
    order = torch.randperm(9)
    torch.testing.assert_close(aot(c, r, 0.7, 0.1), aot(c[order], r[order.flip(0)], 0.7, 0.1))


@pytest.mark.parametrize(
    ("loss", "signs"),
    [
        (dpo, (-1, 1)),
        (rso_hinge, (-1, 1)),
        (lambda c, r: bco(c, r, 0.3), (-1, 1)),
        (lambda c, r: cdpo(c, r, 0.1), (-1, 1)),
        (lambda c, r: robust_dpo(c, r, 0.1), (-1, 1)),
        (lambda c, r: ipo(c, r, 0.1), (-1, 1)),
        (lambda c, r: sppo(c, r, 0.1), (-1, 1)),
        (lambda c, r: exo(c, r, 1e-3), (-1, 1)),
        (lambda c, r: kto(c, r, 0.0), (-1, 1)),
        (nca, (-1, 1)),
        (apo_zero, (-1, 1)),
        (apo_down, (0, 1)),
    ],
)
def test_direction_at_the_first_step(loss, signs):
    """Where policy and reference agree, descent raises the chosen reward and lowers the rejected one.

    APO-down only lowers the rejected one there: the two terms' pulls on the chosen reward cancel, 1/4 - 1/4.
    """
    chosen, rejected = (torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    gradients = torch.autograd.grad(loss(chosen, rejected).sum(), (chosen, rejected))
    assert [gradient.sign().item() for gradient in gradients] == list(signs)


@pytest.mark.parametrize("margin", [1e4, -1e4])
def test_far_rewards_stay_finite_in_float32(margin):
    """Sums of log-probabilities differ by thousands of nats when a policy leaves its reference: no inf, no NaN."""
    smoothed = (lambda c, r: exo(c, r, 1e-3), lambda c, r: cdpo(c, r, 0.1), lambda c, r: robust_dpo(c, r, 0.1))
    for loss in (dpo, nca, apo_zero, apo_down, lambda c, r: bco(c, r, 0.0), lambda c, r: kto(c, r, 0.0), *smoothed):
        chosen = torch.tensor([margin], requires_grad=True)
        value = loss(chosen, torch.tensor([-margin]))
        (gradient,) = torch.autograd.grad(value.sum(), chosen)
        assert value.isfinite().all()
        assert gradient.isfinite().all()
    assert torch.equal(dpo(torch.tensor([-1e4]), torch.tensor([1e4])), torch.tensor([2e4]))


def test_orpo_of_a_certain_completion_is_finite():
    logps = torch.zeros(1, requires_grad=True)
    value = orpo(logps, torch.tensor([-1.0]))
    (gradient,) = torch.autograd.grad(value.sum(), logps)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


# -- the moving reference ------------------------------------------------------------------------------------------


def test_blend():
    """alpha 0.25: 0.25 * 8 + 0.75 * 4 = 5. In place, in the reference's own precision, without a gradient."""
    reference = [torch.full((2,), 4.0, dtype=torch.bfloat16)]
    policy = [torch.full((2,), 8.0, requires_grad=True)]
    blend(reference, policy, 0.25)
    torch.testing.assert_close(reference[0], torch.full((2,), 5.0, dtype=torch.bfloat16))
    blend(reference, policy, 1.0)
    torch.testing.assert_close(reference[0], torch.full((2,), 8.0, dtype=torch.bfloat16))
    assert not reference[0].requires_grad


def test_blend_refuses_other_parameters():
    with pytest.raises(ValueError, match=r"parameters of \(2,\) and \(3,\)"):
        blend([torch.zeros(2)], [torch.zeros(3)], 0.5)
    with pytest.raises(ValueError, match="zip"):
        blend([torch.zeros(2)], [], 0.5)
