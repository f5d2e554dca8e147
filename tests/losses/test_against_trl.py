"""Our losses against TRL 1.16's own code on the same log-probabilities: equal, or how TRL deviates from the paper.

`DPOTrainer._compute_loss` runs as it stands. Only what stands around it is replaced: a "model" that returns given
per-token log-probabilities, and a trainer object that was not built (building one wants a real model and data).
"""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from mixpo.losses.mix import Objective, Terms, mix

trl = pytest.importorskip("trl", reason="TRL is not installed: pip install 'mixpo[bench]'")

PAIRS, LENGTH = 4, 9


class Tokens:
    """Per-token log-probabilities of 4 pairs, completions of 2 to 8 tokens after a prompt token, padded with 0."""

    def __init__(self, seed: int = 0):
        torch.manual_seed(seed)
        self.lengths = torch.randint(2, LENGTH, (2 * PAIRS,))
        self.mask = (torch.arange(LENGTH - 1) < self.lengths[:, None]).long()
        self.policy = -torch.rand(2 * PAIRS, LENGTH - 1) * 3 * self.mask
        self.reference = (self.policy + torch.randn(2 * PAIRS, LENGTH - 1)) * self.mask
        self.policy.requires_grad_()

    def rows(self, pair: int | None) -> list[int]:
        """Chosen rows first, then rejected: TRL's order."""
        pairs = range(PAIRS) if pair is None else [pair]
        return [*pairs, *(PAIRS + number for number in pairs)]

    def terms(self) -> Terms:
        policy, reference, lengths = self.policy.sum(1), self.reference.sum(1), self.lengths.float()
        return Terms(
            chosen_logps=policy[:PAIRS],
            rejected_logps=policy[PAIRS:],
            ref_chosen_logps=reference[:PAIRS],
            ref_rejected_logps=reference[PAIRS:],
            chosen_lengths=lengths[:PAIRS],
            rejected_lengths=lengths[PAIRS:],
        )


