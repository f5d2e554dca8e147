"""What can be said of an MPO training, on top of transformers' `TrainingArguments`."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import SchedulerType, TrainingArguments

from mixpo.batches.layout import Layout
from mixpo.errors import DataError, UserError
from mixpo.losses.objective import Objective
from mixpo.models.load import Attention
from mixpo.text_files import read_bytes
from mixpo.training.older_names import understands_older_names
from mixpo.training.trl_arguments import DPOFields, as_ours, translate

log = logging.getLogger(__name__)
COARSE = 1e-4
"""Learning rate below which AdamW's steps are lost in 16-bit weights: a weight of 0.03 has neighbours 1e-4 away."""

WITHOUT_EFFECT: dict[str, tuple[tuple[Any, ...], str]] = {
    "label_smoothing_factor": ((0,), "it is for a cross-entropy; say preference='cdpo' and label_smoothing"),
    "neftune_noise_alpha": ((None,), "policy and reference are compared without noise; leave it out"),
    "use_liger_kernel": ((False,), "its kernels take the place of what is computed here; leave it out"),
    "include_num_input_tokens_seen": (("no",), "a step's tokens are logged as `tokens`; leave it out"),
    "include_for_metrics": (([], None), "it is for compute_metrics, which MPOTrainer does not call; leave it out"),
    "batch_eval_metrics": ((False,), "it is for compute_metrics, which MPOTrainer does not call; leave it out"),
}
"""Fields of TrainingArguments, the values with which they say nothing, and what to do instead."""


