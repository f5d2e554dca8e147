"""What a `train` section says of precision, memory and sharding: the words, and the arguments of transformers' Trainer
that they stand for."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from transformers.training_args import OptimizerNames

from mixpo.batches.layout import Layout
from mixpo.errors import FieldError
from mixpo.models.load import Attention, Quantize
from mixpo.training.adapters import is_end
from mixpo.training.arguments import RENAMED, Said
from mixpo.validation import closest


class Precision(StrEnum):
    AUTO = "auto"
    """bf16 on an accelerator that knows it, else float32."""
    BF16 = "bf16"
    """Products in bfloat16 (autocast); trained weights and log-probabilities in float32."""
    FP16 = "fp16"
    """The same in float16, with a loss that is scaled: for GPUs without bfloat16."""
    FLOAT32 = "float32"


class Switch(StrEnum):
    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


class Part(StrEnum):
    VISION = "vision"
    PROJECTOR = "projector"
    """What lies between the vision tower and the language model."""
    LANGUAGE = "language"
    """With its output embedding."""


class Shard(StrEnum):
    NONE = "none"
    """A whole model on every GPU (DDP)."""
    FSDP2 = "fsdp2"
    """PyTorch's fully_shard: weights, gradients and optimizer state are divided."""
    ZERO2 = "zero2"
    """DeepSpeed: gradients and optimizer state are divided."""
    ZERO3 = "zero3"
    """DeepSpeed: weights, too."""


class Offload(StrEnum):
    NONE = "none"
    OPTIMIZER = "optimizer"
    """The optimizer's state is in the host's memory, and its step runs there (zero2, zero3)."""
    ALL = "all"
    """Weights, too (fsdp2, zero3)."""


AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A LoRA adapter (peft); its weights are merged into the saved model."""

    r: int = 16
    """Rank of the two factors of each adapted layer's update."""
    alpha: int = 32
    """The update is scaled by alpha / r."""
    target_modules: tuple[str, ...] = ("all-linear",)
    """The layers adapted, as peft names them: `all-linear`, a regular expression for whole names, or a list of the
    ends of names (`[q_proj, v_proj]`). In parts that are frozen, none is."""

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha < 1:
            raise ValueError("r and alpha must be at least 1")
        if not self.target_modules:
            raise ValueError("target_modules names no layer")
        names = [self.target_modules] if isinstance(self.target_modules, str) else list(self.target_modules)
        alone = [name for name in names if not is_end(name)]
        if len(names) > 1 and alone:
            raise FieldError(["target_modules"], f"{alone[0]!r} stands alone: a list names the ends of layers' names")
        try:
            re.compile(names[0])
        except re.error as error:
            raise FieldError(["target_modules"], f"{names[0]!r} is no regular expression: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Words:
    """How a training is computed: precision, memory, devices. `auto` is what suits the machine that it runs on."""

    layout: Layout = Layout.AUTO
    """How completions of one prompt are put into the model; it changes speed and memory, not the loss."""
    precision: Precision = Precision.AUTO
    """In what the model's products are taken, under FSDP2 and DeepSpeed, too."""
    gradient_checkpointing: Switch = Switch.AUTO
    """Whether whole layers are computed again in the backward pass instead of being kept; no gradient changes. auto:
    on a GPU where it does not fit without; on a CPU no, but what is cheap (`recompute`)."""
    attention: Attention = Attention.AUTO
    """How attention is computed. auto: sdpa; on a GPU flex for shared rows, where the model takes it."""
    compile: bool = False
    """Whether layers are compiled (torch.compile), which takes a minute or two and is worth it in long trainings; on a
    CPU it needs a C++ compiler."""
    optimizer: str = AUTO
    """By the name that transformers has for it: adamw_torch_fused, adamw_8bit and paged_adamw_8bit (bitsandbytes),
    adafactor, sgd … auto: transformers' own choice, AdamW."""
    freeze: tuple[Part, ...] = ()
    """Parts of the model that are not trained."""
    lora: Lora | None = None
    """Train a LoRA adapter instead of all weights; null: all weights."""
    quantize: Quantize = Quantize.NONE
    """In how many bits the weights are held that an adapter is trained on (bitsandbytes; with `lora`). The saved model
    is the checkpoint itself, in its own precision, with the adapter merged."""
    shard: Shard = Shard.NONE
    """What the GPUs divide among them instead of each holding it whole."""
    offload: Offload = Offload.NONE
    """What of a sharded training lies in the host's memory: slower, for models that do not fit otherwise."""
    workers: int | Literal["auto"] = "auto"
    """Processes that encode images while a GPU computes, for each GPU. auto: on a GPU up to 4, on a CPU 0."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """Any other field of transformers' TrainingArguments: save_total_limit, adam_epsilon … (docs/training.md)."""

    def __post_init__(self) -> None:
        """Raises FieldError for words that cannot stand together, on whatever machine."""
        _refuse_contradictions(self)


def said(words: Words) -> dict[str, Said]:
    """The arguments that the section's words set; those that are `auto` or `none` set none."""
    found: dict[str, Said] = {}

    def says(word: str, **values: Any) -> None:
        text = f"{word}: {getattr(words, word)}"
        found.update({RENAMED.get(name, name): Said(text, value) for name, value in values.items()})

    if words.precision != Precision.AUTO:
        says("precision", bf16=words.precision == Precision.BF16, fp16=words.precision == Precision.FP16)
    if words.gradient_checkpointing != Switch.AUTO:
        says("gradient_checkpointing", gradient_checkpointing=str(words.gradient_checkpointing).lower() == Switch.TRUE)
    if words.optimizer != AUTO:
        says("optimizer", optim=words.optimizer)
    if words.workers != AUTO:
        says("workers", dataloader_num_workers=words.workers)
    if words.shard == Shard.FSDP2:
        says("shard", fsdp=True, fsdp_config=fsdp_config(words.offload), deepspeed=None)
    elif words.shard != Shard.NONE:
        says("shard", deepspeed=deepspeed_config(words.shard, words.offload), fsdp=None)
    return found


def fsdp_config(offload: Offload) -> dict[str, Any]:
    """FSDP2, a unit for each layer as the model names them. The layers are computed again (`gradient_checkpointing`)
    by transformers; every process reads the checkpoint, since a reference is made before the weights are divided."""
    return {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "reshard_after_forward": True,
        "state_dict_type": "FULL_STATE_DICT",
        "cpu_ram_efficient_loading": False,
        "cpu_offload": offload == Offload.ALL,
    }


def deepspeed_config(shard: Shard, offload: Offload) -> dict[str, Any]:
    """ZeRO (arXiv 1910.02054); transformers fills in "auto" from the Trainer's other arguments."""
    sizes = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    zero: dict[str, Any] = {
        "stage": 3 if shard == Shard.ZERO3 else 2,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "reduce_bucket_size": AUTO,
    }
    if shard == Shard.ZERO3:
        zero |= {
            "stage3_prefetch_bucket_size": AUTO,
            "stage3_param_persistence_threshold": AUTO,
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    host = {"device": "cpu", "pin_memory": True}
    if offload != Offload.NONE:
        zero["offload_optimizer"] = dict(host)
    if offload == Offload.ALL:
        zero["offload_param"] = dict(host)
    return {
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # any optimizer may stand in the section
        "bf16": {"enabled": AUTO},
        "fp16": {"enabled": AUTO},
        **dict.fromkeys(sizes, AUTO),
    }


def _refuse_contradictions(words: Words) -> None:
    if words.optimizer not in (AUTO, *OptimizerNames):
        names = [AUTO, *(name.value for name in OptimizerNames)]
        near = closest(words.optimizer, names)
        raise FieldError(["optimizer"], f"{words.optimizer!r} is none of {', '.join(names)}{near and f'; {near}'}")
    if words.workers != AUTO and int(words.workers) < 0:
        raise FieldError(["workers"], "must be at least 0")
    if set(Part) <= set(words.freeze):
        raise FieldError(["freeze"], "vision, projector and language are the whole model: nothing is left to train")
    if words.attention == Attention.FLASH:
        if words.layout == Layout.SHARED:
            raise FieldError(["layout"], "shared rows need a mask, which flash_attention_2 does not take: say paired")
        if words.precision == Precision.FLOAT32:
            raise FieldError(["attention"], "flash_attention_2 knows bf16 and fp16 alone: say another precision")
    if words.quantize != Quantize.NONE and words.lora is None:
        raise FieldError(["quantize"], f"{words.quantize} weights cannot be trained themselves: say `lora: {{}}` too")
    if words.quantize != Quantize.NONE and words.shard != Shard.NONE:
        raise FieldError(["quantize"], f"what is trained on {words.quantize} weights under {words.shard} cannot be "
                         "gathered to be saved: say `shard: none`, which has them whole on every GPU")  # fmt: skip
    if words.compile and words.shard != Shard.NONE:
        raise FieldError(["compile"], f"has not been tried with `shard: {words.shard}`: leave one of them out")
    if words.compile and words.trainer.get("torch_compile"):
        raise FieldError(["compile"], "compiles each layer, `trainer: {torch_compile: true}` the whole model: say one")
    possible = {
        Shard.NONE: (Offload.NONE,),
        Shard.FSDP2: (Offload.NONE, Offload.ALL),
        Shard.ZERO2: (Offload.NONE, Offload.OPTIMIZER),
        Shard.ZERO3: tuple(Offload),
    }
    if words.offload not in possible[words.shard]:
        able = " or ".join(shard for shard, known in possible.items() if words.offload in known)
        raise FieldError(["offload"], f"`shard: {words.shard}` has no `offload: {words.offload}`: say `shard: {able}`")
