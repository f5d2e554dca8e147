"""Options that are times or numbers, with or without their unit: the one that has the value of what is said."""

import re
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.body import Body, plain_body
from mixpo.verdicts.kinds import number, time
from mixpo.verdicts.mathematics import values
from mixpo.verdicts.quantities import quantities, quantities_of
from mixpo.verdicts.quantity import Quantity, in_one_unit
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement, trimmed
from mixpo.verdicts.turns import RESULTS
from mixpo.verdicts.units import conversion

NOT_AN_OPTION = -1
"""The value of a reading that says something, but none of the options."""
APART = re.compile(r";|\b(?:while|whereas)\b")
STATES = re.compile(r"^\s*(?:so|thus|hence|therefore)\b|[=≈]|\b(?:is|are|equals|has|have|gives|get|makes|totals?)\b")
PI_TIMES = re.compile(r"(?:π|\\pi) ?[A-Za-z](?![A-Za-z])")


def by_time(body: Body, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
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


def by_number(body: Body, statement: Statement, question: Question, choices: tuple[str, ...]) -> Reading | None:
    """The option that has the value of the number given: 34.0 is "34m", 5 is "5 cm"."""
    options = _numbers(choices)
    if not options:
        return None
    found = number.read(body, statement, question)
    if found is None or found.value is None:
        return found
    if found.value.value is None:
        return found._replace(value=NOT_AN_OPTION) if statement.strict and found.value.form == "opaque" else None
    same = [index for index, option in enumerate(options) if option is not None and _same_number(option, found.value)]
    if same and not statement.marked and _rivalled(body, statement, found, options):
        return found._replace(value=None, problem="several options")
    if same:
        return found._replace(value=same[0])
    final = statement.marked or statement.rule == "direct" or _concludes(body, statement)
    return found._replace(value=NOT_AN_OPTION) if final else None


def _rivalled(body: Body, statement: Statement, found: Reading, options: tuple[Quantity | None, ...]) -> bool:
    """Whether another option's value stands in another clause of the sentence, and nothing says which one it is."""
    if RESULTS.search(body.lower, statement.start, statement.end) or "=" in body.text[statement.start : statement.end]:
        return False
    for other in quantities(body, statement.start, statement.end):
        left, right = sorted((other, found.value))[:2]
        apart = APART.search(body.lower, left.end, right.start) if left.end <= right.start else None
        if not apart or other.value is None or values.same(other.value, found.value.value):
            continue
        if any(option is not None and _same_number(option, other) for option in options):
            return True
    return False


def _same_number(option: Quantity, said: Quantity) -> bool:
    factor = conversion(said.unit, option.unit)
    percents = (option.form == "percent") == (said.form == "percent") or option.form == "number"
    return factor is not None and percents and values.same(option.value, values.times(said.value, factor))


def _concludes(body: Body, statement: Statement) -> bool:
    """Whether a sentence is the response's last and says a value: "so the perimeter is 28 cm"."""
    _, end = trimmed(body.text, body.start, body.end)
    return (
        statement.rule in ("last", "line")
        and statement.end >= end - 1
        and STATES.search(body.lower[statement.start : end]) is not None
    )


@lru_cache(maxsize=16384)
def _numbers(choices: tuple[str, ...]) -> tuple[Quantity | None, ...]:
    """The number that each option is, None for options that are not a single number; empty when fewer than two are."""
    found = tuple(_single(choice) for choice in choices)
    return found if sum(quantity is not None for quantity in found) >= 2 else ()


def is_number(choice: str) -> bool:
    return _single(choice) is not None


@lru_cache(maxsize=16384)
def _single(choice: str) -> Quantity | None:
    found = in_one_unit(plain_body(choice), quantities_of(choice))
    if len(found) != 1 or found[0].value is None or choice[: found[0].start].strip(" $("):
        return None
    if PI_TIMES.search(choice):
        return None  # "2πr" is a formula
    return found[0] if len(choice[found[0].end :].split()) <= 1 else None
