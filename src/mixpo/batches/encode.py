"""One preference row to token ids: the prompt once, each completion apart, the images once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from mixpo.errors import DataError, UserError

END_PROBE = "mixpo-end-of-turn-probe"
REMEMBERED = 8
"""Prompts whose encoding is kept: the pairs of a question come in succession, and its images are processed once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One prompt with its completions, encoded; the unit that batches are made of."""

    prompt_ids: list[int]
    """Prompt tokens, image placeholders expanded, generation prompt included."""
    completions: list[list[int]]
    """Completion tokens, end-of-turn included: chosen first, then rejected (absent for supervised rows)."""
    image_inputs: dict[str, Tensor] = field(default_factory=dict)
    """What the processor makes of the images (`pixel_values`, grids, sizes …), batch of one prompt."""
    token_types: dict[str, list[int]] = field(default_factory=dict)
    """What the processor says of each prompt token (`token_type_ids`, `mm_token_type_ids`). Models take
    three-dimensional positions (Qwen-VL) and bidirectional attention (Gemma 3, PaliGemma) from them."""
    completion_types: dict[str, int] = field(default_factory=dict)
    """The type of every completion token, where it is not 0 (`mixpo.batches.positions`)."""
    positions: Tensor | None = None
    """(axes, prompt) int64, where the model counts along several axes (`mixpo.batches.positions`); None: 0, 1, 2 …
    Completions go on from the largest, on every axis."""
    counted: bool = True
    """False: the example only makes the model run (`Encoder.filler`); it is no pair and carries no loss."""
    key: bytes | None = None
    """Digest of the prompt's text and images: examples with the same one share both. None: they share nothing."""
    image_key: bytes | None = None
    """Digest of the images alone."""

    @property
    def length(self) -> int:
        """Tokens of the shared-prefix row: the prompt and all completions."""
        return len(self.prompt_ids) + sum(map(len, self.completions))


class Encoder:
    """Turns rows in TRL's conversational format into `Example`s with a model's own processor.

    A row has `prompt` (messages, or text), `chosen`, optionally `rejected` (messages, or text) and
    optionally `images` (or `image`): Pillow images, in the order of the prompt's image parts. `rejected_ended: False`
    says that the token limit cut the rejected completion: no end-of-turn token is scored for it.

    Prompt and completion are tokenised apart and joined: together, the boundary could merge into a token
    that sampling never produces. A completion ends with the token that ends an assistant turn in the
    processor's chat template, which is what the policy writes when it stops.
    """

    def __init__(
        self,
        processor: Any,
        max_completion_length: int | None = None,
        truncate: bool = False,
        needs_rejected: bool = True,
    ):
        """`needs_rejected`: whether the objective looks at rejected completions (SFT does not encode them).

        Raises UserError for a processor without a chat template.
        """
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.max_completion_length = max_completion_length
        self.truncate = truncate
        self.needs_rejected = needs_rejected
        self.end_id = end_of_turn_id(processor)
        self.reserved = {self.end_id, *image_token_ids(processor)}
        self._prompts: dict[bytes, dict[str, Any]] = {}

    def __call__(self, row: Mapping[str, Any]) -> Example:
        """Raises DataError for a row that cannot be trained on, saying why."""
        for column in ("prompt", "chosen", *(["rejected"] if self.needs_rejected else [])):
            if row.get(column) is None:
                raise DataError(f"a row has no {column!r}, which the objective needs; drop the row or add the column")
        images = images_of(row)
        prompt = as_messages(row["prompt"], "user", len(images))
        text = self.processor.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        completions = [self.completion_ids(row["chosen"])]
        if self.needs_rejected:
            completions.append(self.completion_ids(row["rejected"], ended=row.get("rejected_ended", True)))
        image_key = digest_images(images)
        key = hashlib.blake2b(image_key + text.encode(), digest_size=16).digest()
        if key not in self._prompts:
            self._prompts[key] = self._prompt(text, images)
            if len(self._prompts) > REMEMBERED:
                self._prompts.pop(next(iter(self._prompts)))
        return Example(completions=completions, key=key, image_key=image_key, **self._prompts[key])

    def _prompt(self, text: str, images: list[Any]) -> dict[str, Any]:
        """The fields of an `Example` that its prompt fills."""
        options: dict[str, Any] = {"return_tensors": "pt"}
        if self.tokenizer.bos_token and text.startswith(self.tokenizer.bos_token):
            # The template has written the first token already; the tokenizer would write it again.
            options["add_special_tokens"] = False
        try:
            encoded = dict(self.processor(text=[text], **({"images": [images]} if images else {}), **options))
        except ValueError as error:
            raise DataError(f"{type(self.processor).__name__} refuses a row: {error}") from error
        prompt_ids = encoded.pop("input_ids")[0].tolist()
        for unused in ("attention_mask", "labels"):  # masks are made from lengths; labels are for another loss
            encoded.pop(unused, None)
        tensors = {key: value for key, value in encoded.items() if isinstance(value, Tensor)}
        types = {key: value[0].tolist() for key, value in tensors.items() if _is_tokenwise(value, prompt_ids)}
        pictures = {key: value for key, value in tensors.items() if key not in types}
        return {"prompt_ids": prompt_ids, "image_inputs": pictures, "token_types": types}

    def filler(self) -> Example:
        """A blank image and the shortest completions, not counted as a pair.

        It makes a model run its vision tower where a rank has no image of its own.
        """
        row = {"images": [Image.new("RGB", (64, 64))], "prompt": "", "chosen": ".", "rejected": "."}
        return replace(self(row), counted=False)

    def completion_ids(self, completion: str | Sequence[Mapping[str, Any]], ended: bool = True) -> list[int]:
        """Tokens of an assistant turn, end-of-turn included if the model `ended` it (and was not cut by a limit)."""
        text = completion if isinstance(completion, str) else text_of(completion)
        if not text:
            raise DataError("a completion is empty: there is no token to train on; drop the row")
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if reserved := self.reserved.intersection(ids):
            token = self.tokenizer.convert_ids_to_tokens(min(reserved))
            raise DataError(f"a completion contains {token!r}, which stands for an image or ends a turn; drop the row")
        if ended:
            ids = [*ids, self.end_id]
        if self.max_completion_length is not None and len(ids) > self.max_completion_length:
            if not self.truncate:
                raise DataError(
                    f"a completion has {len(ids)} tokens, above max_completion_length={self.max_completion_length}; "
                    "drop the row, raise the limit or set truncate_completions"
                )
            ids = ids[: self.max_completion_length]
        return ids


