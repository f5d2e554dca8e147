"""Times of day: 3:30, 15:30, 3.30 pm, half past three, quarter to four, five o'clock, 3点半."""

import re
from dataclasses import dataclass

from mixpo.number_words import SMALL
from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.nearest import only_one
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement, sentence_end

HOURS = "|".join(list(SMALL)[1:13])
MINUTES = "|".join(sorted(SMALL, key=len, reverse=True))
CLOCK = re.compile(
    r"(?<![\d.])(?<!\d:)(?P<hour>[01]?\d|2[0-3])\s?\{?[:：]\}?(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])\s*(?P<half>[ap]\.?\s?m\b\.?)?"
    r"|(?<![\d:.])(?P<hour2>1?\d)(?:\.(?P<minute2>[0-5]\d))?\s*(?P<half2>[ap]\.?\s?m\b\.?)"
    rf"|(?<![A-Za-z0-9])(?P<part>half|(?:a )?quarter|(?:{MINUTES}"
    rf"|\d{{1,2}})(?:[ -](?:{MINUTES}))?(?: minutes?)?)\s+(?P<side>past|after|to|before|till)\s+"
    rf"(?P<hour3>{HOURS}|1?\d)(?: o'clock)?\b"
    rf"|(?<![A-Za-z0-9])(?P<hour4>{HOURS}|1?\d) o'clock\b|\b(?P<noon>noon|midday|midnight)\b"
    r"|(?P<hour5>[01]?\d|2[0-3])\s?[点时時시] ?(?:(?P<minute5>[0-5]?\d)[分분]?|(?P<half5>半))?",
    re.IGNORECASE,
)

DAY_OF_24 = re.compile(r"\b24[- ]?h")
"""A question in which 0:00 is not 12:00."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A time as stated: minutes from the hour 0, and whether the half of the day is known."""

    minutes: int
    seconds: int
    known_half: bool


def read(body: Body, statement: Statement, question: Question | None) -> Reading | None:
    """The time that a statement gives: the first after a mark, else the last."""
    text = body.text
    end = sentence_end(text, statement.start, statement.end) if statement.marked else statement.end
    found = [(match.start(), match.end(), clock(match)) for match in CLOCK.finditer(text, statement.start, end)]
    return only_one(body, statement, found, question.text if question else "")


def single(text: str) -> Clock | None:
    """The time that a text is, and nothing else."""
    match = CLOCK.fullmatch(text.strip(" ."))
    return clock(match) if match else None


def clock(match: re.Match[str]) -> Clock:
    """What a match of `CLOCK` says."""
    groups = match.groupdict()
    if groups["noon"]:
        return Clock(0 if groups["noon"].lower() == "midnight" else 720, 0, True)
    hour = _number(next(value for name, value in groups.items() if name.startswith("hour") and value))
    minute = next(
        (int(groups[name]) for name in ("minute", "minute2", "minute5") if groups[name]), 30 if groups["half5"] else 0
    )
    if groups["part"]:
        part = groups["part"].lower()
        minute = (
            30
            if part == "half"
            else 15
            if "quarter" in part
            else _number(part.replace(" minutes", "").replace(" minute", ""))
        )
        if groups["side"].lower() in ("to", "before", "till"):
            hour, minute = hour - 1, 60 - minute
    half = (groups["half"] or groups["half2"] or "").lower()[:1]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return Clock(hour * 60 + minute, int(groups["second"] or 0), bool(half) or hour > 12 or hour == 0)


def _number(word: str) -> int:
    return int(word) if word.isdigit() else sum(SMALL[part] for part in re.findall("[a-z]+", word.lower()))


def same(gold: Clock, answer: Clock) -> bool:
    """Equal times; on a twelve-hour dial when one of the two does not say which half of the day is meant."""
    if gold.seconds != answer.seconds:
        return False
    day = 1440 if gold.known_half and answer.known_half else 720
    return (gold.minutes - answer.minutes) % day == 0


def right(reading: Reading, question: Question) -> bool:
    """Whether the time is the ground truth's."""
    gold = single(question.answer or "")
    if gold is None:
        raise Undecided("the ground truth is no time")
    if DAY_OF_24.search(question.text) and gold.minutes != reading.value.minutes:
        return False
    return same(gold, reading.value)
