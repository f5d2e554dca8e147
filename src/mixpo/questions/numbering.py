"""What a number means that answers a question with options: 2 may be the third option, the second, or the text "2".

Decided from all rows of a file (of a data set that is streamed: from its first ones), never guessed: one row may fit
several meanings, all of them seldom do.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mixpo.errors import BadRow, DataError
from mixpo.prompts import letter
from mixpo.questions.options import Options
from mixpo.values import whole

NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


class AnswerIndex(StrEnum):
    """What a number is, as the answer to a question with options."""

    AUTO = "auto"
    """Decided from all rows, and said on the screen."""
    FROM_0 = "from_0"
    """The option's place: 0 is the first."""
    FROM_1 = "from_1"
    """The option's place: 1 is the first."""
    TEXT = "text"
    """The option's own text."""


Numbered = tuple[str, Any, Options]
"""A row's place in the file, its answer (a whole number), its options."""


@dataclass
class Evidence:
    """What the numbered answers of a data set can and cannot mean; a field holds the first row that shows it."""

    zero: str = ""
    """A 0 that is no option's text: numbers count from 0."""
    last: str = ""
    """The number of options, that is no option's text: numbers count from 1."""
    place: str = ""
    """A number within the options that is no option's text: numbers count the options."""
    text: str = ""
    """An option's text that is no option's place: numbers are texts."""
    not_from_0: str = ""
    not_from_1: str = ""
    unlike: str = ""
    """A number where the options are texts that look like numbers: it may be either."""

    def add(self, where: str, answer: Any, options: Options) -> None:
        number, count = whole(answer), len(options.texts)
        assert number is not None
        is_text = means_text(number, options)
        if not 0 <= number <= count:
            self.text = self.text or (where if is_text else "")
            return
        self.not_from_0 = self.not_from_0 or (where if number == count else "")
        self.not_from_1 = self.not_from_1 or (where if number == 0 else "")
        if not is_text:
            self.place = self.place or where
            self.zero = self.zero or (where if number == 0 else "")
            self.last = self.last or (where if number == count else "")
        elif not isinstance(answer, str) and not options.numbers:
            self.unlike = self.unlike or where

    def meaning(self, source: str) -> tuple[AnswerIndex, str]:
        """The one that all rows allow, and a few words of why. Raises DataError where that is none, or several."""
        both = self.not_from_0 and self.not_from_1
        if not self.place:
            if not self.unlike or self.text or both:
                return AnswerIndex.TEXT, "the options' own texts"
            why = f"each may be an option's text or its place ({self.unlike})"
        elif self.text:
            why = f"in {self.text} it is an option's text, in {self.place} it cannot be one"
        elif both:
            why = f"{self.not_from_1} has a 0, and in {self.not_from_0} it is as large as there are options"
        elif self.zero:
            return AnswerIndex.FROM_0, f"places among the options, counted from 0 ({self.zero} has a 0)"
        elif self.last:
            return AnswerIndex.FROM_1, f"places among the options, counted from 1 ({self.last} has the last one's)"
        else:
            why = f"no row has a 0 or the number of its options, which would tell (the first: {self.place})"
        raise DataError(
            f"source {source!r}: what the numbers in `answer` mean cannot be told from its rows: {why}; say "
            "`answer_index: from_0`, `from_1` or `text`"
        )


def means_text(number: int, options: Options) -> bool:
    """Whether a number is an option's text: "2", "2.0", or the only number in it ("2 cm")."""
    return any([float(each) for each in NUMBER.findall(text)] == [number] for text in options.texts)


@dataclass
class Numbering:
    """What a number means in one source: found out when the first one is met."""

    source: str
    index: AnswerIndex = AnswerIndex.AUTO
    survey: Callable[[], Iterable[Numbered]] = field(default=tuple)
    """Every row of the source whose answer to a question with options is a number."""
    said: str = ""
    """What it was decided to be; empty: by the recipe, or not yet."""

    def letter(self, where: str, number: int, options: Options) -> str | None:
        """The letter of the option that is meant; None where the number stands for a text.

        Raises BadRow for a number that is no option's, DataError as `Evidence.meaning` does, and where a row that the
        survey has not seen contradicts it.
        """
        index = self.index
        if index is AnswerIndex.AUTO:
            evidence = Evidence()
            for row in self.survey():
                evidence.add(*row)
            index, why = evidence.meaning(self.source)
            self.index, self.said = index, f"source {self.source!r}: numbers in `answer` are {why}"
        count = len(options.texts)
        if index is AnswerIndex.TEXT:
            if self.said and 0 <= number <= count and not means_text(number, options):
                self._contradicted(where, number)
            return None
        place = number - (index is AnswerIndex.FROM_1)
        if 0 <= place < count:
            return letter(place)
        if self.said and 0 <= number <= count:
            self._contradicted(where, number)
        raise BadRow(f"answer {number} is no place among {count} options, counted from {int(place != number)}")

    def _contradicted(self, where: str, number: int) -> None:
        raise DataError(f"{self.said}, but {where} has {number}; say `answer_index: from_0`, `from_1` or `text`")


def numbered(rows: Iterable[tuple[str, Any]], read: Callable[[Any], tuple[Any, Options] | None]) -> Iterator[Numbered]:
    """Of all rows those whose answer counts, or may count, its options; `read` gives answer and options of one."""
    for where, row in rows:
        try:
            found = read(row)
        except BadRow:
            continue  # left out, with this reason, when it is read
        if found is not None:
            yield where, *found
