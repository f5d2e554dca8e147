"""Drawing the next token of many rows at once, with noise that depends on nothing but the row itself.

The noise of a token is a hash of (seed, request, sample, position, token): a counter-based generator
(Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), here with the mixing function of
SplitMix64 (Steele et al. 2014). A response is therefore the same whatever batch it was drawn in.
"""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from mixpo.responses.backend import SamplingParams

GOLDEN = 0x9E3779B97F4A7C15 - 2**64
FIRST = 0xBF58476D1CE4E5B9 - 2**64
SECOND = 0x94D049BB133111EB - 2**64

Choose = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits (rows, vocabulary), keys (rows,), positions (rows,)) -> tokens (rows,)."""


def noise_key(seed: int, request_id: str, sample: int) -> int:
    """A signed 64-bit number that stands for one response."""
    digest = hashlib.blake2b(f"{seed}/{sample}/{request_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def mix(counters: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64 of any shape; multiplication wraps around."""
    counters = (counters ^ _shift(counters, 30)) * FIRST
    counters = (counters ^ _shift(counters, 27)) * SECOND
    return counters ^ _shift(counters, 31)


def _shift(numbers: Tensor, bits: int) -> Tensor:
    # int64 shifts copy the sign bit; the generator is defined on unsigned numbers.
    return (numbers >> bits) & ((1 << (64 - bits)) - 1)


def gumbel(keys: Tensor, positions: Tensor, tokens: Tensor) -> Tensor:
    """Standard Gumbel noise, float64, shape (rows, candidates).

    `keys` (rows,) from `noise_key`, `positions` (rows,) in the completion, `tokens` (rows, candidates).
    """
    rows = mix(keys + (positions + 1) * GOLDEN)
    hashes = mix(rows[:, None] + (tokens + 1) * GOLDEN)
    uniform = (_shift(hashes, 11).double() + 0.5) * 2.0**-53
    return -torch.log(-torch.log(uniform))


def sampler(params: SamplingParams) -> Choose:
    """How `params` say tokens are chosen: the most probable one, or the Gumbel-max of temperature, top-k, top-p."""
    if params.temperature == 0:
        return _greedy

    def draw(logits: Tensor, keys: Tensor, positions: Tensor) -> Tensor:
        values, tokens = candidates(logits, params)
        best = (values.double() + gumbel(keys, positions, tokens)).argmax(-1, keepdim=True)
        return tokens.gather(1, best).squeeze(1)

    return draw


def _greedy(logits: Tensor, _keys: Tensor, _positions: Tensor) -> Tensor:
    return logits.argmax(-1)


def candidates(logits: Tensor, params: SamplingParams) -> tuple[Tensor, Tensor]:
    """Scaled logits and token ids that may be drawn, both (rows, candidates); -inf: excluded by top-p."""
    vocabulary = logits.shape[-1]
    if 0 < params.top_k < vocabulary:
        values, tokens = logits.topk(params.top_k, dim=-1)
    elif params.top_p < 1:
        values, tokens = logits.sort(dim=-1, descending=True)
    else:
        values, tokens = logits, torch.arange(vocabulary, device=logits.device).expand_as(logits)
    values = values / params.temperature
    if params.top_p < 1:
        probabilities = values.softmax(-1)
        # A token stays while those before it have less than top_p: the first one always does.
        before = probabilities.cumsum(-1) - probabilities
        values = values.masked_fill(before >= params.top_p, -torch.inf)
    return values, tokens
