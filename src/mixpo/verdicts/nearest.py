"""Which of several values of a sentence answers the question: the one whose clause speaks of what is asked."""

import re
from functools import lru_cache
from typing import TypeVar

from mixpo.verdicts.body import Body
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement
from mixpo.verdicts.turns import RESULTS
from mixpo.verdicts.words import stem

T = TypeVar("T")
EDGES = re.compile(r"[;,.!?](?=\s|$)|\n|\b(?:and|but|while|whereas|although)\b")
WORDS = re.compile(r"[^\W\d_]{3,}")
FUNCTION_WORDS = frozenset(
    "the and for are was were has have had how many much what which when where who does did this that "
    "with from its per".split()
)


def nearest(body: Body, found: list[tuple[int, T]], start: int, end: int, question: str) -> list[T]:
    """The values in the one clause that shares most words with the question; all where no clause is ahead alone.

    `found` has each value with its place in the body; a clause is what stands between commas or "and".
    """
    asked = _words(question)
    edges = [start, *(match.start() for match in EDGES.finditer(body.lower, start, end)), end]
    clauses: dict[tuple[int, int], list[T]] = {}
    for at, value in found:
        left = max(edge for edge in edges if edge <= at)
        right = min((edge for edge in edges if edge > at), default=end)
        clauses.setdefault((left, right), []).append(value)
    scores = {clause: _score(asked, _words(body.lower[slice(*clause)])) for clause in clauses}
    best = max(scores.values())
    ahead = [clause for clause, score in scores.items() if score == best]
    if len(ahead) > 1 or len(clauses) < 2 or len(clauses) != len(found):
        return [value for _, value in found]
    return clauses[ahead[0]]


def _score(asked: tuple[str, ...], said: tuple[str, ...]) -> tuple[int, bool]:
    """How many of the question's words a clause has, and whether it has the last one, its verb or noun."""
    return len(set(asked) & set(said)), bool(asked) and asked[-1] in said


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in WORDS.findall(text.lower()) if word not in FUNCTION_WORDS)


DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bisn't|不是|rather than|instead of)\s*(?:[^\W\d_]+ ){0,3}[\"'$(]*$")
BOUNDED = re.compile(
    r"(?<!best )(?<!use )(?<!sell )\b(?:before|after|between|until|till|since|earlier than|later than"
    r"|prior to|no later than|no "
    r"earlier than|by|around .{0,12} or|no sooner than|as (?:late|early) as|(?:just|shortly|a little|a bit) past"
    r"|the day following|(?:days?|weeks?|months?|years?|hours?|minutes?) from)\s*[\"'$(]*$"
)
BOUNDED_BEHIND = re.compile(
    r"[\s\"')]*(?:at the (?:earliest|latest)|or (?:later|earlier)|onwards?\b|on\b\W*$|(?:is|was) the "
    r"(?!answer|time|date)"
    r"|plus \d|minus \d|(?:hours?|minutes?) (?:later|earlier))"
)
JOINED = re.compile(r"\s*(?:,|\bor\b|\band\b|\bto\b|-|/|\(|–)\s*(?:or|and|maybe|perhaps)?\s*", re.IGNORECASE)


def only_one(body: Body, statement: Statement, found: list[tuple[int, int, T]], question: str) -> Reading | None:
    """The one value that a statement gives: behind a mark the first, else the only one, or the nearest to the question.

    `found` has place and value of each. None where there is none; a problem where all are denied, or several compete.
    """
    end = found[-1][1] if found else statement.end
    kept = [item for item in found if not DENIED.search(body.lower, max(statement.start, item[0] - 24), item[0])]
    if not kept:
        return Reading(statement.start, end, problem="denied") if found else None
    values = {value for _, _, value in kept}
    if len(values) > 1:
        near = nearest(body, [(item[0], item) for item in kept], statement.start, statement.end, question)
        joined = JOINED.fullmatch(body.text, kept[0][1], kept[1][0])
        if joined or (not statement.marked and len({item[2] for item in near}) > 1):
            return Reading(statement.start, end, problem="several answers")
        kept = kept if statement.marked else near
    start, end, value = kept[0] if statement.marked else kept[-1]
    if not statement.marked and RESULTS.search(body.lower, end, statement.end):
        return Reading(start, end, problem="a conclusion that cannot be read")
    if BOUNDED.search(body.lower, max(statement.start, start - 24), start) and not BOUNDED.search(
        question.lower() + " "
    ):
        return Reading(start, end, problem="a bound")
    if BOUNDED_BEHIND.match(body.lower, end, min(len(body.lower), end + 40)):
        return Reading(start, end, problem="a bound")
    return Reading(start, end, value)
