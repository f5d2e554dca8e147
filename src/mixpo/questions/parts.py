"""One data set in two parts, questions to train on and questions that are held out, with no picture in both.

Questions that share a picture (by its path, or by its bytes where they are carried; without one: the same text) belong
together, and so do those that share another picture with these. Which groups are held out is drawn by their pictures'
names alone: the same rows in another order give the same parts.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from mixpo.errors import DataError
from mixpo.questions.source import Item
from mixpo.records import Dropped, Question


class QuestionPart(StrEnum):
    """Which questions of a data set are read."""

    ALL = "all"
    TRAIN = "train"
    """Those that are not held out."""
    HELD_OUT = "held_out"


def parted(
    read: Callable[[], Iterator[Item | Dropped]], part: QuestionPart, share: float, name: str
) -> Iterator[Item | Dropped]:
    """The questions of one part; rows that were left out are in both. `read` is called twice, unless all are wanted.

    Raises DataError where all questions share one picture.
    """
    if part is QuestionPart.ALL:
        yield from read()
        return
    apart = held_out((entry.question for entry in read() if isinstance(entry, Item)), share, name)
    for entry in read():
        if isinstance(entry, Dropped) or (entry.question.id in apart) == (part is QuestionPart.HELD_OUT):
            yield entry


def held_out(questions: Iterable[Question], share: float, name: str) -> set[str]:
    """The ids of the questions that are held out: at least one, at most about that share. Raises DataError."""
    groups = _together(questions)
    if len(groups) < 2:
        raise DataError(
            f"source {name!r}: its questions are all about one picture, and no picture may be in both parts; leave out "
            "`part` and `held_out`, and evaluate on another file"
        )
    wanted = max(1, round(share * sum(map(len, groups.values()))))
    drawn = sorted(groups, key=lambda key: hashlib.sha256(key.encode()).digest())
    found: set[str] = set()
    for key in drawn:
        if len(found) + len(groups[key]) <= wanted:
            found |= groups[key]
    return found or min((groups[key] for key in drawn), key=len)


def _together(questions: Iterable[Question]) -> dict[str, set[str]]:
    """Ids of questions that belong together, by the first of their pictures' names."""
    leader: dict[str, str] = {}

    def first(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    keys: dict[str, str] = {}
    for question in questions:
        # The source's name is what an image path begins with: the two parts are read under different ones.
        shown = sorted(first(image.partition("/")[2]) for image in question.images) or [first(question.text)]
        for other in shown:
            leader[other] = shown[0]
        keys[question.id] = shown[0]
    groups = defaultdict(set)
    for id, key in keys.items():
        groups[first(key)].add(id)
    return groups
