"""What autograd keeps of a forward pass until the backward pass has used it, in bytes, counted operation by operation.

The operations are those of transformers' layers (Llama's and its like, ViT's and its like) with torch's SDPA or
FlexAttention. A product keeps its input, for the gradient of its weight; a multiplication both factors; an activation
its input; attention queries, keys, values and its result. Under autocast every product has a copy of its own of what
it reads. Against torch's allocator: `benchmarks/plan_memory.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mixpo.models.shape import Prompt, Transformer

FLOAT = 4
"""Bytes of a float32 number."""
HALF = 2
"""Bytes of a bfloat16 number."""


@dataclass(frozen=True, kw_only=True)
class Types:
    """Bytes of a number."""

    states: int
    """Between layers."""
    operands: int
    """Of what is multiplied."""
    autocast: bool = False
    """Products read copies of float32 states; else states and operands are of the same type."""

    def of(self, stack: Transformer) -> "Types":
        """In this stack: under autocast, states are what was first added to them."""
        narrow = self.autocast and not stack.wide
        return Types(states=HALF, operands=HALF, autocast=True) if narrow else self


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """Which gradients a stack has."""

    weights: bool = True
    """Of its weights: what they are multiplied with is kept."""
    adapter: int = 0
    """Rank of a LoRA adapter on every matrix; 0: none."""
    states: bool = True
    """Of what goes into it, or of anything within: without, nothing is kept."""

    @property
    def inputs(self) -> bool:
        """Whether what a matrix reads is kept."""
        return self.weights or bool(self.adapter)


@dataclass(frozen=True, kw_only=True)
class KeptByAttention:
    """What a way of attending keeps, beside queries, keys, values and its result."""

    repeated: bool = False
    """Keys and values stand once for each query head, not for each key head."""
    joined: bool = False
    """Each further completion of a shared row has the prompt's keys and values again."""
    masked: bool = False
    """A mask of (queries, keys): as numbers that are added to the scores, of a further completion also as bits."""
    copied: bool = False
    """The result is copied into the order that the next product reads."""
    cast_after_cut: bool = False
    """Under autocast, keys are cast part by part."""


WHOLE = KeptByAttention()
"""SDPA without a mask, and flash attention."""


def attending(implementation: str, shared: bool, operands: int) -> KeptByAttention:
    """How the language model attends (`mixpo.models.attention`); `operands`: bytes of a number that is multiplied."""
    if implementation == "flex":
        return KeptByAttention(copied=True)
    if implementation == "flash_attention_2":
        return WHOLE
    if shared:  # SDPA by parts of the row; its kernels for 16 bits alone read a head of keys several times
        return KeptByAttention(repeated=operands == FLOAT, joined=True, copied=True)
    return KeptByAttention(repeated=True, masked=True)


def layer_bytes(stack: Transformer, tokens: int, types: Types, training: Gradients) -> int:
    """Of one layer, without attention's own."""
    if not training.states:
        return 0
    layer, types = stack.layer, types.of(stack)
    scaled = 2 * layer.hidden * types.operands if layer.scaled and training.weights else 0
    low_rank = layer.matrices * training.adapter * types.operands
    # Attention and the MLP each have a norm before them; of more, the others are behind them.
    before, behind = min(layer.norms, 2), max(layer.norms - 2, 0)
    numbers = (
        before * _norm(layer.hidden, layer.rms, types, training)
        + behind * _norm(layer.hidden, layer.rms, Types(states=types.operands, operands=types.operands), training)
        + (layer.readers + (2 if layer.gated else 1) if types.autocast else 2) * layer.hidden * types.operands
        * training.inputs
        + _mlp(stack, types, training)
        + scaled
        + low_rank
    )  # fmt: skip
    return tokens * numbers


def _norm(width: int, rms: bool, types: Types, training: Gradients) -> int:
    """Bytes for a token, without the result."""
    if not rms:
        return width * types.states
    if types.states == FLOAT:
        return width * FLOAT * (1 + training.weights)
    return width * (FLOAT + HALF * training.weights)  # a float32 copy of what it reads, and the normed states


def _mlp(stack: Transformer, types: Types, training: Gradients) -> int:
    """Bytes for a token: each product's result, the activation's, and what the last product reads."""
    layer = stack.layer
    return layer.inner * types.operands * ((3 if layer.gated else 1) + training.inputs)


def attention_bytes(
    stack: Transformer, prompts: Sequence[Prompt], types: Types, training: Gradients, attending: KeptByAttention
) -> int:
    """Of one layer: `prompts` are rows; completions see their prompt and themselves."""
    if not training.states:
        return 0
    layer, types = stack.layer, types.of(stack)
    tokens = sum(prompt.length for prompt in prompts)
    keys = stack.width if attending.repeated else layer.key_width
    size = types.operands
    own = 2 * stack.width + stack.heads * FLOAT // size  # queries, the result, a number for each row of scores
    own += stack.width * training.inputs * (attending.copied or layer.fused)
    if layer.fused:
        own += 2 * stack.width  # queries, keys and values stay one tensor, rotated ones are new
    total = size * tokens * (own + 2 * keys)
    if layer.normed_heads:
        total += tokens * _norm(layer.normed_heads, True, Types(states=size, operands=size), training)
    for prompt in prompts:
        others = prompt.completions[1:]
        if attending.joined:
            further = len(others) * prompt.tokens + sum(others)
            spared = sum(others) if types.autocast and attending.cast_after_cut else 0
            total += size * keys * (2 * further - spared)
            total += (size + 1) * sum(length * (prompt.tokens + length) for length in others)
        elif attending.masked:
            total += size * prompt.length**2
    return total