def trl_loss(tokens, names, weights, pair=None, beta=0.1, label_smoothing=0.0):
    """What TRL makes of one pair, or the mean over all of them."""
    rows = tokens.rows(pair)
    reference = tokens.reference[rows].sum(1)
    completion_mask = torch.cat([torch.zeros(len(rows), 1, dtype=torch.long), tokens.mask[rows]], dim=1)
    inputs = {
        "input_ids": torch.zeros_like(completion_mask),
        "attention_mask": torch.ones_like(completion_mask),
        "completion_mask": completion_mask,
        "ref_chosen_logps": reference[: len(rows) // 2],
        "ref_rejected_logps": reference[len(rows) // 2 :],
    }
    zeros = torch.zeros(len(rows), LENGTH - 1)

    def model(**_):
        logps = tokens.policy[rows]
        return SimpleNamespace(log_probs=logps, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())

    trainer = object.__new__(trl.DPOTrainer)
    trainer.model = SimpleNamespace(training=True)
    trainer.accelerator = SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x)
    trainer.aux_loss_enabled = trainer.use_weighting = False
    trainer.ld_alpha = None
    trainer.precompute_ref_logps = True
    trainer.f_divergence_type = "reverse_kl"
    trainer.loss_types, trainer.loss_weights = names, weights
    trainer.beta, trainer.label_smoothing = beta, label_smoothing
    trainer._metrics = {"train": defaultdict(list)}
    trainer._total_train_tokens, trainer._tp_size = 0, 1
    return trainer._compute_loss(model, inputs, return_outputs=False)


def only(preference, **options):
    return Objective(preference=preference, preference_weight=1.0, quality_weight=0.0, generation_weight=0.0, **options)


@pytest.mark.parametrize(
    ("theirs", "ours", "options"),
    [
        ("sigmoid", "dpo", {}),
        ("hinge", "rso_hinge", {}),
        ("robust", "robust_dpo", {"label_smoothing": 0.1}),
        ("sppo_hard", "sppo", {}),
        ("nca_pair", "nca", {}),
        ("apo_zero", "apo_zero", {}),
        ("apo_down", "apo_down", {}),
        ("exo_pair", "exo", {"label_smoothing": 1e-3}),
    ],
)
@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_preference_losses_equal_trl_pair_by_pair(theirs, ours, options, beta):
    tokens = Tokens()
    mine = mix(tokens.terms(), only(ours, beta=beta, **options)).total
    wanted = torch.stack([trl_loss(tokens, [theirs], [1.0], pair, beta, **options) for pair in range(PAIRS)])
    torch.testing.assert_close(mine, wanted, atol=1e-6, rtol=1e-5)


def test_aot_equals_trl():
    """It sorts over the pairs, so the whole batch is compared."""
    tokens = Tokens()
    mine = mix(tokens.terms(), only("aot", beta=0.5, label_smoothing=0.1)).total.mean()
    torch.testing.assert_close(mine, trl_loss(tokens, ["aot"], [1.0], None, 0.5, 0.1))


def test_mpo_with_shift_none_and_token_mean_equals_trl():
    """TRL's recipe for MPO is ours without the shift and with the token mean: loss and gradients."""
    tokens = Tokens()
    objective = Objective(generation="sft_token_mean")
    mine = mix(tokens.terms(), objective, shift=0.0, mean_length=tokens.lengths[:PAIRS].float().mean().item()).total
    wanted = trl_loss(tokens, ["sigmoid", "bco_pair", "sft"], [0.8, 0.2, 1.0])
    torch.testing.assert_close(mine.mean(), wanted)
    mine_grad, wanted_grad = (torch.autograd.grad(loss, tokens.policy)[0] for loss in (mine.mean(), wanted))
    torch.testing.assert_close(mine_grad * tokens.mask, wanted_grad * tokens.mask)


def test_trl_deviates_bco_pair_has_no_shift():
    """arXiv 2411.10442, equations 6 and 7, subtract delta; TRL's `bco_pair` is ours with shift 0 and with no other."""
    tokens = Tokens()
    objective = Objective(preference_weight=0.0, quality_weight=1.0, generation_weight=0.0)
    theirs = trl_loss(tokens, ["bco_pair"], [1.0])
    torch.testing.assert_close(mix(tokens.terms(), objective, shift=0.0).total.mean(), theirs)
    assert (mix(tokens.terms(), objective, shift=0.3).total.mean() - theirs).abs() > 1e-2


def test_trl_deviates_sft_is_a_token_mean():
    """Equation 8 divides each completion by its own length; TRL's `sft` divides all of them by all their tokens.

    One pair alone cannot tell the two apart; completions of unlike length can.
    """
    tokens = Tokens()
    objective = Objective(preference_weight=0.0, quality_weight=0.0)
    per_sequence = mix(tokens.terms(), objective).total
    for pair in range(PAIRS):
        torch.testing.assert_close(per_sequence[pair], trl_loss(tokens, ["sft"], [1.0], pair))
    chosen, lengths = -tokens.policy[:PAIRS].sum(), tokens.lengths[:PAIRS].sum()
    theirs = trl_loss(tokens, ["sft"], [1.0])
    torch.testing.assert_close(theirs, chosen / lengths)
    assert (per_sequence.mean() - theirs).abs() > 1e-3


def test_trl_deviates_ipo_is_per_token():
    """arXiv 2310.12036, equation 17, has the log-ratio of the whole completion (our `ipo`); TRL's is per token."""
    tokens = Tokens()
    mine, whole = (mix(tokens.terms(), only(name, beta=0.5)).total for name in ("ipo_mean", "ipo"))
    wanted = torch.stack([trl_loss(tokens, ["ipo"], [1.0], pair, 0.5) for pair in range(PAIRS)])
    torch.testing.assert_close(mine, wanted)
    assert ((whole - wanted).abs() > 1e-3).all()


def test_reference_free_losses_equal_trl():
    """ORPO's odds ratio and SimPO, from TRL's experimental trainers; both are given means per token."""
    orpo_trainer = pytest.importorskip("trl.experimental.orpo", reason="this TRL has no ORPOTrainer").ORPOTrainer
    cpo_trainer = pytest.importorskip("trl.experimental.cpo", reason="this TRL has no CPOTrainer").CPOTrainer
    tokens = Tokens()
    terms = tokens.terms()
    accelerator = SimpleNamespace(device="cpu")
    orpo_self = SimpleNamespace(beta=1.0, accelerator=accelerator)
    wanted = -orpo_trainer.odds_ratio_loss(orpo_self, *terms.mean_logps)[0]
    torch.testing.assert_close(mix(terms, only("orpo")).total, wanted)
    cpo_self = SimpleNamespace(
        beta=2.0, simpo_gamma=0.5, alpha=0.0, loss_type="simpo", label_smoothing=0.0, accelerator=accelerator
    )
    wanted = cpo_trainer.cpo_loss(cpo_self, *terms.mean_logps)[0]
    torch.testing.assert_close(mix(terms, only("simpo", preference_beta=2.0)).total, wanted)
