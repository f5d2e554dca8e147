"""Options named by their text: words, yes and no, numbers with or without their unit, times."""

import re
from functools import lru_cache

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds import number, time, yes_no
from mixpo.verdicts.kinds.text import plain
from mixpo.verdicts.quantities import Quantity, quantities_of
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement

NOT_AN_OPTION = -1
NUMBERS = AnswerKind.NUMBER
TOKEN = re.compile(r"\w+|[^\w\s]")
ENDS = re.compile(r"(?!\w|\.\d|[/^])")
AFTER_LETTER = re.compile(r"[)\]}.:,\"'*\s-]+")
DENIED = re.compile(r"(?:\b(?:not|never|rather than|instead of)|n't|不是)\s+(?:\w+\s+){0,2}$")


def option_read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The option whose text a statement gives; None when it gives none."""
    choices = question.choices
    if polarities := _polarities(choices):
        found = yes_no.read(body, statement, question)
        return found._replace(value=polarities.index(found.value)) if found and found.value is not None else found
    found = _by_words(body, statement, choices)
    if found is not None and found.value is not None:
        return found
    by_value = _by_time(body, statement, choices) or _by_number(body, statement, question)
    return by_value if by_value is not None and (found is None or by_value.value != NOT_AN_OPTION) else found


@lru_cache(maxsize=16384)
def _beginnings(choices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(choice.strip(" .").lower() for choice in choices)


def contradicted(body: Body, found: Reading, end: int, choices: tuple[str, ...]) -> bool:
    """Whether the letter read is followed at once by the text of another option: "(B) 7 cm" where that is (C)."""
    after = AFTER_LETTER.match(body.text, found.end, end) if found.end + 1 < end else None
    if after is None or not 0 <= found.value < len(choices):
        return False
    said = body.lower[after.end() : end]
    beginnings = _beginnings(choices)
    if said.startswith(beginnings[found.value]):
        return False
    others = [index for index, beginning in enumerate(beginnings) if beginning and said.startswith(beginning)]
    ends = [len(beginnings[index]) for index in others if plain(choices[index]) != plain(choices[found.value])]
    return any(ENDS.match(said, at) for at in ends)


@lru_cache(maxsize=16384)
def _polarities(choices: tuple[str, ...]) -> tuple[bool | None, ...]:
    """What each option says when they are yes and no (and perhaps a third); else empty."""
    found = tuple(yes_no.polarity(choice) for choice in choices)
    return found if True in found and False in found else ()


@lru_cache(maxsize=16384)
def _by_length(choices: tuple[str, ...]) -> tuple[tuple[int, str, str], ...]:
    """Number, text and first word of every option, the longest first: a longer text is looked for before its parts."""
    found = []
    for index, choice in sorted(enumerate(choices), key=lambda item: -len(item[1])):
        tokens = TOKEN.findall(choice.strip().rstrip("."))
        if tokens and len(choice) <= 400:
            found.append((index, choice, tokens[0].lower().removesuffix("s")))
    return tuple(found)


@lru_cache(maxsize=16384)
def _pattern(choice: str) -> re.Pattern[str]:
    """What finds an option's text: white space is free, words may be in the plural, nothing may go on at its ends."""
    bare = choice.strip()
    if len(bare) == 1 and bare.isalpha():  # a letter as text: "a" and "A person" are no options
        return re.compile(rf"(?<![\w'.]){re.escape(bare)}(?![\w']|\.\w| [a-z])")
    tokens = TOKEN.findall(bare.rstrip("."))
    left = r"(?<![A-Za-z0-9_.\\/^-])" if tokens[0][0].isalnum() else r"(?<![\w.])"
    body = r"[\s$]*".join(map(_token, tokens))
    return re.compile(left + body + r"(?!\w|\.\d|[/^]\d|√|\s*[+*/^]\s*\w|%)", re.IGNORECASE)


def _token(token: str) -> str:
    """A word may stand in the plural where the option has the singular, and the other way round."""
    if token.isalpha() and token.isascii() and len(token) > 3:
        return re.escape(token[:-1] if token[-1] in "sS" and token[-2] not in "sSuU" else token) + r"(?:e?s)?"
    return re.escape(token)


def _by_words(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    text, start, end = body.text, statement.start, statement.end
    taken: list[tuple[int, int, int]] = []
    lower = body.lower[start:end]
    for index, choice, first in _by_length(choices):
        if first not in lower:
            continue
        for match in _pattern(choice).finditer(text, start, end):
            if not any(left < match.end() and match.start() < right for left, right, _ in taken):
                taken.append((match.start(), match.end(), index))
    kept = [item for item in sorted(taken) if not DENIED.search(body.lower[max(start, item[0] - 30) : item[0]])]
    if not kept:
        return None
    if len({plain(choices[index]) for _, _, index in kept}) > 1:
        (left, right, index), (following, _, _) = kept[:2]
        leads = statement.marked and not text[start:left].strip(" \"'*:$(")
        if leads and not number.HEDGE.fullmatch(body.lower[right:following]):
            return Reading(left, right, index)  # "The answer is red, as blue is smaller"
        return Reading(start, end, problem="several options")
    if _is_number(choices[kept[-1][2]]) and not statement.strict:
        return None  # a number in a sentence: read as a number, since it may belong to anything
    return Reading(*kept[-1])


def _by_time(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    options = _times(choices)
    if not options:
        return None
    found = time.read(body, statement, None)
    if found is None or found.value is None:
        return found
    same = [index for index, option in enumerate(options) if option is not None and time.same(option, found.value)]
    return found._replace(value=same[0] if len(same) == 1 else NOT_AN_OPTION)


@lru_cache(maxsize=16384)
def _times(choices: tuple[str, ...]) -> tuple[time.Clock | None, ...]:
    found = tuple(time.single(choice) for choice in choices)
    return found if sum(clock is not None for clock in found) >= 2 else ()


def _by_number(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The option that has the value of the number given: 34.0 is "34m", 5 is "5 cm"."""
    options = _numbers(question.choices)
    if not options:
        return None
    found = number.read(body, statement, question)
    if found is None or found.value is None:
        return found
    if found.value.value is None:
        return None
    same = [index for index, option in enumerate(options) if option is not None and option.value == found.value.value]
    if same:
        return found._replace(value=same[0])
    return found._replace(value=NOT_AN_OPTION) if statement.marked or statement.rule == "direct" else None


@lru_cache(maxsize=16384)
def _numbers(choices: tuple[str, ...]) -> tuple[Quantity | None, ...]:
    """The number that each option is, None for options that are not a single number; empty when fewer than two are."""
    found = tuple(_single(choice) for choice in choices)
    return found if sum(quantity is not None for quantity in found) >= 2 else ()


def _is_number(choice: str) -> bool:
    return _single(choice) is not None


@lru_cache(maxsize=16384)
def _single(choice: str) -> Quantity | None:
    found = quantities_of(choice)
    if len(found) != 1 or found[0].value is None or choice[: found[0].start].strip(" $("):
        return None
    return found[0] if len(choice[found[0].end :].split()) <= 1 else None
