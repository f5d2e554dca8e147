"""Requests to encoded batches, prepared in a thread ahead of their use."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mixpo.errors import DataError
from mixpo.models.chat import REFUSALS, Chat, tokenwise
from mixpo.records import Dropped, DropReason
from mixpo.responses.backend import Request, reserved_token
from mixpo.responses.backends.embedded.prefill import Encoded
from mixpo.responses.prefetch import PIXELS_AHEAD, read_ahead

PROMPTS = 16
"""Most prompts in one forward pass."""
TOKENS = 4096
"""Most prompt tokens in one forward pass, unless a single prompt has more."""


class RequestEncoder:
    """Encodes requests of one checkpoint; images are preprocessed once a request, whatever its samples."""

    def __init__(self, processor: Any):
        self.chat = Chat(processor)
        self.tokenizer = self.chat.tokenizer
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def reserved(self, request: Request) -> frozenset[int]:
        """Tokens of the request's prefix that stand for images."""
        return self.chat.image_tokens.intersection(request.prefix_token_ids)

    def __call__(self, requests: Sequence[Request]) -> dict[str, Tensor]:
        """Model inputs of all requests, left-padded: input_ids and attention_mask (requests, columns), pixels.

        Either all requests have images or none has, and videos likewise.
        """
        texts = [
            self.chat.render(request.messages, len(request.images) - len(request.videos), len(request.videos))
            for request in requests
        ]
        inputs = self.chat.inputs(texts, [request.images for request in requests], padding=len(requests) > 1)
        return append_prefixes(inputs, [request.prefix_token_ids for request in requests], self.tokenizer.pad_token_id)


def encoded_batches(
    requests: Iterable[Request], encoder: RequestEncoder, context: int, most: int = PROMPTS
) -> Iterator[Encoded | Dropped]:
    """Batches of requests, in their order; a prompt as long as the model's context is dropped."""
    return read_ahead(_batches(iter(requests), encoder, context, most), 2, _pixels, PIXELS_AHEAD)


def _batches(
    requests: Iterator[Request], encoder: RequestEncoder, context: int, most: int
) -> Iterator[Encoded | Dropped]:
    size = 1
    for _, same in itertools.groupby(requests, key=_kinds):
        while batch := tuple(_next(same, size)):
            longest = 1
            for encoded in encode(batch, encoder, context):
                yield encoded
                if isinstance(encoded, Encoded):
                    longest = max(longest, *encoded.lengths)
            size = max(1, min(most, TOKENS // longest))


def _pixels(batch: Encoded | Dropped) -> int:
    return sum(request.pixels for request in batch.requests) if isinstance(batch, Encoded) else 0


def _next(requests: Iterator[Request], most: int) -> Iterator[Request]:
    """At most so many requests, and fewer where their pictures are large."""
    pixels = 0
    for request in itertools.islice(requests, most):
        yield request
        pixels += request.pixels
        if pixels > PIXELS_AHEAD:
            return


def _kinds(request: Request) -> tuple[bool, bool]:
    """Whether a request shows pictures, and whether it shows videos: processors take those that are alike together."""
    videos = len(request.videos)
    return len(request.images) > videos, videos > 0


def encode(batch: tuple[Request, ...], encoder: RequestEncoder, context: int) -> Iterator[Encoded | Dropped]:
    """One batch of those that fit, and a `Dropped` for each that does not or that the processor refuses."""
    if whole := [request for request in batch if encoder.reserved(request)]:
        for request in whole:
            yield reserved_token(request.id, encoder.tokenizer.decode([min(encoder.reserved(request))]))
        batch = tuple(request for request in batch if request not in whole)
        if not batch:
            return
    try:
        inputs = encoder(batch)
    except (*REFUSALS, DataError) as error:
        if len(batch) > 1:
            for request in batch:
                yield from encode((request,), encoder, context)
        else:
            yield _refusal(batch[0], error)
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


def _refusal(request: Request, error: Exception) -> Dropped:
    reason, detail = DropReason.UNSUPPORTED, str(error)
    if not isinstance(error, DataError):
        what = "video" if request.videos else "image" if request.images else "text"
        reason = DropReason.BAD_IMAGE if request.images else reason
        detail = f"the model's processor refuses the {what}: {error}"
    return Dropped(id=request.id, step="sample", reason=reason, detail=detail)


def append_prefixes(inputs: dict[str, Any], prefixes: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
    """Adds tokens at the right end of each row; token types, where the model has them, are 0 (text) there. What a token
    attends to apart (a vector for each, `cross_attention_mask`) is for them what it is for the prompt's last one."""
    if not any(prefixes):
        return inputs
    shape = inputs["input_ids"].shape
    kept = inputs["attention_mask"].bool()
    lengths = [int(row.sum()) + len(prefix) for row, prefix in zip(kept, prefixes, strict=True)]
    appended = dict(inputs)
    for name in tokenwise(inputs, shape):
        value = inputs[name]
        size = (shape[0], max(lengths), *value.shape[2:])
        rows = torch.full(size, pad if name == "input_ids" else 0, dtype=value.dtype)
        for number, (prefix, length) in enumerate(zip(prefixes, lengths, strict=True)):
            own = value[number, kept[number]]
            added = torch.tensor(prefix if name == "input_ids" else [int(name == "attention_mask")] * len(prefix))
            if value.dim() > 2:
                added = own[-1:].expand(len(prefix), *own.shape[1:])
            rows[number, max(lengths) - length :] = torch.cat([own, added.to(value.dtype)])
        appended[name] = rows
    return appended


def lengths_of(inputs: dict[str, Any]) -> list[int]:
    """Tokens of each row, padding aside."""
    return inputs["attention_mask"].sum(-1).tolist()
