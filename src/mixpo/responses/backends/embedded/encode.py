"""Requests to encoded batches, prepared in a thread ahead of their use."""

import itertools
from collections.abc import Iterable, Iterator

from mixpo.models.chat import Encoder, lengths_of
from mixpo.records import Dropped, DropReason
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.prefill import Encoded
from mixpo.responses.prefetch import read_ahead

PROMPTS = 16
"""Most prompts in one forward pass."""
REFUSALS = (ValueError, RuntimeError, ArithmeticError, TypeError)
"""What processors raise for an image that they do not take: a side of no pixels after resizing, an extreme shape."""
TOKENS = 4096
"""Most prompt tokens in one forward pass, unless a single prompt has more."""


def encoded_batches(
    requests: Iterable[Request], encoder: Encoder, context: int, most: int = PROMPTS
) -> Iterator[Encoded | Dropped]:
    """Batches of requests, in their order; a prompt as long as the model's context is dropped."""
    return read_ahead(_batches(iter(requests), encoder, context, most), 2)


def _batches(requests: Iterator[Request], encoder: Encoder, context: int, most: int) -> Iterator[Encoded | Dropped]:
    size = 1
    for _, same in itertools.groupby(requests, key=lambda request: bool(request.images)):
        while batch := tuple(itertools.islice(same, size)):
            longest = 1
            for encoded in encode(batch, encoder, context):
                yield encoded
                if isinstance(encoded, Encoded):
                    longest = max(longest, *encoded.lengths)
            size = max(1, min(most, TOKENS // longest))


def encode(batch: tuple[Request, ...], encoder: Encoder, context: int) -> Iterator[Encoded | Dropped]:
    """One batch of those that fit, and a `Dropped` for each that does not or whose image the processor refuses."""
    try:
        inputs = encoder(batch)
    except REFUSALS as error:
        if not batch[0].images:
            raise
        if len(batch) > 1:
            for request in batch:
                yield from encode((request,), encoder, context)
        else:
            detail = f"the model's processor refuses the image: {error}"
            yield Dropped(id=batch[0].id, step="sample", reason=DropReason.BAD_IMAGE, detail=detail)
        return
    lengths = lengths_of(inputs)
    fitting = tuple(request for request, length in zip(batch, lengths, strict=True) if length < context)
    for request, length in zip(batch, lengths, strict=True):
        if length >= context:
            detail = f"the prompt has {length} tokens with its images, the model takes {context}"
            yield Dropped(id=request.id, step="sample", reason=DropReason.PROMPT_TOO_LONG, detail=detail)
    if fitting:
        inputs = inputs if len(fitting) == len(batch) else encoder(fitting)
        yield Encoded(fitting, inputs, tuple(lengths_of(inputs)))