@understands_older_names
@dataclass
class MPOConfig(TrainingArguments, Objective, DPOFields):
    """`TrainingArguments` with the paper's defaults (arXiv 2411.10442, sections 3.3 and 4.1), the fields of `Objective`
    (`preference_weight`, `beta` …) and those of its training; TRL's are understood (`trl_arguments`).

    Raises ValueError for a value that cannot be."""

    _VALID_DICT_FIELDS: ClassVar[list[str]] = [*TrainingArguments._VALID_DICT_FIELDS, "model_init_kwargs"]

    learning_rate: float = 5e-6
    lr_scheduler_type: str = "cosine"
    warmup_steps: float = 0.05
    """Below 1: share of all steps."""
    num_train_epochs: float = 1.0
    logging_steps: float = 1
    logging_nan_inf_filter: bool = False
    """A NaN is shown as NaN, never replaced by an average."""
    remove_unused_columns: bool = False
    """Never: rows are encoded by the collator; the model's own signature says nothing about their columns."""
    reference_update_steps: int = field(
        default=0, metadata={"help": "TR-DPO: optimizer steps between updates of the reference; 0: it never moves."}
    )
    reference_update_weight: float = field(
        default=0.6, metadata={"help": "TR-DPO's alpha: the policy's share in an update; 1 replaces the reference."}
    )
    layout: str = field(default="auto", metadata={"help": "shared, paired or auto."})
    pairs_per_group: int = field(default=4, metadata={"help": "Pairs of one question in succession (question_id)."})
    row_tokens: int | None = field(default=None, metadata={"help": "Most tokens of a packed row; bounds memory."})
    reference_cache: str | None = field(
        default=None, metadata={"help": "Folder for the reference's log-probabilities; no reference model is kept."}
    )
    max_completion_length: int | None = field(default=None, metadata={"help": "Tokens; longer ones are refused."})
    truncate_completions: bool = field(default=False, metadata={"help": "Cut the tail of longer completions instead."})
    recompute: str = field(
        default="auto",
        metadata={
            "help": "What backward needs and no matrix product or attention made: elementwise (computed again), none "
            "(kept), auto (computed again on a CPU unless the model is small). See mixpo.training.recompute."
        },
    )
    attention: str = field(
        default="auto",
        metadata={"help": "How a model given by name attends: auto, sdpa, flash_attention_2, flex or eager."},
    )
    compile: bool = field(
        default=False,
        metadata={"help": "Compile each layer by itself (torch.compile). See mixpo.training.compiled."},
    )
    score_chunk: int = field(default=1024, metadata={"help": "Tokens per chunk of head and log-softmax."})

    def __post_init__(self) -> None:
        self._agree_on_precision()
        TrainingArguments.__post_init__(self)
        self.settle()

    @classmethod
    def from_dpo(cls, config: TrainingArguments) -> "MPOConfig":
        """What a `DPOConfig` of TRL says, in our own words: its loss, its learning rate and all its other defaults.

        Of a plain `TrainingArguments`, what is at its default gives way to the paper's. Raises ValueError for what is
        not done here.
        """
        args: MPOConfig = as_ours(config, cls)
        args.lr_scheduler_type = SchedulerType(args.lr_scheduler_type)
        args._agree_on_precision()
        args.settle()
        return args

    def settle(self) -> None:
        """Translates what TRL's fields say, and checks the own ones; once more does no harm."""
        translate(self)
        self.remove_unused_columns = False
        refuse_without_effect(self)
        Objective.__post_init__(self)
        for name, kind in (("layout", Layout), ("attention", Attention)):
            if getattr(self, name) not in list(kind):
                raise ValueError(f"{name} must be one of {', '.join(kind)}, not {getattr(self, name)!r}")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length must be at least 1, not {self.max_length}")
        if self.reference_update_steps < 0 or not 0 < self.reference_update_weight <= 1:
            raise ValueError("reference_update_steps must be at least 0, reference_update_weight above 0 and at most 1")
        if self.recompute not in ("auto", "elementwise", "none"):
            raise ValueError(f"recompute must be auto, elementwise or none, not {self.recompute!r}")
        for name in ("pairs_per_group", "row_tokens", "score_chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """As Trainer's, but for few steps: no training is all warm-up, and a share of less than one step is none.

        The first step of a warm-up has learning rate 0: transformers, which rounds up, would lose the only step.
        """
        if self.warmup_steps * num_training_steps < 1:
            return 0
        return min(super().get_warmup_steps(num_training_steps), num_training_steps - 1)

    def _agree_on_precision(self) -> None:
        """bf16 or fp16 may be said here, in accelerate's configuration or in DeepSpeed's; it then holds for all."""
        said = {name: [f"{name}: true"] for name in ("bf16", "fp16") if getattr(self, name)}
        launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        if launched != "no":
            said.setdefault(launched, []).append(f"`mixed_precision: {launched}` of accelerate's configuration")
        for name in ("bf16", "fp16"):
            if _deepspeed_section(self.deepspeed, name).get("enabled") is True:
                said.setdefault(name, []).append(f"`{name}` of DeepSpeed's configuration")
        if len(said) > 1:
            both = " and ".join(places[0] for places in said.values())
            raise ValueError(f"two precisions are asked for, {both}; say one of them")
        for name in said:
            if _deepspeed_section(self.deepspeed, name).get("enabled") is False:
                raise ValueError(f"{said[name][0]}, but DeepSpeed's configuration switches {name} off; say it once")
            if hasattr(self, name):
                setattr(self, name, True)


def _deepspeed_section(given: Any, name: str) -> dict[str, Any]:
    """A section of DeepSpeed's configuration, given as a dictionary or as a JSON file; empty where there is none."""
    if isinstance(given, str):
        try:
            given = json.loads(read_bytes(Path(given)))
        except (OSError, ValueError, RecursionError):
            return {}  # TrainingArguments says it
    found = given.get(name) if isinstance(given, dict) else None
    return found if isinstance(found, dict) else {}


def refuse_without_effect(args: MPOConfig) -> None:
    """Raises ValueError for a field of TrainingArguments that would do nothing here, or harm."""
    for name, (usual, reason) in WITHOUT_EFFECT.items():
        value = getattr(args, name)
        if value not in usual:
            raise ValueError(f"{name}={value!r}: {reason}")


def check_together(args: MPOConfig) -> None:
    """Raises UserError for arguments that cannot work together."""
    if args.reference_update_steps and args.reference_cache:
        raise UserError("reference_update_steps needs a live reference: no cache")
    check_sharded(args, bool(args.deepspeed or args.fsdp))


def check_sharded(args: MPOConfig, sharded: bool) -> None:
    """The same for what FSDP or DeepSpeed cannot do: their sharing is known for sure when the accelerator is made."""
    if sharded and args.reference_update_steps:
        raise UserError(
            "reference_update_steps needs a live reference with whole weights on each process: no FSDP, no DeepSpeed"
        )


def check(args: MPOConfig, rows: Any) -> None:
    """Raises UserError for what a training cannot begin with."""
    if args.n_gpu > 1:
        raise UserError("several GPUs need a process each: start with torchrun, or set CUDA_VISIBLE_DEVICES=0")
    if args.fp16 and args.device.type == "cpu":
        raise UserError("fp16=True needs a GPU; on a CPU say bf16=True, or neither")
    if isinstance(rows, Mapping):
        raise UserError(f"train_dataset is several data sets ({', '.join(map(str, rows))}); give one of them")
    if rows is not None and hasattr(rows, "__len__") and len(rows) == 0:
        raise DataError("the training set is empty: there is nothing to train on")
    lengths = args.length_column_name in (getattr(rows, "column_names", None) or ())
    if args.train_sampling_strategy == "group_by_length" and not lengths:
        raise UserError(
            f"train_sampling_strategy='group_by_length' needs a column {args.length_column_name!r}; leave it out: "
            "rows of like length are put together within a step anyhow"
        )
    least = args.train_batch_size * args.world_size
    if args.dataloader_drop_last and hasattr(rows, "__len__") and len(rows) < least:
        raise DataError(f"dataloader_drop_last drops all {len(rows)} rows: a micro-batch of every process has {least}")
    check_together(args)
    if not args.learning_rate:
        log.warning("learning_rate is 0: nothing is learned")
    if args.couples_pairs and args.gradient_accumulation_steps * args.world_size > 1:
        log.warning("the objective compares pairs with each other: its value depends on the micro-batches")


def warn_of_coarse_weights(model: Any, learning_rate: float, sharding: Any) -> None:
    """Says it where trained weights have 16 bits, and steps are shorter than their spacing: most would never change.

    FSDP2 and DeepSpeed (`sharding`), where they compute in 16 bits, keep trained weights in float32 themselves.
    """
    coarse = coarse_types(model)
    if coarse and learning_rate < COARSE and not (sharding.engine and sharding.dtype):
        log.warning(
            "weights in %s hardly change at a learning rate of %g: load the model in float32 (dtype=torch.float32) and "
            "set bf16=True, which computes in bfloat16 and keeps the weights in float32",
            coarse,
            learning_rate,
        )


def coarse_types(model: Any) -> str:
    """The 16-bit types of trained weights; empty: there are none."""
    types = {weight.dtype for weight in model.parameters() if weight.requires_grad}
    return " and ".join(sorted(map(str, types & {torch.bfloat16, torch.float16})))
