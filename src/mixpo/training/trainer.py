"""MPO on transformers' Trainer: takes what TRL's DPOTrainer takes, computes the paper's objective exactly.

Mixed Preference Optimization (arXiv 2411.10442, section 3.3). The loss is the mean over the pairs of the whole
optimizer step, every rank and micro-batch; with only the generation weight non-zero it is supervised fine-tuning
and needs neither a rejected column nor a reference.

What happens in one optimizer step, in order (T: Trainer's own):

    get_batch_samples       all micro-batches of the step: rows in `_get_train_sampler`'s order, encoded by `Collator`;
                            counted on all ranks; the layout chosen (`choose_layout`), once; like lengths together
    training_step           each micro-batch, in rows of at most `row_tokens` (`rows_within`); each row:
        _prepare_inputs         its examples laid out as a `Batch`
        compute_loss            log-probabilities (the reference's; `_score`: the policy's), `mix`: the pairs' sum
        backward            T
    _shift_rewards          after the last micro-batch: the step's rewards enter the reward shift
    _clip_grad_norm         T, then the optimizer's step and the scheduler's
    on_step_end             callbacks: a `MovingReference` moves, the progress bar too
    log, prediction_step    means over the pairs since the last line; every `eval_steps`, held-out pairs
    _save_checkpoint        every `save_steps` (`ResumableTrainer`): weights, T's state, then `own_state`
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainingArguments, set_seed

from mixpo.batches.collator import Collator, taken_over
from mixpo.batches.encode import VIDEOS, Example
from mixpo.batches.grouping import GroupedSampler, split
from mixpo.batches.layout import Batch, Layout
from mixpo.batches.positions import PositionAssigner
from mixpo.errors import UserError
from mixpo.losses.mix import mix
from mixpo.losses.objective import Objective
from mixpo.losses.reward_shift import RewardShift
from mixpo.models.attention import cross_attends, row_multiple
from mixpo.models.head import output_head
from mixpo.models.load import refuse_other_kinds, switch_dropout_off
from mixpo.models.upload import upload
from mixpo.training.adapters import with_adapter
from mixpo.training.choose_layout import fits, is_shared_exact, possible, telling, window
from mixpo.training.config import check, warn_of_coarse_weights
from mixpo.training.distributed import Processes
from mixpo.training.final_model import FinalModel
from mixpo.training.given import arguments_of, encoder_for, make_ready, models_of, passed_on, processor_of
from mixpo.training.metrics import Means, logged
from mixpo.training.optimizer_step import OptimizerStep, terms_of
from mixpo.training.reference import MovingReference, Reference, make_reference
from mixpo.training.reference_cache import cached, made_with
from mixpo.training.resume import ResumableTrainer
from mixpo.training.scoring import score
from mixpo.training.sharding import numel


class MPOTrainer(ResumableTrainer):
    """Trains a vision-language model on preference pairs.

    Its arguments, and their order, are those of TRL 1.16's DPOTrainer. Raises UserError for what is not done here.

    Args:
        model, ref_model: transformers models, or folders or hub names; by default the reference is a frozen copy of the
            model, or the model with its adapter off.
        args: `MPOConfig`, or TRL's `DPOConfig` as it is (`MPOConfig.from_dpo`); by default the paper's.
        train_dataset, eval_dataset: rows `images, prompt, chosen, rejected` (TRL's conversational format); to be
            evaluated on, also several by name.
        processing_class: the model's processor; by default that of the folder or name the model was loaded from.
        quantization_config, peft_config: bitsandbytes', for a model given by name; peft's (LoRA), applied to the model.
    """

    def __init__(
        self,
        model: nn.Module | str,
        ref_model: nn.Module | str | None = None,
        args: TrainingArguments | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        compute_metrics: Any = None,
        callbacks: list[Any] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        quantization_config: Any = None,
        peft_config: Any = None,
        **others: Any,
    ):
        others = passed_on({"data_collator": data_collator, "compute_metrics": compute_metrics, **others})
        args = arguments_of(args, model)
        processing_class = processor_of(processing_class, model, args)
        model, ref_model = models_of(model, ref_model, args, quantization_config)
        check(args, train_dataset)
        refuse_other_kinds(model)
        if peft_config is not None:
            set_seed(args.seed)  # Trainer's own comes after the adapter's first weights are drawn
        model = with_adapter(model, peft_config)
        switch_dropout_off(model)
        self.objective: Objective = args
        encoder = encoder_for(model, args, processing_class)
        self.shift = RewardShift(args.reward_shift, args.reward_shift_decay)
        self.layout = possible(Layout(args.layout), model)
        self.head = output_head(model)
        self.scored_by: Callable[..., Tensor] = partial(score, chunk=args.score_chunk)
        make_ready(model, self.head, self.layout, args)
        self.continuation = PositionAssigner(model)
        self.processes = Processes(args, lambda video: self.continuation(encoder.filler(video)), cross_attends(model))
        self.collator = Collator(encoder, row_multiple(model, args.device), [train_dataset, eval_dataset])
        self.reference = make_reference(model, ref_model, args, peft_config is not None)
        self._starts_at_reference = ref_model is None
        super().__init__(
            model=model, args=args, data_collator=self.collator, train_dataset=train_dataset,
            eval_dataset=eval_dataset, processing_class=processing_class, callbacks=callbacks, optimizers=optimizers,
            **others,
        )  # fmt: skip
        self.processes.accelerator = self.accelerator
        warn_of_coarse_weights(model, args.learning_rate, self.sharding)
        self.final = FinalModel(model, self.sharding)
        # compute_loss divides by the pairs of the whole step itself.
        self.loss_is_scaled_for_ga = True
        self.model_accepts_loss_kwargs = False
        self._means = {"train": Means(), "eval": Means()}
        self._step = OptimizerStep()
        if self.reference is not None:
            self._place(self.reference)

    # -- batches ---------------------------------------------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Random, with up to `pairs_per_group` rows of a question in succession, where rows have a `question_id`."""
        sampler, args = None, self.args
        if args.train_sampling_strategy == "random":
            dataset = train_dataset if train_dataset is not None else self.train_dataset
            seed = args.seed if args.data_seed is None else args.data_seed
            sampler = GroupedSampler.of(dataset, args.pairs_per_group, seed)
        return super()._get_train_sampler(train_dataset) if sampler is None else sampler

    def get_batch_samples(
        self, epoch_iterator: Iterator[list[Example]], num_batches: int, device: torch.device
    ) -> tuple[list[list[Example]], Tensor]:
        """The micro-batches of one optimizer step, rows of like length together, and its pairs on all ranks."""
        if self.state.global_step >= self.state.max_steps:
            # Resumed after the last step of an epoch that was to be left half-way.
            return [], torch.zeros((), device=device)
        groups = [taken_over(group) for _, group in zip(range(num_batches), epoch_iterator)]
        own = self.processes.own(groups, self.train_dataset, self.state.global_step)
        examples = [self.continuation(example) for group in own for example in group]
        counts = [
            len(examples),
            sum(len(example.completions[0]) for example in examples),
            sum(bool(example.image_inputs) and fits([example], window(self.model.config)) for example in examples),
            sum(VIDEOS in example.image_inputs for example in examples),
        ]
        pairs, tokens, pictured, filmed = self.processes.total(counts)
        self.processes.videos |= bool(filmed)
        self._step.begin(len(groups), tokens / max(pairs, 1))
        self.choose_layout(examples, bool(pictured))
        return split(examples, len(groups)) if groups else [], upload(torch.tensor(pairs), device)

    @torch.no_grad()
    def choose_layout(self, examples: list[Example], pictured: bool) -> None:
        """Text-only examples cannot show what images change: until some are `pictured`, on any process, AUTO stays, and
        rows are paired."""
        if self.layout is not Layout.AUTO or not pictured:
            return
        size = self.args.per_device_train_batch_size
        probe = self.processes.with_vision(telling(examples, size, window(self.model.config)))
        shared = is_shared_exact(
            lambda layout: self._score(self.model, self.collator.batch(probe, layout)), self.model, self.processes
        )
        self.layout = Layout.SHARED if shared else Layout.PAIRED

    def _prepare_inputs(self, inputs: list[Example]) -> Batch:
        shared = self.layout is Layout.SHARED and fits(inputs, window(self.model.config))
        return self.collator.batch(inputs, Layout.SHARED if shared else Layout.PAIRED).to(self.args.device)

    def floating_point_ops(self, inputs: list[Example]) -> int:
        """6 FLOPs a parameter and token, and 2 more for the reference (Kaplan et al. 2020, section 2.1)."""
        each = (8 if self.reference is not None else 6) * sum(numel(parameter) for parameter in self.model.parameters())
        return each * sum(example.length for example in inputs)

    def training_step(
        self, model: nn.Module, inputs: list[Example], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """A micro-batch in rows of at most `row_tokens`, one after the other."""
        rows = self.processes.rows(inputs, self.args.row_tokens, bool(self.sharding.engine))
        losses = []
        for number, row in enumerate(rows, 1):
            # Without an engine, processes may have other numbers of rows: gradients are averaged in the last one only.
            with self.sharding.before_last(model, number == len(rows)):
                losses.append(super().training_step(model, row, num_items_in_batch))
        if self._step.end_batch() and self.reference is not None:
            self._shift_rewards()
        return torch.stack(losses).sum()

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
        # The reference first: what it needs on the way is free again when the policy's activations are kept.
        reference = None if self.reference is None else self.reference(inputs, self.args.score_chunk)
        logps = self._score(model, inputs)
        mean_length = self._step.mean_length if model.training else inputs.lengths[inputs.chosen].mean().item()
        terms = terms_of(inputs, logps, reference)
        parts = mix(terms, self.objective, shift=self.shift.value, mean_length=mean_length)
        mode = "train" if model.training else "eval"
        self._means[mode].add(logged(parts, terms), inputs.pairs, inputs.tokens)
        if model.training:
            self._step.add(parts)
        total = max(inputs.pairs, 1) if num_items_in_batch is None else num_items_in_batch
        loss = parts.total.sum() / total
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        if model.training and not loss.requires_grad:  # pairs without images, where the language model is frozen
            loss = loss + 0 * next(one for one in model.parameters() if one.requires_grad).sum()
        return (loss, logps) if return_outputs else loss

    def _score(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.scored_by(model, batch.to(self.args.device), self.head)

    def _shift_rewards(self) -> None:
        """The step's rewards enter the shift only after its last micro-batch, once, from all ranks."""
        total, count = self.processes.total(self._step.total())
        try:
            self.shift.update(total, int(count))
        except FloatingPointError as error:
            at = self.state.global_step + 1
            raise UserError(f"training diverged at step {at} ({error}); lower learning_rate") from error

    def prediction_step(
        self, model: nn.Module, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> Any:
        if self._eval_share:
            (inputs,) = self._eval_share.own([inputs], self._eval_batches)
        self._eval_batches += 1
        examples = [self.continuation(example) for example in inputs]
        self.processes.meet(examples)
        rows = self.processes.rows(examples, None, bool(self.sharding.engine))
        with torch.no_grad():
            losses = [self.compute_loss(model, self._prepare_inputs(row)) for row in rows]
        return torch.stack(losses).mean(), None, None

    def evaluation_loop(self, dataloader: Any, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        self._eval_prefix = metric_key_prefix
        self._eval_share = self.processes.share(dataloader.dataset, self.args.eval_batch_size)
        self._eval_batches = 0
        return super().evaluation_loop(dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs)

    # -- logging ---------------------------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means over the pairs since the last line; keys as in `docs/design.md`."""
        mode = "eval" if any(key.startswith("eval_") for key in logs) else "train"
        means = {} if "train_runtime" in logs else self._means[mode].drain(self.processes.total)
        if mode == "eval":
            logs.update({f"{self._eval_prefix}_{name}": value for name, value in means.items()})
        elif means:
            del means["loss"]  # Trainer's own, the same mean
            logs.update(means)
            if "rewards/margins" in logs:
                logs["reward_shift"] = self.shift.value
            if self.state.global_step == 1 and self._starts_at_reference:
                # Policy and reference are equal at the first step: what the loss must be is known.
                logs.update(self.objective.expected_first_loss(logs.get("loss/generation", 0.0)))
        super().log(logs, start_time)

    def _place(self, reference: Reference) -> None:
        if self.args.reference_cache:
            self._cached_with = made_with(getattr(reference, "model", self.model), self.processing_class, self.sharding)
        reference.place(self.sharding)
        if not self.sharding.engine:
            self.before_loading()
        if isinstance(reference, MovingReference):
            self.add_callback(reference)

    def before_loading(self) -> None:
        """A live reference makes the cache that is asked for, and is let go."""
        if self.args.reference_cache and self.reference is not None:
            self.reference = cached(self, self.reference, self._cached_with)

    def own_state(self, checkpoint: Path) -> dict[str, Any]:
        if isinstance(self.reference, MovingReference):
            self.reference.save(checkpoint)
        return {"reward_shift": self.shift.state_dict(), "layout": self.layout}

    def load_own_state(self, state: dict[str, Any], checkpoint: Path) -> None:
        if isinstance(self.reference, MovingReference):
            self.reference.load(checkpoint)
        self.shift.load_state_dict(state["reward_shift"])
        self.layout = Layout(state["layout"])
