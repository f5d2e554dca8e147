"""MPO on transformers' Trainer: takes what TRL's DPOTrainer takes, computes the paper's objective exactly.

Mixed Preference Optimization (arXiv 2411.10442, section 3.3). The loss is the mean over the pairs of the whole
optimizer step, every rank and micro-batch; with only the generation weight non-zero it is supervised fine-tuning
and needs neither a rejected column nor a reference.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from mixpo.batches.collator import Collator, split
from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Batch, Layout
from mixpo.errors import DataError, UserError
from mixpo.losses.mix import Mixed, Terms, mix
from mixpo.losses.reward_shift import RewardShift
from mixpo.training import checkpoints
from mixpo.training.choose_layout import is_shared_exact, telling
from mixpo.training.config import MPOConfig
from mixpo.training.metrics import Means, logged
from mixpo.training.models import switch_dropout_off
from mixpo.training.reference import AdapterOff, FrozenCopy, Reference
from mixpo.training.scoring import output_head, score

log = logging.getLogger(__name__)


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
        if args.n_gpu > 1:
            raise UserError("several GPUs need a process each: start with torchrun, or set CUDA_VISIBLE_DEVICES=0")
        if train_dataset is not None and hasattr(train_dataset, "__len__") and len(train_dataset) == 0:
            raise DataError("the training set is empty: there is nothing to train on")
        # Examples are no tensors: every process reads its own rows, also of a streamed data set.
        args.accelerator_config.dispatch_batches = False
        switch_dropout_off(model)
        self.objective = args.objective
        if self.objective.couples_pairs and args.gradient_accumulation_steps * args.world_size > 1:
            log.warning("the objective compares pairs with each other: its value depends on the micro-batches")
        encoder = Encoder(
            processing_class, args.max_completion_length, args.truncate_completions, self.objective.needs_rejected
        )
        self.collator = Collator(encoder)
        self.shift = RewardShift(args.reward_shift, args.reward_shift_decay)
        self.layout = Layout(args.layout)
        self.head = output_head(model)
        self.reference: Reference | None = None
        if self.objective.needs_reference:
            # A new adapter changes nothing yet, so the model without it is the reference; one that was trained before
            # is part of the reference.
            fresh = peft_config is not None and ref_model is None
            self.reference = AdapterOff(model) if fresh else FrozenCopy(model, ref_model)
        self._starts_at_reference = ref_model is None
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
        self._means = {"train": Means(), "eval": Means()}
        self._step_rewards = [0.0, 0.0]
        self._batches_left = 0
        self._mean_length = 0.0
        if self.reference is not None:
            self.reference.to(self.args.device)

    # -- batches ---------------------------------------------------------------------------------------------------

    def get_batch_samples(
        self, epoch_iterator: Iterator[list[Example]], num_batches: int, device: torch.device
    ) -> tuple[list[list[Example]], Tensor]:
        """The micro-batches of one optimizer step, rows of like length together, and its pairs on all ranks."""
        if self.state.global_step >= self.state.max_steps:
            # Resumed after the last step of an epoch that was to be left half-way.
            return [], torch.zeros((), device=device)
        groups = [group for _, group in zip(range(num_batches), epoch_iterator)]
        examples = [example for group in groups for example in group]
        self._batches_left = len(groups)
        counts = [
            len(examples),
            sum(len(example.completions[0]) for example in examples),
            sum(bool(example.image_inputs) for example in examples),
        ]
        pairs, tokens, pictured = self._over_ranks(counts)
        self._mean_length = tokens / max(pairs, 1)
        if self.layout is Layout.AUTO and pictured:
            self._choose_layout(examples)
        micro_batches = split(examples, len(groups)) if examples else []
        return micro_batches, torch.tensor(pairs, device=device)

    @torch.no_grad()
    def _choose_layout(self, examples: list[Example]) -> None:
        """Text-only examples cannot show what images change: until a step has one, AUTO stays, and rows are paired."""
        training = self.model.training
        self.model.eval()
        probe = telling(examples, self.args.per_device_train_batch_size)
        exact = not probe or is_shared_exact(lambda layout: self._score(self.model, self.collator.batch(probe, layout)))
        self.model.train(training)
        (agreeing,) = self._over_ranks([int(exact)])
        self.layout = Layout.SHARED if agreeing == self.args.world_size else Layout.PAIRED

    def _over_ranks(self, numbers: Sequence[float]) -> list[float]:
        """The numbers summed over the ranks."""
        if self.args.world_size == 1:
            return list(numbers)
        exact = torch.float32 if self.args.device.type == "mps" else torch.float64
        return self.accelerator.reduce(torch.tensor(numbers, dtype=exact, device=self.args.device), "sum").tolist()

    def _prepare_inputs(self, inputs: list[Example]) -> Batch:
        layout = Layout.PAIRED if self.layout is Layout.AUTO else self.layout
        return self.collator.batch(inputs, layout).to(self.args.device)

    def floating_point_ops(self, inputs: list[Example]) -> int:
        """6 FLOPs a parameter and token, and 2 more for the reference (Kaplan et al. 2020, section 2.1)."""
        factor = 8 if self.reference is not None else 6
        tokens = sum(example.length for example in inputs)
        return factor * tokens * sum(parameter.numel() for parameter in self.model.parameters())

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
        reference = None
        if self.reference is not None:
            # accelerate wraps the policy's forward alone: without this the reference would run in another precision.
            with self.accelerator.autocast():
                reference = self.reference(inputs, self.args.score_chunk)
        mean_length = self._mean_length if model.training else inputs.lengths[inputs.chosen].mean().item()
        terms = terms_of(inputs, logps, reference)
        parts = mix(terms, self.objective, shift=self.shift.value, mean_length=mean_length)
        mode = "train" if model.training else "eval"
        self._means[mode].add(logged(parts, terms), inputs.pairs, inputs.tokens)
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
        self._step_rewards[0] += (parts.chosen_rewards.sum() + parts.rejected_rewards.sum()).item()
        self._step_rewards[1] += 2 * len(parts.chosen_rewards)
        self._batches_left -= 1
        if self._batches_left == 0:
            total, count = self._over_ranks(self._step_rewards)
            self._step_rewards = [0.0, 0.0]
            try:
                self.shift.update(total, int(count))
            except FloatingPointError as error:
                step = self.state.global_step + 1
                raise UserError(f"training diverged at step {step} ({error}); lower learning_rate") from error

    def prediction_step(
        self, model: nn.Module, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> Any:
        with torch.no_grad():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    # -- logging ---------------------------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means over the pairs since the last line; keys as in `docs/design.md`."""
        mode = "eval" if any(key.startswith("eval_") for key in logs) else "train"
        means = {} if "train_runtime" in logs else self._means[mode].drain(self._over_ranks)
        if mode == "eval":
            logs.update({f"eval_{name}": value for name, value in means.items()})
        elif means:
            del means["loss"]  # Trainer's own, the same mean
            logs.update(means)
            if "rewards/margins" in logs:
                logs["reward_shift"] = self.shift.value
            expected = self.objective.first_step_expectation
            if self.state.global_step == 1 and expected is not None and self._starts_at_reference:
                # Policy and reference are equal at the first step: what the loss must be is known.
                weight = self.objective.generation_weight
                logs["expected_first_loss"] = expected + weight * logs.get("loss/generation", 0.0)
        super().log(logs, start_time)

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As Trainer's; True means the last complete checkpoint, if there is one (torn ones are removed)."""
        if resume_from_checkpoint is True:
            checkpoints.remove_torn(Path(self.args.output_dir))
            resume_from_checkpoint = checkpoints.last_complete(Path(self.args.output_dir))
        if resume_from_checkpoint:
            state = checkpoints.load_state(Path(resume_from_checkpoint))
            self.shift.load_state_dict(state["reward_shift"])
            self.layout = Layout(state["layout"])
        return super().train(resume_from_checkpoint=resume_from_checkpoint or None, **kwargs)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Strictly, through `from_pretrained`: Trainer's own way skips renamed keys and goes on from other weights."""
        target = model if model is not None else self.model
        if hasattr(target, "disable_adapter") or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        checkpoints.load_weights(target, resume_from_checkpoint)

    def _load_best_model(self) -> None:
        if hasattr(self.model, "disable_adapter") or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_best_model()
        else:
            checkpoints.load_weights(self.model, self.state.best_model_checkpoint)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As Trainer's, then MPO's own state, whose presence says that the checkpoint is whole; only then are older
        ones deleted."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
            checkpoints.save_state(folder, {"reward_shift": self.shift.state_dict(), "layout": self.layout})
            rotate_checkpoints(
                output_dir=str(folder.parent),
                save_total_limit=limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=False,
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
