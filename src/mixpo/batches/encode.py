"""One preference row to token ids: the prompt once, each completion apart, the images once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from torch import Tensor

from mixpo.errors import DataError
from mixpo.models.as_messages import text_of
from mixpo.models.chat import REFUSALS, Chat, tokenwise
from mixpo.videos import Frames, videos_among

IMAGES, VIDEOS = "pixel_values", "pixel_values_videos"
"""What models call the pixels of the two; to some a video's frames are images (InternVL)."""
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
    token_types: dict[str, list[Any]] = field(default_factory=dict)
    """What the processor says of each prompt token (`token_type_ids`, `mm_token_type_ids`). Models take
    three-dimensional positions (Qwen-VL) and bidirectional attention (Gemma 3, PaliGemma) from them. In
    `cross_attention_mask` a token has lists (images, tiles) of what it attends to (Llama-3.2-Vision)."""
    completion_types: dict[str, Any] = field(default_factory=dict)
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

    @property
    def attended(self) -> int:
        """Images that tokens attend to apart; 0 without images, and where images are tokens of the prompt."""
        return max((len(values[0]) for values in self.token_types.values() if isinstance(values[0], list)), default=0)


class ReservedToken(DataError):
    """A completion has a token that stands for an image or ends a turn."""


class Encoder:
    """Turns rows in TRL's conversational format into `Example`s with a model's own processor.

    A row has `prompt` (messages, or text), `chosen`, optionally `rejected` (messages, or text) and
    optionally `images` (or `image`): Pillow images, in the order of the prompt's image parts. `rejected_ended: False`
    says that the token limit cut the rejected completion: no end-of-turn token is scored for it (`chosen_ended` is
    the same of the chosen one). `chosen_token_ids`, `rejected_token_ids`: the tokens that were sampled, taken where
    this tokenizer decodes them to the text.

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
        max_length: int | None = None,
    ):
        """`needs_rejected`: whether the objective looks at rejected completions (SFT does not encode them).
        `max_length`: tokens of prompt and completion, as TRL's; what of a completion goes beyond them is cut.

        Raises UserError for a processor without a chat template.
        """
        self.chat = Chat(processor)
        self.tokenizer = self.chat.tokenizer
        self.max_completion_length = max_completion_length
        self.truncate = truncate
        self.needs_rejected = needs_rejected
        self.max_length = max_length
        self.end_id = self.chat.end_of_turn
        self._prompts: dict[bytes, dict[str, Any]] = {}

    def __call__(self, row: Mapping[str, Any]) -> Example:
        """Raises DataError for a row that cannot be trained on, saying why."""
        for column in ("prompt", "chosen", *(["rejected"] if self.needs_rejected else [])):
            if row.get(column) is None:
                raise DataError(f"a row has no {column!r}, which the objective needs; drop the row or add the column")
        sides = ("chosen", "rejected") if self.needs_rejected else ("chosen",)
        completions = [self.completion_ids(*completion_of(row, side)) for side in sides]
        prompt = self.prompt(row)
        if self.max_length is not None:
            left = self.max_length - len(prompt["prompt_ids"])
            if left < 1:
                raise DataError(
                    f"a prompt has {len(prompt['prompt_ids'])} tokens, which max_length={self.max_length} leaves no "
                    "completion beside; raise max_length, or say max_length=None"
                )
            completions = [ids[:left] for ids in completions]
        return Example(completions=completions, **prompt)

    def prompt(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an `Example` that a row's prompt and images fill. Raises DataError when they are refused."""
        images = images_of(row)
        videos = len(videos_among(images))
        text = self.chat.render(row["prompt"], len(images) - videos, videos)
        image_key = digest_images(images)
        key = hashlib.blake2b(image_key + text.encode(), digest_size=16).digest()
        if key not in self._prompts:
            self._prompts[key] = {"key": key, "image_key": image_key, **self._encoded(text, images)}
            if len(self._prompts) > REMEMBERED:
                self._prompts.pop(next(iter(self._prompts)))
        return self._prompts[key]

    def _encoded(self, text: str, images: list[Any]) -> dict[str, Any]:
        try:
            encoded = self.chat.inputs([text], [images])
        except REFUSALS as error:
            raise DataError(f"{type(self.chat.processor).__name__} refuses a row: {error}") from error
        prompt_ids = encoded.pop("input_ids")[0].tolist()
        for unused in ("attention_mask", "labels"):  # masks are made from lengths; labels are for another loss
            encoded.pop(unused, None)
        tensors = {key: value for key, value in encoded.items() if isinstance(value, Tensor)}
        types = {key: tensors[key][0].tolist() for key in tokenwise(tensors, (1, len(prompt_ids)))}
        pictures = {key: value for key, value in tensors.items() if key not in types}
        return {"prompt_ids": prompt_ids, "image_inputs": pictures, "token_types": types}

    def filler(self, video: bool = False) -> Example:
        """A blank image, or video, and the shortest completions, not counted as a pair.

        It makes a model run its vision tower where a rank has no image of its own.
        """
        blank = Image.new("RGB", (64, 64))
        shown = {"type": "video" if video else "image"}
        prompt = [{"role": "user", "content": [shown, {"type": "text", "text": ""}]}]
        row = {
            "images": [Frames((blank, blank), 1.0) if video else blank], "prompt": prompt, "chosen": ".",
            "rejected": ".",
        }  # fmt: skip
        return replace(self(row), counted=False)

    def completion_ids(
        self, completion: str | Sequence[Mapping[str, Any]], ended: bool = True, token_ids: Sequence[int] = ()
    ) -> list[int]:
        """Tokens of an assistant turn, end-of-turn included if the model `ended` it (and was not cut by a limit).

        `token_ids`: those that were sampled. Another model's tokenizer decodes them to other words: then they are the
        text's. Raises DataError for a completion that cannot be trained on.
        """
        text = completion if isinstance(completion, str) else text_of(completion)
        sampled = token_ids and self.chat.completions.are_of(token_ids, text)
        ids = list(token_ids) if sampled else self.chat.completion_tokens(text)
        if not ids:
            raise DataError("a completion is empty: there is no token to train on; drop the row")
        if reserved := self.chat.reserved.intersection(ids):
            token = self.tokenizer.convert_ids_to_tokens(min(reserved))
            raise ReservedToken(
                f"a completion contains {token!r}, which stands for an image or ends a turn; drop the row"
            )
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


def completion_of(row: Mapping[str, Any], side: str) -> tuple[Any, bool, Sequence[int]]:
    """The row's chosen or rejected completion, whether the model ended it, and its tokens where the row has them.

    `datasets` fills the columns that a row does not have with None.
    """
    ended, token_ids = (row.get("_".join((side, what))) for what in ("ended", "token_ids"))
    return row[side], True if ended is None else ended, token_ids or ()


def images_of(row: Mapping[str, Any]) -> list[Any]:
    """What a row shows: Pillow images, and the `Frames` of videos. Raises DataError for a column of videos."""
    images = row.get("images")
    if any(row.get(name) for name in ("video", "videos")):
        raise DataError("a row has a column of videos; put each among its images, as mixpo.videos.Frames")
    if images is None:
        image = row.get("image")
        images = [] if image is None else [image]
    return list(images)


def digest_images(images: Sequence[Any]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for image in images:
        if isinstance(image, Frames):
            digest.update(f"video {image.fps!r} ".encode() + digest_images(image.images))
            continue
        digest.update(f"{getattr(image, 'mode', '')} {image.size} ".encode())
        digest.update(image.tobytes())
    return digest.digest()
