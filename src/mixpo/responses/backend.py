"""The backend protocol: requests in, completions out as they finish."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mixpo.messages import messages
from mixpo.records import Dropped, DropReason, FinishReason, Turn
from mixpo.videos import Frames, pixels, videos_among

if TYPE_CHECKING:
    from PIL.Image import Image

PLAIN = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_p": 0.0}
"""What leaves the probabilities of tokens as they are, said to every engine: else it takes the checkpoint's own
`generation_config`, and what is drawn is not what `SamplingParams` say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingParams:
    """How tokens are drawn. The defaults are the paper's (temperature) and common practice."""

    temperature: float = 0.7
    """0: the most probable token every time."""
    top_k: int = 50
    """Only the k most probable tokens; 0: all."""
    top_p: float = 1.0
    """Only the smallest set of tokens with this probability mass; 1: all."""
    max_new_tokens: int = 512
    seed: int = 0
    logps: bool = False
    """Whether each completion carries its summed log-probability."""

    def __post_init__(self) -> None:
        finite = 0 <= self.temperature < math.inf
        if not finite or self.max_new_tokens < 1 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError("sampling needs temperature >= 0, top_k >= 0, 0 < top_p <= 1 and max_new_tokens >= 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One prompt and the samples wanted of it."""

    id: str
    """The question's id (or the response's, for a continuation): part of the noise's key."""
    prompt: str
    """The last user turn's text; U+FFFC: a picture's place (`mixpo.messages`)."""
    images: tuple["Image | Frames", ...] = ()
    """What stands in the prompt's places: pictures, and the frames of videos."""
    system: str = ""
    turns: tuple[Turn, ...] = ()
    """What was said before `prompt`."""
    samples: tuple[int, ...] = (0,)
    """Numbers of the samples: with the seed and the id they fix the noise."""
    prefix_token_ids: tuple[int, ...] = ()
    """Tokens that the completion must begin with (not counted in what it wrote)."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation as a chat template takes it. Raises DataError (`mixpo.messages.messages`)."""
        return messages(self.prompt, len(self.images), self.system, self.turns, self.videos)

    @property
    def videos(self) -> tuple[int, ...]:
        """Which of the images are videos, by their numbers."""
        return videos_among(self.images)

    @property
    def pixels(self) -> int:
        """Of all pictures and frames: four bytes each, once they are decoded."""
        return pixels(self.images)


def no_videos(request: Request, what: str) -> Dropped:
    """The record of a request with a video, for a backend (`what`) that has no way to show one."""
    detail = f"a question with a video: {what} is not shown any; sample with the embedded backend"
    return Dropped(id=request.id, step="sample", reason=DropReason.UNSUPPORTED, detail=detail)


def engine_seed(seed: int, request_id: str, sample: int) -> int:
    """The seed of one sample, for engines that take a number below 2^31 instead of a noise key.

    Consecutive samples have consecutive seeds, which is how vLLM seeds the n choices of one request: a sample's
    seed is the same whichever samples are asked for together.
    """
    digest = hashlib.blake2b(f"{seed}/{request_id}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") // 4 + sample


def consecutive(samples: Sequence[int], most: int | None = None) -> list[tuple[int, ...]]:
    """The samples in runs of consecutive numbers, of `most` at most: what one request with one seed can ask for.

    (0, 1, 2, 5) is [(0, 1, 2), (5,)].
    """
    runs: list[tuple[int, ...]] = []
    for sample in samples:
        if runs and sample == runs[-1][-1] + 1 and len(runs[-1]) != most:
            runs[-1] += (sample,)
        else:
            runs.append((sample,))
    return runs


def reserved_token(request_id: str, token: str) -> Dropped:
    """Says that a prefix cannot be continued: the model wrote a token that stands for an image in it."""
    detail = f"the kept part contains {token!r}, which stands for an image: the model would look for a picture there"
    return Dropped(id=request_id, step="sample", reason=DropReason.RESERVED_TOKEN, detail=detail)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What the model wrote for one sample of a request, prefix excluded."""

    request_id: str
    sample: int
    text: str
    """Prefix and new tokens decoded together (`mixpo.models.completions`), end-of-turn excluded."""
    token_ids: tuple[int, ...]
    """New tokens only, end-of-turn excluded."""
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    """New tokens, end-of-turn included."""
    logp: float | None = None
    """Summed log-probability (nats, temperature 1, before top-k and top-p) of the new tokens, end-of-turn included."""
    thought_open: bool = False
    """Whether the chat template opened a thought at the prompt's end, so that the text begins in one."""
    canonical: bool = True
    """Whether the tokenizer makes prefix and new tokens of the text."""


class Backend(Protocol):
    """Something that completes prompts."""

    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """Completions in the order they finish; every (request, sample) exactly once.

        A request that the model cannot take (prompt longer than its context) gives one `Dropped` with the
        request's id. Raises UserError when the model cannot serve at all.
        """
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of completion tokens (`mixpo.models.completions`). A character cut in two shows as U+FFFD."""
        ...
