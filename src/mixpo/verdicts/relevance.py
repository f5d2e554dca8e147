"""Which sentence of several speaks of what the question asks, where the last one goes on to something else."""

import re
from collections.abc import Iterable
from functools import lru_cache

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds.stance import content
from mixpo.verdicts.languages import one_of
from mixpo.verdicts.number_context import counted, counts_another
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement
from mixpo.verdicts.turns import RESULTS

IT_IS = re.compile(r",? ?(?:(?:it|this|that|he|she|they)(?:'s| is| must be| are)|the [^.,;]{1,30} is)? ?(?:an? |the )?")
CONCLUDES = re.compile(
    r"\s*(?:so|thus|therefore|hence|consequently|in conclusion|in summary|overall|finally|accordingly"
    r"|this means|that means"
    r"|as a result|we conclude|because of this"
    r"|所以|因此|故|综上|por (?:lo )?tanto|donc|also|daher|deshalb|quindi|portanto"
    rf"|follows|したがって|따라서|значит|поэтому|итак|{one_of('answer')})\b"
)


def closer(
    body: Body,
    found: Reading,
    statement: Statement,
    others: Iterable[tuple[Statement, Reading | None]],
    question: Question,
    kind: AnswerKind,
) -> Reading | None:
    """An earlier sentence's answer that is meant rather than `found`, which the sentence `statement` gives.

    `others`: the last other sentences with what is read in each; they are read as far as they are needed.

    Words: the sentence speaks of nothing that the question names, an earlier one does. Options: an earlier one says
    what follows ("so it is …"). Counts: what is counted there is what was asked for, and here it is something else.
    """
    if RESULTS.search(body.lower, statement.start, found.start):
        return None
    if statement.rule not in ("last", "line") or CONCLUDES.match(body.lower, statement.start, statement.end):
        return None
    if kind is AnswerKind.TEXT:
        fits, here = _speaks, _speaks(body, statement, found, question)
    elif kind is AnswerKind.CHOICE and found.end - found.start > 1:
        fits, here = _results, _results(body, statement, found, question)
    elif kind is AnswerKind.INTEGER and counted(question.text):
        fits, here = _counts, counts_another(body, found.end, question.text) is not True
    else:
        return None
    if here:
        return None
    for other, reading in others:
        if reading and reading.value is not None and fits(body, other, reading, question):
            return reading
    return None


def _speaks(body: Body, statement: Statement, found: Reading, question: Question) -> bool:
    return bool(set(content(body.lower[statement.start : statement.end])) & _asked(question.text))


def _results(body: Body, statement: Statement, found: Reading, question: Question) -> bool:
    ends = [match.end() for match in RESULTS.finditer(body.lower, statement.start, found.start)]
    leads = bool(ends) and IT_IS.fullmatch(body.lower, ends[-1], found.start) is not None
    return leads and not any(character.isdigit() for character in body.text[found.start : found.end])


def _counts(body: Body, statement: Statement, found: Reading, question: Question) -> bool:
    return counts_another(body, found.end, question.text) is False


@lru_cache(maxsize=4096)
def _asked(question: str) -> frozenset[str]:
    return frozenset(content(question)) - {"color", "colour", "kind", "type", "what", "which", "how", "many", "name"}
