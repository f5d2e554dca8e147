"""Bytes of one device at the peak of a training step, by what they consist of.

A step is the reference's forward pass, the policy's, the backward pass, clipping and the optimizer. Its peak is where
the head scores (forward, or backward with the gradient of its weights), where a layer that was checkpointed is computed
again, or where the optimizer has all gradients. What is counted is what the code keeps, operation by operation
(`mixpo.training.activations`). What CUDA, cuDNN and NCCL take for themselves, and holes in the allocator's memory, are
not in it. Against torch's allocator: `benchmarks/plan_memory.py`, where ZeRO, DDP and 4 bits are in no row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from mixpo.batches.layout import Layout
from mixpo.models.shape import SHORT, Prompt, Shape, Transformer, paired
from mixpo.training.activations import FLOAT, HALF, WHOLE, Gradients, attention_bytes, layer_bytes
from mixpo.training.setup import Setup, setup_of

__all__ = ["Setup", "StepMemory", "device_bytes", "phases", "setup_of", "trained_weights"]

MOMENTS = {"adamw": 8, "ademamix": 12, "lion": 4, "adagrad": 4, "rmsprop": 4, "sgd": 0, "adafactor": 0, "lomo": 0}
"""Bytes that an optimizer keeps for a trained weight, by a part of its name; with 8 bits a quarter of them."""
BITS = {"4bit": 0.53, "8bit": 1.01}
"""Bytes of a weight: NF4 with its scales in 8 bits (QLoRA, arXiv 2305.14314, section 3), LLM.int8."""
LIVE = 1_000_000_000
"""Weights that ZeRO-3 has whole at a time at most (`stage3_max_live_parameters`)."""
BUCKETS = 2
"""What ZeRO reduces at a time has as many numbers as the square of the hidden width (transformers' "auto"), twice."""


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Bytes at the peak."""

    weights: int = 0
    """Those that products take and those that the optimizer changes."""
    gradients: int = 0
    optimizer: int = 0
    reference: int = 0
    copies: int = 0
    """Of weights: autocast's in 16 bits, or those gathered from the other devices."""
    activations: int = 0
    """Kept for the backward pass."""
    working: int = 0
    """The largest of what comes and goes: a chunk of the head's logits with its gradients, or one layer."""

    @property
    def total(self) -> int:
        return sum(getattr(self, item.name) for item in fields(self))


def device_bytes(shape: Shape, prompts: Sequence[Prompt], setup: Setup) -> StepMemory:
    """Of one device; `prompts` are those of its micro-batch, each with all its distinct completions."""
    return max(phases(shape, prompts, setup).values(), key=lambda memory: memory.total)


def phases(shape: Shape, prompts: Sequence[Prompt], setup: Setup) -> dict[str, StepMemory]:
    """What is there at each place of a step where the peak can be."""
    return _Step(shape, prompts, setup).phases()


def trained_weights(shape: Shape, setup: Setup) -> int:
    """How many numbers the optimizer changes."""
    language, vision = shape.language, shape.vision
    if setup.lora:
        sides = {"language": language.kept, "vision": vision.kept, "projector": shape.projector_kept}
        return setup.lora * sum(numbers for part, numbers in sides.items() if part not in setup.freeze)
    head = 0 if shape.tied else shape.embedding
    parts = {"language": language.parameters + head, "vision": vision.parameters, "projector": shape.between}
    return sum(numbers for part, numbers in parts.items() if part not in setup.freeze)


def _moment_bytes(optimizer: str) -> float:
    """For a trained weight on the device; paged optimizers have theirs on the host where there is no room."""
    usual = next((size for name, size in MOMENTS.items() if name in optimizer), MOMENTS["adamw"])
    if "paged" in optimizer:
        return 0
    return usual / 4 if "8bit" in optimizer else usual


class _Step:
    def __init__(self, shape: Shape, prompts: Sequence[Prompt], setup: Setup):
        self.shape, self.setup, self.types = shape, setup, setup.types
        self.rows = _padded(paired(prompts)) if setup.layout is Layout.PAIRED else list(prompts)
        self.tokens = sum(row.length for row in self.rows)
        self.patches = sum(sum(row.images) for row in self.rows)
        self.scored = sum(sum(prompt.completions) for prompt in prompts)
        self.spoken, self.seen = setup.training("language"), setup.training("vision")
        self.trained = trained_weights(shape, setup)
        self.autocast_again = setup.gradient_checkpointing and self.types.autocast

    def phases(self) -> dict[str, StepMemory]:
        state, gradients = self._state(), self._gradients()
        if self.setup.cpu:
            return {"head": replace(state, gradients=gradients, activations=self._kept_cpu(), working=self._logits(2))}
        language, vision = self.shape.language, self.shape.vision
        kept, copies = self._kept(), self._copies() + self._gathered()
        forward, backward = self._head()
        first = 0 if self.setup.accumulates else gradients
        head = FLOAT * self.shape.embedding // self.setup.shares if self.setup.trains("language") else 0
        begun = gradients - max(first - head, 0)
        at_head = replace(state, copies=copies, activations=kept)
        seen = self._kept_of(vision, self.seen, self.patches)
        return {
            "forward": replace(
                at_head,
                gradients=gradients - first,
                copies=copies + self._cached_copies(),
                working=max(forward, self._unit()),
            ),
            "head": replace(at_head, gradients=begun, working=backward),
            "language": replace(
                at_head,
                gradients=begun,
                copies=self._copies(),
                working=self._layer(language, self.spoken, self.tokens),
            ),
            "vision": replace(
                state, gradients=gradients, activations=seen, working=self._layer(vision, self.seen, self.patches)
            ),
            "optimizer": replace(state, gradients=gradients, working=self._roots()),
        }

    # -- what is there between two steps, and with the gradients -------------------------------------------------------

    def _state(self) -> StepMemory:
        setup, shape = self.setup, self.shape
        reference = setup.reference_bytes * shape.parameters / (setup.devices if setup.reference_sharded else 1)
        if setup.shard == "none":  # what autocast does not cast stays as it is: embeddings, norms
            reference += (FLOAT - setup.reference_bytes) * (shape.parameters - self._in_matrices() - shape.embedding)
        beside = setup.reference == "live" and not (setup.offload == "all" and setup.reference_sharded)
        moments = _moment_bytes(setup.optimizer) * self.trained / setup.shares
        return StepMemory(
            weights=round(self._weights()),
            optimizer=round(moments * (setup.offload == "none")),
            reference=round(reference * beside),
        )

    def _weights(self) -> float:
        setup, shape = self.setup, self.shape
        if setup.offload == "all":
            return 0
        # DeepSpeed computes with 16-bit weights, and has float32 ones for the optimizer to change, divided.
        cast = setup.deepspeed and self.types.operands == HALF
        masters = FLOAT * self.trained / setup.devices * (setup.offload == "none") if cast else 0
        frozen = shape.parameters - (0 if setup.lora else self.trained)
        size = HALF if cast else setup.frozen_bytes
        held: float = size * frozen
        if setup.quantize in BITS:
            held += (BITS[setup.quantize] - size) * self._in_matrices()
        trained = (HALF if cast else FLOAT) * self.trained
        return (held + trained) / (setup.devices if setup.sharded else 1) + masters

    def _in_matrices(self) -> int:
        """Weights in matrices, but the head's."""
        return self.shape.language.weights + self.shape.vision.weights + self.shape.projector

    def _gradients(self) -> int:
        setup = self.setup
        if setup.shard == "none":
            return FLOAT * self.trained * (2 if setup.devices > 1 else 1)  # and DDP's buckets
        if setup.deepspeed:
            buckets = self.types.operands * min(BUCKETS * self.shape.hidden**2, self.trained)
            return buckets + self.types.operands * self.trained // setup.devices * (setup.offload == "none")
        return FLOAT * self.trained // setup.devices if setup.offload == "none" else 0

    # -- activations -----------------------------------------------------------------------------------------------

    def _kept(self) -> int:
        """At the end of the forward pass."""
        shape, size = self.shape, self.types.operands
        pixels = self.patches * shape.patch * (FLOAT + size * self.seen.weights)
        between = sum(row.image_tokens for row in self.rows) * shape.projector_kept * size
        words = self.tokens * shape.hidden * (self.types.states + 2 * FLOAT) * self.spoken.states
        # Rows that are padded have a mask of bits; all layers read the same one.
        masks = sum(row.length**2 for row in self.rows) if self.setup.attending.masked and self._is_padded else 0
        slopes = self._logits(1) if self._head_is_plain and self._one_chunk and self.setup.trains("language") else 0
        language = self._kept_of(shape.language, self.spoken, self.tokens)
        return (
            language + self._kept_of(shape.vision, self.seen, self.patches) + pixels + between + words + masks + slopes
        )

    @property
    def _is_padded(self) -> bool:
        return self.setup.layout is Layout.PAIRED

    def _kept_of(self, stack: Transformer, training: Gradients, tokens: int) -> int:
        if self.setup.gradient_checkpointing:  # each layer's input
            return stack.layers * stack.layer.hidden * self.types.of(stack).states * tokens * training.states
        return stack.layers * self._layer_kept(stack, training, tokens)

    def _layer_kept(self, stack: Transformer, training: Gradients, tokens: int) -> int:
        if stack is self.shape.language:
            attention = attention_bytes(stack, self.rows, self.types, training, self.setup.attending)
        else:
            attention = attention_bytes(stack, [Prompt(tokens=tokens, completions=())], self.types, training, WHOLE)
        return attention + layer_bytes(stack, tokens, self.types, training)

    def _kept_cpu(self) -> int:
        """Inputs and outputs of the matrices; what is computed again is all there for one layer at a time."""
        wanted = {"auto": self.shape.hidden >= SHORT, "elementwise": True}.get(self.setup.recompute, False)
        return sum(
            FLOAT * tokens * (stack.kept_lean + stack.kept // stack.layers if wanted else stack.kept)
            for stack, tokens in ((self.shape.language, self.tokens), (self.shape.vision, self.patches))
        )

    # -- copies of weights -----------------------------------------------------------------------------------------

    def _copies(self) -> int:
        """Autocast's of float32 weights, which products keep for the gradient of their input."""
        between = self.seen.states or "projector" not in self.setup.freeze
        parts = {"language": self.spoken.states, "projector": between, "vision": self.seen.states}
        return 0 if self.setup.gradient_checkpointing else self._cast(parts)

    def _cached_copies(self) -> int:
        """Autocast has a copy of each trained weight until the forward pass is over, also where nobody keeps it."""
        parts = ("language", "projector", "vision")
        return self._cast({part: self.setup.trains(part) for part in parts}) if self.autocast_again else 0

    def _cast(self, parts: dict[str, bool]) -> int:
        shape, setup = self.shape, self.setup
        weights = {"language": shape.language.weights, "projector": shape.projector, "vision": shape.vision.weights}
        wide = [part for part in parts if parts[part] and (setup.trains(part) or setup.frozen_bytes == FLOAT)]
        return HALF * sum(weights[part] for part in wide) if self.types.autocast and setup.quantize == "none" else 0

    def _gathered(self) -> int:
        """FSDP2 keeps its last units from the forward to the backward pass: head and projector. ZeRO-3: so many."""
        if self.setup.shard == "fsdp2":
            return self.types.operands * (self.shape.embedding + self.shape.between)
        return self.types.operands * min(LIVE, self.shape.parameters) if self.setup.shard == "zero3" else 0

    def _unit(self) -> int:
        """FSDP2's largest layer, gathered; in the backward pass there are two, of which one comes early."""
        largest = max(self.shape.language.layer.parameters, self.shape.vision.layer.parameters)
        return self.types.operands * largest if self.setup.shard == "fsdp2" else 0

    # -- what comes and goes ---------------------------------------------------------------------------------------

    @property
    def _one_chunk(self) -> bool:
        return self.scored <= self.setup.chunk

    @property
    def _head_is_plain(self) -> bool:
        return not (self.setup.sharded and self.setup.head_as_module)

    def _logits(self, copies: float, size: int = FLOAT) -> int:
        return round(copies * size * min(self.scored, self.setup.chunk) * self.shape.vocabulary)

    def _head(self) -> tuple[int, int]:
        """Where the head scores (`mixpo.models.logprobs`), in the forward pass and in the backward pass."""
        size, weight, trained = self.types.operands, self.shape.embedding, self.setup.trains("language")
        half = size == HALF
        gathered = size * weight if self.setup.shard == "fsdp2" else 0  # while it is copied out of the buffer
        if not self._head_is_plain:
            chunk = self._logits(2) + self._logits(1, HALF) * half
            return gathered + chunk, max(3 * size * weight, size * weight + chunk + self._logits(1))
        matrix = HALF * weight if self.types.autocast and (trained or self.setup.frozen_bytes == FLOAT) else 0
        several = 0 if self._one_chunk else 1
        kept = self._one_chunk and trained
        forward = max(gathered, matrix) + self._logits(several if kept else 1 + several)
        if not trained:
            return forward, 0
        cast = self._logits(1, HALF) * half
        products = self._logits(several) + max(2 * FLOAT * weight, FLOAT * weight + self._logits(several))
        if gathered and half:  # and the gradient in the type of the gathered weight
            products = max(products, (2 * FLOAT + HALF) * weight)
        return forward, matrix + cast + products

    def _layer(self, stack: Transformer, training: Gradients, tokens: int) -> int:
        """The backward pass of one layer: what it keeps, computed again if checkpointed, and its gradients."""
        if not training.states:
            return 0
        layer, size = stack.layer, self.types.operands
        again = self._layer_kept(stack, training, tokens) if self.setup.gradient_checkpointing else 0
        copies = HALF * layer.parameters if self.autocast_again else 0
        gradients = 2 * layer.inner * size * tokens + layer.inner * layer.hidden * (FLOAT + HALF) * training.weights
        return again + copies + gradients + 2 * self._unit() + self._reducing(stack)

    def _reducing(self, stack: Transformer) -> int:
        """What FSDP2 still adds up of the unit before: of the last ones, which the backward pass begins with."""
        if self.setup.shard != "fsdp2":
            return 0
        size = self.setup.reduce_bytes if self.types.operands == HALF else FLOAT
        return size * (self.shape.embedding if stack is self.shape.language else stack.layer.parameters)

    def _roots(self) -> int:
        """AdamW that is not fused takes the roots of all second moments at once."""
        plain = self.setup.optimizer in ("adamw", "adamw_torch") and self.setup.offload == "none"
        return FLOAT * self.trained // self.setup.shares if plain else 0


def _padded(rows: list[Prompt]) -> list[Prompt]:
    """Rows as long as the longest."""
    width = max((row.length for row in rows), default=0)
    return [replace(row, tokens=width - sum(row.completions)) for row in rows]
