"""Clocks with two hands, in steps of five minutes."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from mixpo.questions.figures.canvas import Canvas
from mixpo.questions.figures.problem import Figure, Problem, said
from mixpo.records import AnswerKind

HOURS = 12
FAMILIES = ("read", "minute", "later", "until")
WAYS = {
    "read": (
        "What time is it?",
        "Which time does the clock show?",
        "Read the clock. What does it say?",
        "A child looks up at this clock. What time is it?",
        "What is the time on the clock?",
        "Say what time the hands show.",
        "The clock on the wall looks like this. What does it say the time is?",
        "Where do the hands stand: what time is that?",
    ),
    "minute": (
        "How many minutes past the hour is it?",
        "At how many minutes does the long hand stand?",
        "Look at the minute hand. How many minutes does it show?",
        "How many minutes have gone since the last full hour?",
        "Which number of minutes does the clock show?",
        "The hour began some minutes ago. How many?",
        "How old is this hour, in minutes?",
        "What does the long hand say, in minutes?",
    ),
    "later": (
        "What time will it be in {n} minutes?",
        "The bus leaves {n} minutes from now. When is that?",
        "What does the clock show {n} minutes later?",
        "Lunch takes {n} minutes and begins now. When does it end?",
        "Add {n} minutes to the time shown. What time is that?",
        "A film of {n} minutes begins now. At what time is it over?",
        "When {n} more minutes have gone by, what time is it?",
        "Eva waits for {n} minutes from now. What time is it then?",
    ),
    "until": (
        "How many minutes are left until the next full hour?",
        "The train goes at the next full hour. How many minutes is that from now?",
        "How many minutes are missing to the full hour?",
        "In how many minutes does the next hour begin?",
        "School starts at the next full hour. How many minutes are left?",
        "How long is it to the next full hour, in minutes?",
        "The bell rings on the hour. How many minutes must one wait for it?",
        "Count the minutes that this hour still has. How many?",
    ),
}


@dataclass(frozen=True)
class ClockFace(Figure):
    """A time, hours from 1 to 12."""

    hour: int
    minute: int

    @property
    def time(self) -> str:
        return f"{self.hour}:{self.minute:02d}"

    def facts(self) -> Mapping[str, str]:
        return {"the clock": self.time, "the long hand": str(self.minute // 5 or HOURS)}

    def draw(self, canvas: Canvas) -> None:
        canvas.disc(50, 50, 46, canvas.look.paper)
        for number in range(1, HOURS + 1):
            x, y = _toward(number / HOURS, 38)
            canvas.text(x, y, str(number), 0.95)
        for turn, length, width in (
            ((self.hour % HOURS + self.minute / 60) / HOURS, 19, 3.2),
            (self.minute / 60, 31, 1.5),
        ):
            canvas.line((50, 50), _toward(turn, length), width=width)
        canvas.disc(50, 50, 2, canvas.look.ink)


def _toward(turn: float, length: float) -> tuple[float, float]:
    """The end of a hand that has made so much of a turn."""
    return 50 + length * math.sin(2 * math.pi * turn), 50 - length * math.cos(2 * math.pi * turn)


def make(rng: random.Random, family: str, held_out: bool) -> Problem:
    """A problem of one of `FAMILIES`; `held_out`: in words that training never sees."""
    clock = ClockFace(rng.randint(1, HOURS), 5 * rng.randrange(12))
    if family in ("minute", "until") and clock.minute == 0:
        return make(rng, family, held_out)
    n = 5 * rng.randint(1, 9)
    steps, answer = _worked(clock, family, n)
    return Problem(
        figure=clock,
        family=f"clock {family}",
        text=said(rng, WAYS[family], held_out, n=n),
        answer=answer,
        kind=AnswerKind.INTEGER if family in ("minute", "until") else AnswerKind.TIME,
        steps=steps,
    )


def _worked(clock: ClockFace, family: str, n: int) -> tuple[tuple[str, ...], str]:
    """The steps and the answer."""
    place = clock.minute // 5 or HOURS
    hand = f"The long hand is {place}."
    minutes = f"{place} * 5 = {place * 5}."
    shown = f"The clock is {clock.time}."
    if family == "read":
        return (hand, shown), clock.time
    if family == "minute":
        return (hand, minutes), str(clock.minute)
    if family == "until":
        return (hand, minutes, f"60 - {clock.minute} = {60 - clock.minute}."), str(60 - clock.minute)
    total = clock.minute + n
    later = ClockFace((clock.hour - 1 + total // 60) % HOURS + 1, total % 60)
    sums = [f"{clock.minute} + {n} = {total}."]
    if total >= 60:
        sums.append(f"{total} - 60 = {total - 60}.")
    return (shown, *sums), later.time
