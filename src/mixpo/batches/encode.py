"""One preference row to token ids: the prompt once, each completion apart, the images once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from torch import Tensor

from mixpo.batches.rows import SIDES, Asked, read
from mixpo.conversations import alike
from mixpo.errors import DataError
from mixpo.messages import IMAGE, count
from mixpo.models.chat import REFUSALS, Chat, tokenwise
from mixpo.models.load import context_of, refuse_other_processor
from mixpo.videos import Frames

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


class TooLong(DataError):
    """A prompt with a completion has more tokens than the model has positions for."""


class Encoder:
    """Turns rows in any of TRL's forms (`mixpo.batches.rows`) into `Example`s with a model's own processor.

    A row's `rejected_ended: False` says that the token limit cut the rejected completion: no end-of-turn token is
    scored for it (`chosen_ended` is the same of the chosen one). `chosen_token_ids`, `rejected_token_ids`: the tokens
    that were sampled, taken where this tokenizer decodes them to the text.

    Prompt and completion are tokenised apart and joined: together, the boundary could merge into a token
    that sampling never produces. A completion ends with the token that ends an assistant turn in the
    processor's chat template, which is what the policy writes when it stops. A standard row, all of it texts, is
    tokenised as TRL does it (`_standard`).
    """

    context: int | None = None
    """Most tokens of a prompt with a completion; None: any number. Longer ones are refused (`TooLong`)."""

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
        """Raises DataError, or ImageError, for a row that cannot be trained on, saying why."""
        asked = read(row, self.sides)
        if isinstance(asked.prompt, str):
            prompt, completions = self._standard(asked, row)
        else:
            prompt = self._prompt(asked)
            completions = [self._completion(asked, row, side) for side in self.sides]
        if self.max_length is not None:
            left = self.max_length - len(prompt["prompt_ids"])
            if left < 1:
                raise DataError(
                    f"the prompt has {len(prompt['prompt_ids'])} tokens, which max_length={self.max_length} leaves no "
                    "completion beside; raise max_length, or say max_length=None"
                )
            completions = [ids[:left] for ids in completions]
        example = Example(completions=completions, **prompt)
        self.check_length(len(example.prompt_ids), max(map(len, completions)))
        return example

    def fit(self, config: Any) -> None:
        """Keeps to a model's context. Raises UserError where the processor is another model's, by their configs."""
        refuse_other_processor(config, self.chat.image_tokens)
        self.context = context_of(config)

    def check_length(self, prompt: int, completion: int) -> None:
        """Raises TooLong when a prompt of so many tokens with such a completion is longer than the context."""
        if self.context is not None and prompt + completion > self.context:
            raise TooLong(
                f"the prompt has {prompt:,} tokens with its images, and {prompt + completion:,} with the longest "
                f"completion; the model has positions for {self.context:,}: drop the row, or show smaller images"
            )

    @property
    def sides(self) -> tuple[str, ...]:
        return SIDES if self.needs_rejected else SIDES[:1]

    def _completion(self, asked: Asked, row: Mapping[str, Any], side: str) -> list[int]:
        said = asked.completions[self.sides.index(side)]
        _, ended, token_ids = completion_of(row, side)
        if isinstance(said, str):
            return self.completion_ids(said, ended, token_ids)
        assert not isinstance(asked.prompt, str)
        return self._limited(self.chat.turns_tokens(asked.prompt, said, asked.shown), ended)

    def _standard(self, asked: Asked, row: Mapping[str, Any]) -> tuple[dict[str, Any], list[list[int]]]:
        """A prompt and completions that are texts, as TRL 1.16 tokenises them, without chat template.

        With a column of images, prompt and completions apart, and nothing is added to either. Without, a prompt goes
        on into each completion, the tokenizer's first token stands before it and its end token behind; what the whole
        texts begin with alike is the prompt.
        """
        assert isinstance(asked.prompt, str)
        texts = [str(text) for text in asked.completions]
        end = self.tokenizer.eos_token or ""
        for number, side in enumerate(self.sides):
            ended = row.get(f"{side}_ended")
            if (not asked.pictured if ended is None else ended) and not texts[number].endswith(end):
                texts[number] += end
        if asked.pictured:
            prompt = self._remembered(self._with_places(asked.prompt, len(asked.images)), asked.images, as_is=True)
            each = [self.chat.completions.encode(text) for text in texts]
        else:
            begin, *whole = (self.chat.prompt_ids(asked.prompt + text) for text in ("", *texts))
            length = min(alike(begin, ids) for ids in whole)
            each = [ids[length:] for ids in whole]
            prompt = {"prompt_ids": begin[:length]}
            prompt["key"] = hashlib.blake2b(repr(prompt).encode(), digest_size=16).digest()
            prompt["image_key"] = digest_images([])
        if not prompt["prompt_ids"]:
            raise DataError("the prompt is empty: there is nothing that the completions go on from; drop the row")
        for ids in each:
            self._check(ids, self.chat.image_tokens)
        return prompt, [self._cut(ids) for ids in each]

    def _with_places(self, text: str, images: int) -> str:
        """A text that is a prompt, with the model's own mark where `<image>` stands. Raises DataError."""
        whole = mark = self.chat.picture
        if (token := getattr(self.chat.processor, "image_token", None)) and token in whole:
            mark = token  # what frames it in the template (<|vision_start|>) does not count
        text = text if mark in text else text.replace(IMAGE, whole)
        if (places := text.count(mark)) != images:
            raise DataError(
                f"the prompt is a text, with {count(places, 'place')} for {count(images, 'picture')}: write {whole} "
                "where each stands, or give the prompt as messages"
            )
        return text

    def prompt(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an `Example` that a row's prompt, of messages, and images fill. Raises DataError when they are
        refused."""
        return self._prompt(read(row, [side for side in SIDES if side in row]))

    def _prompt(self, asked: Asked) -> dict[str, Any]:
        return self._remembered(self.chat.render(asked.prompt, *asked.shown), asked.images)

    def _remembered(self, text: str, images: list[Any], as_is: bool = False) -> dict[str, Any]:
        image_key = digest_images(images)
        key = hashlib.blake2b(image_key + bytes(as_is) + text.encode(), digest_size=16).digest()
        if key not in self._prompts:
            self._prompts[key] = {"key": key, "image_key": image_key, **self._encoded(text, images, as_is)}
            if len(self._prompts) > REMEMBERED:
                self._prompts.pop(next(iter(self._prompts)))
        return self._prompts[key]

    def _encoded(self, text: str, images: list[Any], as_is: bool) -> dict[str, Any]:
        try:
            encoded = self.chat.inputs([text], [images], as_is=as_is)
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

    def completion_ids(self, text: str, ended: bool = True, token_ids: Sequence[int] = ()) -> list[int]:
        """Tokens of an assistant turn, end-of-turn included if the model `ended` it (and was not cut by a limit).

        `token_ids`: those that were sampled. Another model's tokenizer decodes them to other words: then they are the
        text's. Raises DataError for a completion that cannot be trained on.
        """
        sampled = token_ids and self.chat.completions.are_of(token_ids, text)
        ids = list(token_ids) if sampled else self.chat.completion_tokens(text)
        self._check(ids, self.chat.reserved)
        return self._limited(ids, ended)

    def _check(self, ids: Sequence[int], reserved: frozenset[int]) -> None:
        """Raises DataError where there is nothing to train on, or a token that cannot be."""
        if not ids:
            raise DataError("a completion is empty: there is no token to train on; drop the row")
        if found := reserved.intersection(ids):
            token = self.tokenizer.convert_ids_to_tokens(min(found))
            raise ReservedToken(
                f"a completion contains {token!r}, which stands for an image or ends a turn; drop the row"
            )

    def _limited(self, ids: list[int], ended: bool) -> list[int]:
        return self._cut([*ids, self.end_id] if ended else ids)

    def _cut(self, ids: list[int]) -> list[int]:
        """Within the limit. Raises DataError for those that are not, unless they are to be cut."""
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


def digest_images(images: Sequence[Any]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for image in images:
        if isinstance(image, Frames):
            digest.update(f"video {image.fps!r} ".encode() + digest_images(image.images))
            continue
        digest.update(f"{getattr(image, 'mode', '')} {image.size} ".encode())
        digest.update(image.tobytes())
    return digest.digest()
