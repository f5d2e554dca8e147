"""A backend that answers from a script instead of a model: for tests, dry runs and responses written elsewhere.

Its tokens are words with the white space before them (long words in pieces), numbered by their own bytes,
so that any process turns text into tokens and back without a vocabulary.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mixpo.errors import DataError
from mixpo.names import at_home
from mixpo.records import Dropped, FinishReason
from mixpo.responses.backend import Completion, Request, SamplingParams
from mixpo.tables import rows

PIECE = re.compile(r"\s{0,8}\S{1,16}|\s{1,8}")


class ScriptedBackend:
    """`answer(request, sample)` is the whole completion, prefix included."""

    def __init__(self, answer: Callable[[Request, int], str]):
        self.answer = answer

    @classmethod
    def load(cls, path: str | Path) -> "ScriptedBackend":
        """From JSON lines `{"id": "scenes-17", "sample": 3, "text": "…"}`; raises DataError naming a bad line."""
        texts: dict[tuple[str, int], str] = {}
        for _, line, row in rows(at_home(path), strict=True):
            try:
                texts[str(row["id"]), int(row.get("sample", 0))] = str(row["text"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(f"{path}:{line}: a line needs `id` and `text` (and `sample`); mend it") from error

        def answer(request: Request, sample: int) -> str:
            if (request.id, sample) not in texts:
                raise DataError(f"{path}: no text for id {request.id!r}, sample {sample}; add the line")
            return texts[request.id, sample]

        return cls(answer)

    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """In the order of the requests; an answer longer than the token limit is cut there."""
        for request in requests:
            prompt_tokens = len(tokens(request.prompt)) + len(request.images)
            for sample in request.samples:
                written = tokens(self.answer(request, sample))[len(request.prefix_token_ids) :]
                # The end of turn counts as a token, as it does in a model.
                stops = len(written) < params.max_new_tokens
                written = written[: params.max_new_tokens]
                yield Completion(
                    request_id=request.id,
                    sample=sample,
                    text=self.decode((*request.prefix_token_ids, *written)),
                    token_ids=written,
                    finish_reason=FinishReason.STOP if stops else FinishReason.LENGTH,
                    prompt_tokens=prompt_tokens,
                    completion_tokens=len(written) + stops,
                )

    def decode(self, token_ids: Sequence[int]) -> str:
        """The pieces, joined."""
        content = (number.to_bytes((number.bit_length() + 7) // 8, "big")[1:] for number in token_ids)
        return b"".join(content).decode("utf-8", errors="replace")


def tokens(text: str) -> tuple[int, ...]:
    """A text's pieces as numbers: a byte 1, then the piece's UTF-8."""
    return tuple(int.from_bytes(b"\x01" + piece.encode(), "big") for piece in PIECE.findall(text))
