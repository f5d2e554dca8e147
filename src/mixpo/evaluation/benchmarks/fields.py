"""Values as benchmark files write them: options in columns or in the text, lists as text, hidden answers."""

import ast
import re
from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Any

from mixpo.errors import BadRow
from mixpo.evaluation.benchmarks.benchmark import Row
from mixpo.prompts import letter

LETTER = "Answer with the option's letter from the given choices directly."
SHORT = "Answer the question using a single word or phrase."
INLINE = re.compile(r"\s*\bOptions:\s*(?=A: )", re.IGNORECASE)
NEXT = re.compile(r",\s*(?=([B-H]): )")
OPTION = re.compile(r"^\s*\(?([A-H])(?:[.:)]|\))\s*(\S.*?)\s*$", re.MULTILINE)


def listed(value: Any) -> list[Any]:
    """A list, or one written as Python or JSON text ("['4', '5']"); nothing gives []. Never evaluates anything."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise BadRow(f"not a list: {value[:40]!r}") from error
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | dict):
        raise BadRow(f"not a list: {str(value)[:40]!r}")
    return list(value)


def options(row: Row) -> list[str]:
    """The options that VLMEvalKit keeps in the columns A, B, C … of a row; [] when there are none."""
    found = []
    for name in ascii_uppercase:
        if (value := given(row, name)) is None:
            break
        found.append(value)
    return found


def given(row: Row, name: str) -> str | None:
    """What a column holds as text; None where nothing, also as pandas writes that ("nan")."""
    value = row.get(name)
    text = "" if value is None else str(value)
    return None if text in ("", "nan") else text


def split_options(text: str) -> tuple[str, list[str]]:
    """A question whose options stand in its text, a line each ("A: 5", "(B) 6", "C. 7"), and these options."""
    lines = list(OPTION.finditer(text))
    start = next((number for number in range(len(lines) - 1, -1, -1) if lines[number][1] == "A"), None)
    if start is None:
        return text.strip(), []
    found = lines[start:]
    if [match[1] for match in found] != list(ascii_uppercase[: len(found)]) or len(found) < 2:
        return text.strip(), []
    stem = re.sub(r"(?:Choices|Options)\s*:?\s*$", "", text[: found[0].start()].strip(), flags=re.IGNORECASE)
    return stem.strip(), [match[2] for match in found]


def inline_options(text: str) -> tuple[str, list[str]]:
    """The same where the options stand in one line, as in MMStar: "Options: A: a cat, B: two, or three, C: none"."""
    heads = list(INLINE.finditer(text))
    if not heads:
        return split_options(text)
    stem, listing = text[: heads[-1].start()].strip(), text[heads[-1].end() :].strip()
    edges: list[tuple[int, int]] = []
    place = 0
    for match in NEXT.finditer(listing):
        if match[1] == ascii_uppercase[len(edges) + 1]:  # the next letter, not one within an option
            edges.append((place, match.start()))
            place = match.end()
    parts = [listing[start:end] for start, end in (*edges, (place, len(listing)))]
    return stem, [part.partition(":")[2].strip() for part in parts]


def lettered(choices: Iterable[str], form: str = "{letter}. {text}") -> str:
    """`A. first`, `B. second` …, a line each."""
    return "\n".join(form.format(letter=letter(number), text=choice) for number, choice in enumerate(choices))


def lines(*parts: Any) -> str:
    """The parts that are not empty, a line each."""
    return "\n".join(str(part) for part in parts if part not in (None, ""))


def truth(value: Any) -> str | None:
    """The ground truth as text; None where the publisher keeps it hidden ("", "?")."""
    text = "" if value is None else str(value).strip()
    return None if text in ("", "?", "nan", "None") else text


def letter_at(index: Any) -> str:
    """The letter of an option given by its number from 0 (as 2 or "2"), or by its letter already."""
    text = str(index).strip()
    if re.fullmatch(r"[A-Za-z]", text):
        return text.upper()
    if not re.fullmatch(r"\d+(?:\.0)?", text):
        raise BadRow(f"{text[:20]!r} is no number of an option")
    return letter(int(float(text)))


def letter_of(answer: Any, choices: Sequence[str]) -> str | None:
    """The letter that a row gives as its answer; None where the publisher hides it. Raises BadRow for any other."""
    text = truth(answer)
    if text is not None and (len(text) != 1 or text not in ascii_uppercase[: len(choices)]):
        raise BadRow(f"{text[:20]!r} is the letter of none of {len(choices)} options")
    return text


def needed(row: Row, *names: str) -> Any:
    """The first of these columns that the row has. Raises BadRow when it has none of them."""
    for name in names:
        if (value := row.get(name)) is not None and value == value:
            return value
    raise BadRow(f"there is no {names[0]}")
