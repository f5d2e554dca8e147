"""Dates: July 4, 1776; 4 July 1776; 2019-07-04; 07/04/2019; 2019年7月4日; also a month or a year alone."""

import re
from dataclasses import dataclass

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.nearest import only_one
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement, sentence_end

NAMES = tuple("january february march april may june july august september october november december".split())
MONTHS = {name: number for number, name in enumerate(NAMES, 1)} | {
    name[:3]: number for number, name in enumerate(NAMES, 1)
}
MONTHS["sept"] = 9
MONTH = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
DATE = re.compile(
    rf"(?<![A-Za-z0-9])(?:(?P<month>{MONTH})\s*(?P<day>[0-3]?\d)(?:st|nd|rd|th)?(?:\s*,?\s+(?P<year>\d{{4}}))?(?!\d)"
    rf"|(?P<day2>[0-3]?\d)(?:st|nd|rd|th)?[\s-]+(?:of\s+)?(?P<month2>{MONTH})(?:\s*[,-]?\s*(?P<year2>\d{{4}}))?"
    rf"|(?P<month3>{MONTH}),?\s+(?:of\s+)?(?P<year3>\d{{4}})"
    r"|(?P<year4>\d{4})\s?[-/.年]\s?(?P<month4>[01]?\d)(?:\s?[-/.月]\s?(?P<day4>[0-3]?\d)日?)?(?!\d)"
    r"|(?P<a>[0-3]?\d)[-/.](?P<b>[0-3]?\d)[-/.](?P<year5>\d{4}|\d{2})(?!\d)"
    rf"|(?P<year6>[12]\d{{3}})(?![\d.])|(?P<month6>{MONTH}))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date; None for what it does not state."""

    year: int | None
    month: int | None
    day: int | None
    swapped: bool = False
    """Written as numbers with day and month in either order possible."""


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The date that a statement gives: the first after a mark, else the last."""
    text = body.text
    end = sentence_end(text, statement.start, statement.end) if statement.marked else statement.end
    matches = DATE.finditer(text, statement.start, end)
    found = [(match.start(), match.end(), day) for match in matches if (day := day_of(match)) is not None]
    return only_one(body, statement, found, question.text)


def day_of(match: re.Match[str]) -> Day | None:
    """What a match of `DATE` says; None when there is no such day."""
    groups = match.groupdict()

    def first(*names: str) -> str | None:
        return next((groups[name] for name in names if groups[name]), None)

    year = first("year", "year2", "year3", "year4", "year5", "year6")
    name, number = first("month", "month2", "month3", "month6"), groups["month4"]
    month = MONTHS[name.lower().rstrip(".")] if name else int(number) if number else None
    day = first("day", "day2", "day4")
    if groups["a"]:
        left, right = int(groups["a"]), int(groups["b"])
        if left > 12:
            left, right = right, left  # day/month/year
        found = Day(int(year) + (2000 if len(year) == 2 else 0) if year else None, left, right, right <= 12)
    else:
        found = Day(int(year) if year else None, month, int(day) if day else None)
    fits = (found.month is None or 1 <= found.month <= 12) and (found.day is None or 1 <= found.day <= 31)
    return found if fits else None


def right(reading: Reading, question: Question) -> bool:
    """Whether the answer states all that the ground truth states, and the same."""
    match = DATE.fullmatch((question.answer or "").strip(" ."))
    gold = day_of(match) if match else None
    if gold is None:
        raise Undecided("the ground truth is no date")
    answer: Day = reading.value
    if gold.year is not None and answer.year != gold.year:
        return False
    if (answer.month, answer.day) == (gold.month, gold.day):
        return True
    if gold.day is None:
        return gold.month is None or answer.month == gold.month
    # A date written in numbers alone is read as month/day unless it can only be day/month; the other order is as good
    # when exactly one of the two is so written.
    return answer.swapped != gold.swapped and (answer.day, answer.month) == (gold.month, gold.day)
