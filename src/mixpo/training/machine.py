"""What a `train` section leaves to the machine (`auto`), and what this machine cannot do of what it says."""

import importlib.util
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import Trainer
from transformers.utils import is_torch_bf16_gpu_available

from mixpo.child import share_of_cores
from mixpo.errors import FieldError, MissingExtra, UserError
from mixpo.models.load import Attention, Quantize
from mixpo.training.arguments import CHECKPOINTING
from mixpo.training.compiled import compiler
from mixpo.training.config import MPOConfig
from mixpo.training.words import Precision, Shard, Words

MOST_WORKERS = 4
"""Processes that encode images for one GPU."""


def on_accelerator(given: Mapping[str, Any]) -> bool:
    """Whether the training runs on a GPU (or another accelerator) of this machine; `given`: the section's `trainer`."""
    return torch.accelerator.is_available() and not given.get("use_cpu")


def knows_bf16() -> bool:
    """Whether this machine's accelerator computes in bfloat16 itself, and does not only emulate it."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return is_torch_bf16_gpu_available()


def chosen(words: Words) -> dict[str, Any]:
    """The Trainer's arguments for what the section leaves to the machine, this one.

    Layers are checkpointed on an accelerator, until `train.run` hears that they need not be; on a CPU `recompute`
    serves better.
    """
    accelerator, given = on_accelerator(words.trainer), words.trainer
    found: dict[str, Any] = {
        CHECKPOINTING: accelerator,
        "dataloader_num_workers": workers() if accelerator else 0,
    }
    precision = _launched()
    if precision == "no" and accelerator and knows_bf16():
        precision = "bf16"
    if precision != "no" and words.precision == Precision.AUTO and not {"bf16", "fp16"} & given.keys():
        found[precision] = True
    if not accelerator and (Precision.BF16 in (words.precision, precision) or given.get("bf16")):
        found["use_cpu"] = True  # TrainingArguments takes bf16 on a CPU only from who says that it is meant
    if accelerator and words.shard == Shard.FSDP2 and torch.cuda.is_available():
        found["ddp_backend"] = "cuda:nccl,cpu:gloo"  # whole weights are gathered, and offloaded ones reduced, on CPUs
    return found


def workers() -> int:
    """Processes that encode images for one GPU: as many as the cores that this process has to itself, at most 4."""
    return min(MOST_WORKERS, share_of_cores(int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def _launched() -> str:
    """The mixed precision of `accelerate launch`'s configuration: no, bf16 or fp16."""
    found = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    return found if found in ("bf16", "fp16") else "no"


def refuse_on_this_machine(words: Words) -> None:
    """Raises UserError for what the section says and this machine cannot do, or has no library for."""
    accelerator = on_accelerator(words.trainer)
    launched, wanted = _launched(), {Precision.FLOAT32: "no"}.get(Precision(words.precision), str(words.precision))
    if words.precision != Precision.AUTO and launched not in ("no", wanted):
        raise FieldError(
            ["precision"], f"accelerate's configuration says `mixed_precision: {launched}`; say {words.precision} there"
        )
    if words.precision == Precision.FP16 and not accelerator:
        raise FieldError(["precision"], "fp16 needs a GPU, and here is none: say bf16 or float32")
    if words.trainer.get("fp16") and not accelerator:
        raise FieldError(["trainer", "fp16"], "fp16 needs a GPU, and here is none: say bf16, or leave it out")
    if words.precision == Precision.BF16 and accelerator and not knows_bf16():
        raise FieldError(["precision"], "this GPU does not know bf16: say fp16 or float32")
    if words.attention == Attention.FLEX and not accelerator:
        raise FieldError(["attention"], "FlexAttention has no backward pass on a CPU: say auto")
    if words.attention == Attention.FLASH:
        if not _installed("flash_attn"):
            raise FieldError(["attention"], "flash-attn is not installed: pip install flash-attn, or say auto")
        if not accelerator:
            raise FieldError(["attention"], "flash_attention_2 needs a GPU, and here is none: say auto")
        if words.precision == Precision.AUTO and not knows_bf16():
            raise FieldError(["attention"], "flash_attention_2 knows bf16 and fp16 alone: say `precision: fp16`")
    if words.compile and not accelerator and not compiler():
        raise FieldError(["compile"], "needs a C++ compiler on a CPU, and none is found: install g++, or say false")
    if words.quantize != Quantize.NONE and not _installed("bitsandbytes"):
        raise MissingExtra("quantize: bitsandbytes", "quantize")
    if words.lora is not None and not _installed("peft"):
        raise MissingExtra("lora: peft", "peft")
    _refuse_sharding(words, accelerator)


def _refuse_sharding(words: Words, accelerator: bool) -> None:
    if words.shard in (Shard.ZERO2, Shard.ZERO3) and not _installed("deepspeed"):
        raise MissingExtra(f"shard: {words.shard} is DeepSpeed's, which", "deepspeed")
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if words.shard == Shard.FSDP2 and not accelerator:
        raise FieldError(["shard"], "fsdp2 needs GPUs: on CPUs accelerate would take DDP without a word; say none")
    if words.shard != Shard.NONE and not accelerator and alone:
        raise FieldError(["shard"], f"{words.shard} divides a model among processes, and here is one: say none")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def refuse_optimizer(args: MPOConfig) -> None:
    """Raises UserError for an optimizer whose library is not installed: before a model is loaded."""
    try:
        Trainer.get_optimizer_cls_and_kwargs(args)
    except ImportError as error:
        raise UserError(f"optimizer: {error}") from error
    except ValueError as error:  # some say it in another way; others want the model, which they get later
        if "install" in str(error) or "import" in str(error):
            raise UserError(f"optimizer: {error}") from error
    if args.optim.startswith("paged") and not torch.cuda.is_available():
        raise UserError(f"optimizer: {args.optim.value} pages its state out of a GPU, and here is none")


def begin_alone(words: Words) -> None:
    """Sharding wants a process group: one process on a GPU becomes the only one of its own."""
    if words.shard == Shard.NONE or "RANK" in os.environ or not on_accelerator(words.trainer):
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}
    os.environ.update({name: str(value) for name, value in ranks.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))


@contextmanager
def own_environment() -> Iterator[None]:
    """Afterwards the process's environment is what it was: accelerate says in it that FSDP is used (and
    `begin_alone` who is alone), and would use it for the next section's model, too."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