def images_of(row: Mapping[str, Any]) -> list[Any]:
    images = row.get("images")
    if images is None:
        image = row.get("image")
        images = [] if image is None else [image]
    return list(images)


def as_messages(prompt: str | Sequence[Mapping[str, Any]], role: str, images: int) -> list[dict[str, Any]]:
    """Messages whose contents are lists of parts; images that no part names come first in the first user turn.

    Raises DataError when the prompt names another number of images than the row has.
    """
    given = [{"role": role, "content": prompt}] if isinstance(prompt, str) else prompt
    messages: list[dict[str, Any]] = []
    for message in given:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        # `datasets` fills the keys that a part does not have with None.
        parts = [{key: value for key, value in part.items() if value is not None} for part in parts]
        messages.append({"role": message["role"], "content": parts})
    named = sum(part["type"] == "image" for message in messages for part in message["content"])
    if named == 0 and images:
        first = next((message for message in messages if message["role"] == "user"), None)
        if first is None:
            roles = ", ".join(str(message["role"]) for message in messages)
            raise DataError(f"the prompt has images and no message of role 'user' (roles: {roles}); rename the roles")
        first["content"] = [{"type": "image"}] * images + first["content"]
    elif named != images:
        raise DataError(f"the prompt names {named} images and the row has {images}; they must be equal")
    return messages


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of one assistant turn. Raises DataError when there is not exactly one message."""
    if len(messages) != 1:
        raise DataError(
            f"a completion must be one assistant message, not {len(messages)}; put earlier turns in the prompt"
        )
    content = messages[0]["content"]
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)


def end_of_turn_id(processor: Any) -> int:
    """The token that the chat template writes after an assistant's text; the tokenizer's eos when it writes none."""
    tokenizer = getattr(processor, "tokenizer", processor)
    if not getattr(processor, "chat_template", None):
        raise UserError(
            f"{type(processor).__name__} has no chat template; set processor.chat_template to the model's own"
        )
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": END_PROBE}]},
    ]
    rest = processor.apply_chat_template(turns, tokenize=False).partition(END_PROBE)[2].strip()
    ids = tokenizer(rest, add_special_tokens=False)["input_ids"] if rest else []
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    return next((token for token in ids if token in special), tokenizer.eos_token_id)


def image_token_ids(processor: Any) -> set[int]:
    """Tokens that stand for (parts of) images and videos in a prompt."""
    found = {getattr(processor, name, None) for name in ("image_token_id", "video_token_id")}
    found.update(getattr(processor, "image_token_ids", None) or ())
    return {token for token in found if isinstance(token, int)}


def digest_images(images: Sequence[Any]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for image in images:
        digest.update(f"{getattr(image, 'mode', '')} {image.size} ".encode())
        digest.update(image.tobytes())
    return digest.digest()


def _is_tokenwise(value: Tensor, prompt_ids: list[int]) -> bool:
    return value.shape == (1, len(prompt_ids)) and not torch.is_floating_point(value)
