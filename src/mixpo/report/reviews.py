"""What people say of pairs of texts, blind: kept in the run folder (`reviews.sqlite`), written at once.

An item is two texts of one prompt: chosen and rejected of a preference pair, or the chains of thought of the first
and the last model of an evaluation. Which one stands left is drawn for every reviewer and item; who wrote what is
not shown. Every reviewer gets the items in the same order, so a second one judges the same ones.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, UserError

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
  id TEXT PRIMARY KEY, contest TEXT NOT NULL, question_id TEXT NOT NULL, prompt TEXT NOT NULL,
  first TEXT NOT NULL, second TEXT NOT NULL, preferred TEXT NOT NULL, place INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS answers (
  item_id TEXT NOT NULL REFERENCES items(id), reviewer TEXT NOT NULL, choice TEXT NOT NULL,
  first_was_left INTEGER NOT NULL, steps TEXT NOT NULL, grounded TEXT NOT NULL, readable TEXT NOT NULL,
  at REAL NOT NULL, PRIMARY KEY (item_id, reviewer)
);
"""
NAME_LIMIT = 80
LONGEST = 5.0
"""Seconds that another process may hold the file, and that anything asked of it may take."""
STEPS = 10_000
"""Of SQLite's machine, after which it is asked whether the time is over."""


class Preference(StrEnum):
    """What a reviewer says of an item; first and second are the texts, wherever they stood."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    BOTH_BAD = "both bad"


class Side(StrEnum):
    """What a reviewer says of what stands on the screen."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_BAD = "both bad"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewItem:
    """Two texts to be compared."""

    id: str
    contest: str
    """What is compared, for example "pair: chosen and rejected"; agreement is told for each."""
    question_id: str
    prompt: str
    first: str
    """The chosen completion, or the last model's answer."""
    second: str
    preferred: str = ""
    """Which one the verifier holds for better: first, second, or empty when it does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one reviewer says of one item."""

    item_id: str
    contest: str
    reviewer: str
    choice: Preference
    preferred: str
    """The verifier's, as in the item."""
    first_was_left: bool = True
    steps: Preference = Preference.TIE
    """Which has the more correct steps; TIE where nothing was said."""
    grounded: Preference = Preference.TIE
    """Which keeps closer to the image."""
    readable: Preference = Preference.TIE


class Reviews:
    """The file of one run. Every method opens it anew: several processes may write."""

    def __init__(self, path: Path):
        self.path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Raises DataError when the file cannot be opened or is no such file."""
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise DataError(
                f"{self.path} is a link, which could lead out of the run, or no file; put a plain file there"
            )
        try:
            connection = sqlite3.connect(self.path, timeout=LONGEST)
            try:
                # A file that somebody else made may hold a view that counts for ever.
                end = time.monotonic() + LONGEST
                connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.executescript(SCHEMA)
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise DataError(
                f"{self.path} cannot be used for reviews ({error}); move it away and start again"
            ) from error

    def add(self, items: list[ReviewItem]) -> None:
        """Adds what is not there yet, after what is."""
        with self._open() as connection:
            (last,) = connection.execute("SELECT coalesce(max(place), 0) FROM items").fetchone()
            rows = [
                (i.id, i.contest, i.question_id, i.prompt, i.first, i.second, i.preferred, last + number)
                for number, i in enumerate(items, 1)
            ]
            connection.executemany("INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def next(self, reviewer: str, contest: str) -> ReviewItem | None:
        """The first item that this reviewer has not judged."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT id, contest, question_id, prompt, first, second, preferred FROM items i WHERE contest = ? "
                "AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.item_id = i.id AND a.reviewer = ?) "
                "ORDER BY place LIMIT 1",
                (contest, reviewer),
            ).fetchone()
        names = ("id", "contest", "question_id", "prompt", "first", "second", "preferred")
        return ReviewItem(**dict(zip(names, row))) if row else None

    def save(self, item: ReviewItem, reviewer: str, side: Side, rubric: dict[str, Side] | None = None) -> Answer:
        """Writes an answer, to the disk before this returns; a second one to the same item replaces the first."""
        left = first_is_left(item.id, reviewer)
        says = {name: _choice(value, left) for name, value in (rubric or {}).items()}
        answer = Answer(
            item_id=item.id, contest=item.contest, reviewer=reviewer, choice=_choice(side, left),
            preferred=item.preferred, first_was_left=left, **says,
        )  # fmt: skip
        with self._open() as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (item.id, reviewer, answer.choice, left, answer.steps, answer.grounded, answer.readable, time.time()),
            )
        return answer

    def undo(self, reviewer: str, contest: str) -> bool:
        """Takes this reviewer's last answer back; whether there was one."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT item_id FROM answers JOIN items ON id = item_id WHERE reviewer = ? AND contest = ? "
                "ORDER BY at DESC LIMIT 1", (reviewer, contest),
            ).fetchone()  # fmt: skip
            if row:
                connection.execute("DELETE FROM answers WHERE item_id = ? AND reviewer = ?", (row[0], reviewer))
        return row is not None

    def counts(self, reviewer: str, contest: str) -> tuple[int, int]:
        """Items that this reviewer has judged, and all."""
        with self._open() as connection:
            (done,) = connection.execute(
                "SELECT count(*) FROM answers JOIN items ON id = item_id WHERE reviewer = ? AND contest = ?",
                (reviewer, contest),
            ).fetchone()
            (total,) = connection.execute("SELECT count(*) FROM items WHERE contest = ?", (contest,)).fetchone()
        return done, total

    def answers(self) -> list[Answer]:
        """Everything that was said, in the order of the items; nothing when there is no file."""
        if not self.path.exists():
            return []
        with self._open() as connection:
            rows = connection.execute(
                "SELECT item_id, contest, reviewer, choice, preferred, first_was_left, steps, grounded, readable "
                "FROM answers JOIN items ON id = item_id ORDER BY place, at"
            ).fetchall()
        try:
            return [self._answer(row) for row in rows]
        except ValueError as error:
            raise DataError(f"{self.path} holds what is no review ({error}); move it away") from error

    @staticmethod
    def _answer(row: Sequence[Any]) -> Answer:
        """Raises ValueError for a row that another program wrote."""
        item, contest, reviewer, choice, preferred, left, *rubric = row
        if not all(isinstance(text, str) for text in (item, contest, reviewer, preferred)):
            raise ValueError("a name that is no text")
        steps, grounded, readable = map(Preference, rubric)
        return Answer(
            item_id=item, contest=contest, reviewer=reviewer, choice=Preference(choice), preferred=preferred,
            first_was_left=bool(left), steps=steps, grounded=grounded, readable=readable,
        )  # fmt: skip


def first_is_left(item_id: str, reviewer: str) -> bool:
    """A coin for every reviewer and item, the same whenever it is asked."""
    return bool(hashlib.sha256(f"{reviewer}\0{item_id}".encode("utf-8", "replace")).digest()[0] & 1)


def _choice(side: Side, first_was_left: bool) -> Preference:
    if side in (Side.TIE, Side.BOTH_BAD):
        return Preference(str(side))
    return Preference.FIRST if (side is Side.LEFT) == first_was_left else Preference.SECOND


def reviewer_name(text: str) -> str:
    """A name as it is kept. Raises UserError when there is none."""
    name = " ".join(text.split())[:NAME_LIMIT]
    if not name:
        raise UserError("write your name first: answers are kept for each reviewer")
    return name
