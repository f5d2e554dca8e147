"""How a training is computed, as far as its memory and its time depend on it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixpo.batches.layout import Layout
from mixpo.training.activations import FLOAT, HALF, Gradients, KeptByAttention, Types, attending

TRUE = ("true", "1", "yes")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One process of a training. The words are those of a `train` section."""

    devices: int = 1
    cpu: bool = False
    """In float32, keeping what `recompute` says."""
    recompute: str = "auto"
    """On a CPU, as `MPOConfig.recompute`."""
    precision: str = "float32"
    """float32, or bf16 and fp16: products in 16 bits, over trained weights of float32."""
    gradient_checkpointing: bool = False
    attention: str = "sdpa"
    """sdpa, flex or flash_attention_2."""
    layout: Layout = Layout.SHARED
    optimizer: str = "adamw_torch_fused"
    accumulates: bool = True
    """A step has several micro-batches, so that gradients are there from the first one on."""
    freeze: frozenset[str] = frozenset()
    """vision, projector, language."""
    lora: int = 0
    """Rank of an adapter on every matrix but the head; 0: none."""
    quantize: str = "none"
    """4bit, 8bit: the matrices below an adapter."""
    frozen_bytes: int = FLOAT
    """Of a weight that is not trained."""
    shard: str = "none"
    """none (with several devices DDP), fsdp2, zero2, zero3."""
    offload: str = "none"
    """none, optimizer (its state and the gradients are on the host), all (weights, too)."""
    reference: str = "none"
    """live: a second model; none: cached, or the policy without its adapter, or not needed."""
    reference_bytes: int = FLOAT
    """Of a weight of a live reference."""
    reference_sharded: bool = False
    chunk: int = 1024
    """Completion tokens that the head scores at a time (`score_chunk`)."""
    head_as_module: bool = False
    """A sharded head is called as the module it is; else its weights are used where they are gathered."""
    reduce_bytes: int = FLOAT
    """In which FSDP2 adds up gradients that were computed in 16 bits."""

    @property
    def sharded(self) -> bool:
        """Weights are gathered unit by unit."""
        return self.shard in ("fsdp2", "zero3")

    @property
    def deepspeed(self) -> bool:
        return self.shard in ("zero2", "zero3")

    @property
    def shares(self) -> int:
        """Devices that divide gradients and the optimizer's state among them."""
        return self.devices if self.shard != "none" else 1

    @property
    def types(self) -> Types:
        if self.precision == "float32":
            return Types(states=FLOAT, operands=FLOAT)
        if self.shard != "none":  # FSDP2 and DeepSpeed compute with 16-bit weights, without autocast
            return Types(states=HALF, operands=HALF)
        narrow = self.lora and self.frozen_bytes == HALF  # embeddings are of 16 bits, too
        return Types(states=HALF if narrow else FLOAT, operands=HALF, autocast=True)

    @property
    def attending(self) -> KeptByAttention:
        return attending(self.attention, self.layout is not Layout.PAIRED, self.types.operands)

    def trains(self, part: str) -> bool:
        """Whether the weights of `vision`, `projector` or `language` are trained themselves."""
        return part not in self.freeze and not self.lora

    def training(self, part: str) -> Gradients:
        """Of `vision` or `language`."""
        adapter = 0 if part in self.freeze else self.lora
        # States have a gradient where something before them is trained; before the tower there are only images.
        before = part == "language" and not {"vision", "projector"} <= self.freeze
        return Gradients(
            weights=self.trains(part), adapter=adapter, states=self.trains(part) or bool(adapter) or before
        )


def setup_of(config: Any, devices: int = 1, *, cpu: bool = False) -> Setup:
    """What a `train` section's config says, on `devices` of a kind; without what it leaves to memory (see below).

    The one place that knows the config's fields. What is `auto` is what a GPU gets; a word of the section may also be
    said in `trainer`, by transformers' name.
    """
    given: Mapping[str, Any] = config.trainer
    lora = config.lora.r if config.lora is not None else 0
    shard, precision = _shard(config), _precision(config, cpu)
    half = precision != "float32"
    live = config.reference == "live" and not lora and not config.demonstrations
    optimizer = _said(config, "optimizer", given.get("optim", "adamw_torch_fused"))
    words = hasattr(config, "precision")
    return Setup(
        devices=devices,
        cpu=cpu,
        recompute=given.get("recompute", "auto"),
        precision=precision,
        gradient_checkpointing=checkpoints(config) is True,
        attention=_said(config, "attention", "sdpa" if cpu else "flex"),
        layout=config.layout,
        optimizer=optimizer,
        accumulates=config.batch > config.micro_batch * devices,
        freeze=frozenset(map(str, getattr(config, "freeze", ()))),
        lora=lora,
        quantize=_said(config, "quantize", "none"),
        frozen_bytes=HALF if half and words else FLOAT,
        shard=shard,
        offload=_said(config, "offload", "none"),
        reference="live" if live else "none",
        reference_bytes=HALF if half and words and not config.reference_update_steps else FLOAT,
        reference_sharded=shard in ("fsdp2", "zero3"),
        chunk=int(given.get("score_chunk", 1024)),
    )


def computed_as(config: Any, precision: str) -> str:
    """What the first policy's log-probabilities depend on besides its checkpoint, in a few words: the precision (as
    accelerate names it) and what is held in it. Empty in float32."""
    words = [config.quantize] if config.quantize != "none" else []
    if precision != "no":
        words += [precision, *["weights"] * (_shard(config) != "none"), *["lora"] * (config.lora is not None)]
        words += sorted(set(map(str, config.freeze)))
    return "-".join(words)


def checkpoints(config: Any) -> bool | None:
    """`gradient_checkpointing` of a config; None: auto, where it does not fit without."""
    given = config.trainer
    said = given.get("gradient_checkpointing", given.get("activation_checkpointing", "auto"))
    value = _said(config, "gradient_checkpointing", str(said)).lower()
    return None if value == "auto" else value in TRUE


def _said(config: Any, word: str, otherwise: str) -> str:
    value = str(getattr(config, word, "auto"))
    return otherwise if value == "auto" else value


def _precision(config: Any, cpu: bool) -> str:
    if cpu:  # what bf16 takes on a CPU is not counted
        return "float32"
    given = next((name for name in ("bf16", "fp16") if config.trainer.get(name)), None)
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    usual = "bf16" if hasattr(config, "precision") else "float32"
    return _said(config, "precision", given or (launched if launched in ("bf16", "fp16") else usual))


def _shard(config: Any) -> str:
    """Of the section; else of `accelerate launch`, which tells it to the processes that it starts."""
    said = _said(config, "shard", "none")
    if said != "none":
        return said
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() in TRUE:
        return "fsdp2"
    stage = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "")
    return f"zero{stage}" if stage in ("2", "3") else "none"
