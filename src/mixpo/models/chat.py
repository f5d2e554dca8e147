"""Prompts to model inputs, through the checkpoint's own processor and chat template."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mixpo.errors import UserError
from mixpo.prompts import opens_thought
from mixpo.responses.backend import Request


class Encoder:
    """Encodes requests of one checkpoint; images are preprocessed once a request, whatever its samples."""

    def __init__(self, processor: Any):
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def render(self, request: Request) -> str:
        """The chat template's text up to where the answer begins."""
        parts = [{"type": "image"} for _ in request.images] + [{"type": "text", "text": request.prompt}]
        messages = [{"role": "user", "content": parts}]
        return self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)

    @cached_property
    def opens_thought(self) -> bool:
        """Whether the chat template ends a prompt inside a thought ("<think>"), as some reasoning models' do."""
        return opens_thought(self.render(Request(id="", prompt="?")))

    def closing_token(self) -> int | None:
        """The special token that the chat template writes after an answer; None when it writes none."""
        answer = "mixpo"
        messages = [
            {"role": "user", "content": [{"type": "text", "text": "?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
        rendered = self.processor.apply_chat_template(messages, tokenize=False)
        ids = self.tokenizer.encode(rendered.rpartition(answer)[2], add_special_tokens=False)
        added = self.tokenizer.added_tokens_decoder
        return next((token for token in ids if token in added and added[token].special), None)

    def __call__(self, requests: Sequence[Request]) -> dict[str, Tensor]:
        """Model inputs of all requests, left-padded: input_ids and attention_mask (requests, columns), pixels.

        Either all requests have images or none has (processors do not take a mixture).
        """
        texts = [self.render(request) for request in requests]
        options: dict[str, Any] = {"padding": len(requests) > 1, "return_tensors": "pt"}
        if self.tokenizer.bos_token and all(text.startswith(self.tokenizer.bos_token) for text in texts):
            # The template has written the first token already; the tokenizer would write it again.
            options["add_special_tokens"] = False
        images = [list(request.images) for request in requests] if requests[0].images else None
        inputs = dict(self.processor(text=texts, **({"images": images} if images else {}), **options))
        return append_prefixes(inputs, [request.prefix_token_ids for request in requests], self.tokenizer.pad_token_id)


def end_of_turn_ids(generation_config: Any, tokenizer: Any) -> frozenset[int]:
    """The end tokens of the generation config and of the tokenizer. Raises UserError when there are none."""
    named = generation_config.eos_token_id
    ids = {named} if isinstance(named, int) else set(named or ())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    if not ids:
        raise UserError("the checkpoint names no end-of-turn token; set eos_token_id in its generation_config.json")
    return frozenset(ids)


def check_end_of_turn(encoder: Encoder, end_ids: frozenset[int]) -> None:
    """Raises UserError when the token that the chat template writes after an answer does not stop the model."""
    closing = encoder.closing_token()
    if closing is not None and closing not in end_ids:
        token = encoder.tokenizer.decode([closing])
        raise UserError(
            f"the chat template ends an answer with {token!r}, which does not stop the model; "
            "add it to eos_token_id in generation_config.json"
        )


def append_prefixes(inputs: dict[str, Any], prefixes: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
    """Adds tokens at the right end of each row; token types, where the model has them, are 0 (text) there."""
    if not any(prefixes):
        return inputs
    shape = inputs["input_ids"].shape
    kept = inputs["attention_mask"].bool()
    lengths = [int(row.sum()) + len(prefix) for row, prefix in zip(kept, prefixes, strict=True)]
    appended = dict(inputs)
    for name, value in inputs.items():
        if not isinstance(value, Tensor) or value.shape != shape:
            continue
        rows = torch.full((shape[0], max(lengths)), pad if name == "input_ids" else 0, dtype=value.dtype)
        for number, (prefix, length) in enumerate(zip(prefixes, lengths, strict=True)):
            added = prefix if name == "input_ids" else [int(name == "attention_mask")] * len(prefix)
            start = max(lengths) - length
            rows[number, start:] = torch.cat([value[number, kept[number]], torch.tensor(added, dtype=value.dtype)])
        appended[name] = rows
    return appended


def lengths_of(inputs: dict[str, Any]) -> list[int]:
    """Tokens of each row, padding aside."""
    return inputs["attention_mask"].sum(-1).tolist()
