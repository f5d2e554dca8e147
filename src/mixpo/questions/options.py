"""The options of a multiple-choice question and its answer, in the forms in which data sets write them.

options   a list of texts; {"A": "red", "B": "blue"}; {"text": […], "label": […]}; any of these as JSON's or Python's
          text; or columns A to H
answer    a letter, an option's text, a label of the options, or an option's number (`mixpo.questions.numbering`)
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from string import ascii_uppercase
from typing import Any

from mixpo.errors import BadRow
from mixpo.prompts import letter
from mixpo.values import line, parsed, short, whole

COLUMNS = "ABCDEFGH"
OWN_LETTER = re.compile(r"\(?([A-Z])[.):]\s*\S")


@dataclass(frozen=True, slots=True)
class Options:
    """Options in the order in which they are shown."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """What the data calls them, where that isn't A, B, C …"""
    numbers: bool = False
    """Whether the data writes them all as numbers, not as text."""

    def label(self, value: Any) -> str | None:
        """The letter of the option that the data calls so."""
        text = str(value).strip()
        return letter(self.labels.index(text)) if text in self.labels else None


def options_of(value: Any) -> Options:
    """The options that a column holds. Raises BadRow for one that is no list of them."""
    found = parsed(value)
    if isinstance(found, Mapping):
        return _labelled(found)
    if not isinstance(found, list | tuple):
        raise BadRow(f"choices must be a list of texts, or texts by letter, not {short(value)}")
    kept = _whole_list(found)
    numbers = bool(kept) and all(isinstance(each, int | float) and not isinstance(each, bool) for each in kept)
    return Options(tuple(line("choices", each) for each in kept), numbers=numbers)


def _labelled(found: Mapping[Any, Any]) -> Options:
    texts, labels = found.get("text"), found.get("label")
    if found.keys() == {"text", "label"} and isinstance(texts, list) and isinstance(labels, list):
        if len(texts) != len(labels):
            raise BadRow(f"choices has {len(texts)} texts and {len(labels)} labels")
        pairs = [(str(label).strip(), text) for label, text in zip(labels, texts)]
    else:
        named = {str(key).strip(): text for key, text in found.items()}
        pairs = sorted(named.items(), key=lambda pair: (len(pair[0]), pair[0]))
    names = [name.upper() for name, _ in pairs]
    letters = list(ascii_uppercase[: len(names)])
    counted = [[str(number + first) for number in range(len(names))] for first in (0, 1)]
    if names != letters and names not in counted:
        raise BadRow(f"choices are called {short([name for name, _ in pairs])}, not A, B, C … or 1, 2, 3 … in order")
    kept = tuple(line("choices", text) for text in _whole_list([text for _, text in pairs]))
    return Options(kept, () if names == letters else tuple(names[: len(kept)]))


def _whole_list(found: list[Any] | tuple[Any, ...]) -> list[Any]:
    """The options up to the last that is there: tables and Parquet fill the rest up. Raises BadRow for a gap."""
    kept = list(found)
    while kept and (kept[-1] is None or kept[-1] != kept[-1]):
        kept.pop()
    if missing := next((letter(place) for place, each in enumerate(kept) if each is None or each != each), None):
        raise BadRow(f"option {missing} is missing")
    return kept


def in_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns A to H of a row, and on while they go on, as far as they hold options: {} where one at most does.

    Raises BadRow for a gap between them.
    """
    cells = {name: None if _empty(row.get(name)) else row[name] for name in COLUMNS}
    if len([each for each in cells.values() if each is not None]) < 2:
        return {}
    more = takewhile(lambda name: cells["H"] is not None and not _empty(row.get(name)), ascii_uppercase[len(COLUMNS) :])
    cells |= {name: row[name] for name in more}
    return dict(zip(cells, _whole_list(list(cells.values()))))


def _empty(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell


def only(answer: Any) -> Any:
    """The answer that a list of one holds; any other as it stands."""
    return answer[0] if isinstance(answer, list | tuple) and len(answer) == 1 else answer


def number_among(answer: Any, options: Options) -> int | None:
    """The number that answers a question with options, where it may count them; None where it is a label, too."""
    number = whole(only(answer))
    return None if number is None or not options.texts or options.label(number) is not None else number


def misnamed(answer: str, options: Options) -> bool:
    """Whether a letter answers options whose texts begin with letters of their own in another order: "B. red"."""
    own = [match[1] for text in options.texts if (match := OWN_LETTER.match(text))]
    letters = list(ascii_uppercase[: len(options.texts)])
    return own != letters and sorted(own) == letters and answer.strip("(). ").upper() in letters


def quoted(answer: Any) -> Any:
    """A list of texts that a table writes as text ("['ski', 'skis']"); any other answer as it stands."""
    found = parsed(answer)
    return found if isinstance(found, list) and found and all(isinstance(each, str) for each in found) else answer


def answers_of(answer: Any) -> Iterator[str]:
    """The accepted answers, each once, in their order."""
    given = answer if isinstance(answer, list | tuple) else [answer]
    yield from dict.fromkeys(line("answer", each) for each in given)
