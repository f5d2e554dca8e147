"""Mathematical expressions and equations: the same by value or by algebra.

Three ways, from cheap to dear, each certain of what it says: the same text; numbers by exact arithmetic; formulas in
letters by their values at random points (two that differ at one point are different). What these cannot read goes to
math-verify (SymPy) in a process of its own.
"""

import re
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts import symbolic
from mixpo.verdicts.body import Body
from mixpo.verdicts.formulas import same_formula
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement

DELIMITED = re.compile(r"\$\$?([^$\n]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
SENTENCE = re.compile(r"[.;!?](?=\s|$)|\n|,\s+(?=[a-z]{3,})")
WORDS = re.compile(r"(?<!\\)(?<!\\text\{)\b[a-zA-Z]{4,}\b(?!\s*[({])")
LENGTH = 1_000


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The formula that a statement gives: what is delimited in it, else what follows the verb or equals sign."""
    text, start, end = body.text, statement.start, statement.end
    if refuses(body.lower, start, end):
        return Reading(start, end, problem="refused")
    if statement.rule in ("box", "tag"):
        return _window(text, start, end)
    found = list(DELIMITED.finditer(text, start, end))
    if found:
        match = found[0] if statement.marked and not text[start : found[0].start()].strip(" \t\n:*") else found[-1]
        group = match.lastindex or 1
        return _window(text, match.start(group), match.end(group))
    edge = SENTENCE.search(text, start + 1, end)
    end = edge.start() if edge and statement.rule != "json" else end
    if not statement.marked:
        verb = list(re.finditer(r"\b(?:is|are|equals|get|gives|as)\b:?", text[start:end]))
        start = start + verb[-1].end() if verb else start
        if WORDS.search(text, start, end):
            return None
    return _window(text, start, end)


def _window(text: str, start: int, end: int) -> Reading | None:
    words = text[start:end]
    left = len(words) - len(words.lstrip(" \t\n*\"'`:$"))
    right = len(words.rstrip(" \t\n*\"'`.,;$"))
    if left >= right:
        return None
    return Reading(start + left, start + right, words[left:right])


def right(reading: Reading, question: Question) -> bool:
    """Whether the formula is the ground truth's. Raises Undecided when that takes too long or cannot be told."""
    if len(reading.value) > LENGTH:
        return False
    return same_expression(question.answer or "", reading.value)


@lru_cache(maxsize=65536)
def same_expression(gold: str, answer: str) -> bool:
    """Whether two formulas are equal; cached."""
    if squeezed(gold) == squeezed(answer):
        return True
    decided = same_formula(gold, answer)
    return symbolic.same(gold, answer) if decided is None else decided


def squeezed(formula: str) -> str:
    """Without spaces and what LaTeX adds for looks alone."""
    formula = re.sub(r"\\(?:left|right|displaystyle|[,;:! ])|\$|\s|~", "", formula)
    return formula.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").rstrip(".")
