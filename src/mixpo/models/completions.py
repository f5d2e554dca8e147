"""Completion tokens to text and back: what was sampled is what is trained on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mixpo.errors import DataError, first_line
from mixpo.messages import TOKENS


@contextmanager
def tokenizing() -> Iterator[None]:
    """Raises DataError for a text on which a tokenizer fails in Rust's own way, which is no Exception of Python's: its
    pattern goes back and forth on it without end (the library ends that after a second)."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise DataError(f"the model's tokenizer fails on the text: {first_line(error)}") from error


class CompletionTokenizer:
    """A model's tokenizer for what stands between a prompt and the end of a turn.

    Special tokens that a model writes (`<ref>`, `<box>`, thinking marks) are part of its text. Those that only frame a
    turn (first, last and padding token) are not, wherever they stand.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.frame = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}

    def decode(self, token_ids: Sequence[int]) -> str:
        """The tokens' text. A character cut in two shows as U+FFFD."""
        written = [token for token in token_ids if token not in self.frame]
        return self.tokenizer.decode(written, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    @tokenizing()
    def encode(self, text: str) -> list[int]:
        """The text's tokens, none added in front or behind. Raises DataError."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def gives_back(self, token_ids: Sequence[int], text: str) -> bool:
        """Whether `encode` makes these tokens of their text. A model may draw others: "re" and "d" for "red", half a
        character, a token that frames a turn; and of a picture's or a turn's mark in a text training makes words
        (`mixpo.messages.broken`)."""
        return not TOKENS.search(text) and self.encode(text) == list(token_ids)

    def are_of(self, token_ids: Sequence[int], text: str) -> bool:
        """Whether the text is what these tokens say, so that they may be taken in place of its own."""
        return max(token_ids, default=0) < len(self.tokenizer) and self.decode(token_ids) == text
