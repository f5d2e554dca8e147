"""MPO on transformers' Trainer: takes what TRL's DPOTrainer takes, computes the paper's objective exactly.

Mixed Preference Optimization (arXiv 2411.10442, section 3.3). The loss is the mean over the pairs of the whole
optimizer step, every rank and micro-batch; with only the generation weight non-zero it is supervised fine-tuning
and needs neither a rejected column nor a reference.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from mixpo.batches.collator import Collator, split
from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Batch, Layout
from mixpo.errors import UserError
from mixpo.losses.mix import Mixed, Terms, mix
from mixpo.losses.reward_shift import RewardShift
from mixpo.training import checkpoints
from mixpo.training.config import MPOConfig
from mixpo.training.models import switch_dropout_off
from mixpo.training.reference import AdapterOff, FrozenCopy, Reference
from mixpo.training.scoring import output_head, score

log = logging.getLogger(__name__)
LAYOUT_TOLERANCE = 1e-4
"""Relative difference of log-probabilities up to which the shared layout counts as equal to the paired one."""


class MPOTrainer(Trainer):
    """Trains a vision-language model on preference pairs.

    Args:
        model: a transformers model, or a folder or hub name.
        args: `MPOConfig`.
        train_dataset, eval_dataset: rows `images, prompt, chosen, rejected` (TRL's conversational format).
        processing_class: the model's processor; loaded from `model` when that is a name.
        ref_model: the reference; by default a frozen copy of the model, or the model with its adapter off.
        peft_config: a peft configuration (LoRA), applied to the model.
    """

    def __init__(
        self,
        model: nn.Module | str,
        args: MPOConfig,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        ref_model: nn.Module | None = None,
        peft_config: Any = None,
        **kwargs: Any,
    ):
        if isinstance(model, str):
            from mixpo.training.models import load_model, load_processor

            processing_class = processing_class if processing_class is not None else load_processor(model)
            model = load_model(model)
        if processing_class is None:
            raise UserError("MPOTrainer needs processing_class: the model's processor (AutoProcessor.from_pretrained)")
        if peft_config is not None:
            from mixpo.training.adapters import with_adapter

            model = with_adapter(model, peft_config)
        switch_dropout_off(model)
        encoder = Encoder(processing_class, args.max_completion_length, args.truncate_completions)
        self.collator = Collator(encoder)
        self.objective = args.objective
        if self.objective.couples_pairs and args.gradient_accumulation_steps * args.world_size > 1:
            log.warning("the objective compares pairs with each other: its value depends on the micro-batches")
        self.shift = RewardShift(args.reward_shift, args.reward_shift_decay)
        self.layout = Layout(args.layout)
        self.head = output_head(model)
        self.reference: Reference | None = None
        if self.objective.needs_reference:
            adapted = ref_model is None and hasattr(model, "disable_adapter")
            self.reference = AdapterOff(model) if adapted else FrozenCopy(model, ref_model)
        super().__init__(
            model=model,
            args=args,
            data_collator=self.collator,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            **kwargs,
        )
        # compute_loss divides by the pairs of the whole step itself.
        self.loss_is_scaled_for_ga = True
        self.model_accepts_loss_kwargs = False
        self._sums: dict[str, defaultdict[str, float]] = {"train": defaultdict(float), "eval": defaultdict(float)}
        self._step_rewards = torch.zeros(2, dtype=torch.float64)
        self._batches_left = 0
        self._mean_length = 0.0
        if self.reference is not None:
            self.reference.to(self.args.device)

    # -- batches ---------------------------------------------------------------------------------------------------

    def get_batch_samples(
        self, epoch_iterator: Iterator[list[Example]], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], Tensor]:
        """The micro-batches of one optimizer step, rows of like length together, and its pairs on all ranks."""
        groups = [group for _, group in zip(range(num_batches), epoch_iterator)]
        examples = [example for group in groups for example in group]
        self._batches_left = len(groups)
        tokens = sum(len(example.completions[0]) for example in examples)
        counts = torch.tensor([len(examples), tokens], device=device)
        if self.args.world_size > 1:
            counts = self.accelerator.reduce(counts, "sum")
        pairs = counts[0]
        self._mean_length = (counts[1] / counts[0].clamp(min=1)).item()
        if not examples:
            return [], pairs
        if self.layout is Layout.AUTO:
            self.layout = self._choose_layout(examples[: len(groups[0])])
        return [self.collator.batch(part, self.layout) for part in split(examples, len(groups))], pairs

    @torch.no_grad()
    def _choose_layout(self, examples: list[Example]) -> Layout:
        """SHARED if it gives the paired layout's log-probabilities for these examples, else PAIRED."""
        training = self.model.training
        self.model.eval()
        try:
            logps = {
                layout: self._score(self.model, self.collator.batch(examples, layout))
                for layout in (Layout.PAIRED, Layout.SHARED)
            }
        except (ValueError, RuntimeError, TypeError) as error:
            log.warning("layout: paired, since the model does not take shared-prefix rows (%s)", error)
            return Layout.PAIRED
        finally:
            self.model.train(training)
        worst = (
            ((logps[Layout.SHARED] - logps[Layout.PAIRED]).abs() / logps[Layout.PAIRED].abs().clamp(min=1)).max().item()
        )
        if worst <= LAYOUT_TOLERANCE:
            return Layout.SHARED
        log.warning(
            "layout: paired, since shared-prefix rows change log-probabilities by up to %.1e relative "
            "(three-dimensional positions, sliding windows or bidirectional attention?)",
            worst,
        )
        return Layout.PAIRED

    def _prepare_inputs(self, inputs: Batch | list[Example]) -> Batch:
        if isinstance(inputs, list):
            layout = Layout.PAIRED if self.layout is Layout.AUTO else self.layout
            inputs = self.collator.batch(inputs, layout)
        return inputs.to(self.args.device)

    def floating_point_ops(self, inputs: Batch) -> int:
        """6 FLOPs a parameter and token, and 2 more for the reference (Kaplan et al. 2020, section 2.1)."""
        factor = 8 if self.reference is not None else 6
        return factor * inputs.tokens * sum(parameter.numel() for parameter in self.model.parameters())

    # -- loss ------------------------------------------------------------------------------------------------------

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Sum of the pairs' losses over the pairs of the whole optimizer step (their mean, in evaluation).

        Times the number of ranks, because gradients are averaged over them.
        """
        logps = self._score(model, inputs)
        reference = self.reference(inputs, self.args.score_chunk) if self.reference is not None else None
        mean_length = self._mean_length if model.training else inputs.lengths[inputs.chosen].mean().item()
        terms = terms_of(inputs, logps, reference)
        parts = mix(terms, self.objective, shift=self.shift.value, mean_length=mean_length)
        self._note(logged(parts, terms), inputs, "train" if model.training else "eval")
        if model.training:
            self._collect_rewards(parts)
        total = inputs.pairs if num_items_in_batch is None else num_items_in_batch
        loss = parts.total.sum() / total
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return (loss, logps) if return_outputs else loss

    def _score(self, model: nn.Module, batch: Batch) -> Tensor:
        return score(model, batch.to(self.args.device), self.head, self.args.score_chunk)

    def _collect_rewards(self, parts: Mixed) -> None:
        """The step's rewards enter the shift only after its last micro-batch, once, from all ranks."""
        if parts.chosen_rewards is None or parts.rejected_rewards is None:
            return
        rewards = torch.stack([parts.chosen_rewards, parts.rejected_rewards]).double()
        self._step_rewards += torch.tensor([rewards.sum().item(), rewards.numel()], dtype=torch.float64)
        self._batches_left -= 1
        if self._batches_left == 0:
            sums = self._step_rewards
            if self.args.world_size > 1:
                sums = self.accelerator.reduce(sums.to(self.args.device), "sum").cpu()
            self.shift.update(sums[0].item(), int(sums[1].item()))
            self._step_rewards = torch.zeros(2, dtype=torch.float64)

    def prediction_step(
        self, model: nn.Module, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> Any:
        with torch.no_grad():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    # -- logging ---------------------------------------------------------------------------------------------------

    def _note(self, values: dict[str, Tensor], batch: Batch, mode: str) -> None:
        sums = self._sums[mode]
        for name, value in values.items():
            sums[name] += value.detach().sum().item()
        sums["pairs"] += batch.pairs
        sums["tokens"] += batch.tokens

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means over the pairs since the last line; keys as in `docs/design.md`."""
        mode = "eval" if any(key.startswith("eval_") for key in logs) else "train"
        sums = self._sums[mode]
        if sums["pairs"] and "train_runtime" not in logs:
            names = sorted(sums)
            totals = torch.tensor([sums[name] for name in names], dtype=torch.float64, device=self.args.device)
            if self.args.world_size > 1:
                totals = self.accelerator.reduce(totals, "sum")
            means = dict(zip(names, totals.tolist()))
            pairs, tokens = means.pop("pairs"), means.pop("tokens")
            prefix = "eval_" if mode == "eval" else ""
            logs.update({prefix + name: value / pairs for name, value in means.items()})
            if mode == "train":
                logs["tokens"] = tokens
                if "rewards/margins" in logs:
                    logs["reward_shift"] = self.shift.value
                expected = self.objective.first_step_expectation
                if self.state.global_step == 1 and expected is not None:
                    # Policy and reference are equal at the first step: what the loss must be is known.
                    logs["expected_first_loss"] = expected + self.objective.generation_weight * logs.get(
                        "loss/generation", 0.0
                    )
            sums.clear()
        super().log(logs, start_time)

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As Trainer's; True means the last complete checkpoint, if there is one (torn ones are removed)."""
        if resume_from_checkpoint is True:
            checkpoints.remove_torn(Path(self.args.output_dir))
            resume_from_checkpoint = checkpoints.last_complete(Path(self.args.output_dir))
        if resume_from_checkpoint:
            self.shift.load_state_dict(checkpoints.load_state(Path(resume_from_checkpoint))["reward_shift"])
        return super().train(resume_from_checkpoint=resume_from_checkpoint or None, **kwargs)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Strictly, through `from_pretrained`: Trainer's own way skips renamed keys and goes on from other weights."""
        target = model if model is not None else self.model
        if hasattr(target, "disable_adapter") or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        checkpoints.load_weights(target, resume_from_checkpoint)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As Trainer's, then MPO's own state, whose presence says that the checkpoint is whole; only then are older
        ones deleted."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
            checkpoints.save_state(folder, {"reward_shift": self.shift.state_dict()})
            rotate_checkpoints(
                output_dir=str(folder.parent),
                save_total_limit=limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=True,
            )


def terms_of(batch: Batch, logps: Tensor, reference: Tensor | None) -> Terms:
    """Log-probabilities by pair, from those by completion."""

    def pick(values: Tensor | None, index: Tensor | None) -> Tensor | None:
        return None if values is None or index is None else values[index]

    return Terms(
        chosen_logps=logps[batch.chosen],
        rejected_logps=pick(logps, batch.rejected),
        ref_chosen_logps=pick(reference, batch.chosen),
        ref_rejected_logps=pick(reference, batch.rejected),
        chosen_lengths=batch.lengths[batch.chosen],
        rejected_lengths=pick(batch.lengths, batch.rejected),
    )


def logged(parts: Mixed, terms: Terms) -> dict[str, Tensor]:
    """What is logged of each pair, (P,) each; keys as in `docs/design.md`."""
    values = {
        "loss/preference": parts.preference,
        "loss/quality": parts.quality,
        "loss/generation": parts.generation,
        "logps/chosen": terms.chosen_logps,
        "logps/rejected": terms.rejected_logps,
        "rewards/chosen": parts.chosen_rewards,
        "rewards/rejected": parts.rejected_rewards,
    }
    if parts.chosen_rewards is not None and parts.rejected_rewards is not None:
        values["rewards/margins"] = parts.chosen_rewards - parts.rejected_rewards
        values["rewards/accuracies"] = (parts.chosen_rewards > parts.rejected_rewards).double()
    return {name: value for name, value in values.items() if value is not None}
