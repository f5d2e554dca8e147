"""Lists: ordered (LIST) and not (SET); every element once, none missing, none added."""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds import expression
from mixpo.verdicts.mathematics.compare import equal, every, unordered
from mixpo.verdicts.mathematics.structure import Bracketed, Mathematics, Relation, Several, is_readable
from mixpo.verdicts.mathematics.structure import read as structure_of
from mixpo.verdicts.plain import plain
from mixpo.verdicts.quantities import quantities_of
from mixpo.verdicts.quantity import as_fraction
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement, bulleted, sentence_end
from mixpo.verdicts.words import in_reverse

Element = Fraction | str
LONGEST = 50
"""Elements that are compared."""
BRACKETS = re.compile(r"(?:\\?[\[({])\s*([^\[\](){}\n]{1,500}?)\s*(?:\\?[\])}])")
SEPARATOR = re.compile(
    r"\s*(?:,?\s*\b(?:and then|then|and finally|finally)\b|→|▸|»|(?<=\s)[<>](?=\s)|,\s*(?:and|or)\b|,|;"
    r"|\band\b|&|、|和|与|と"
    r"|\by\b|\bet\b|\bund\b|\be\b|\bи\b|그리고|और|(?<=\s)و)\s*",
    re.IGNORECASE,
)
NO_LIST = re.compile(r"\b(?:outside|reverse of|not|n't|except) |,? \.\.\.\s*$|…\s*$")
SPACED = re.compile(r"-?[\d.]+(?: +-?[\d.]+)+")
SEMICOLON = re.compile(r"\s*;\s*")
VERB = re.compile(
    r"\b(?:is|are|was|were|be|between|include|includes|contains?|follows|son|sont|sind|sono|são)\b:?|[:是为=]|は",
    re.IGNORECASE,
)
ASIDE = re.compile(
    r",?\s+(?:with|because|since|which|where|as|respectively|while|in (?:that|this) order|from .* to)\b|\s\("
)


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The elements that a statement lists, in order; its value is their text."""
    text, start, end = body.text, statement.start, statement.end
    if NO_LIST.search(body.lower, start, end):
        return Reading(start, end, problem="no list")
    if in_reverse(body.lower[start:end], question.text.lower()):
        return Reading(start, end, problem="in reverse order")
    if not statement.marked and refuses(body.lower, start, end, question.text):
        return Reading(start, end, problem="refused")
    if statement.rule == "direct" and sentence_end(text, start, end) < end - 1:
        return None  # several sentences: the last ones are read one by one
    listed = bulleted(body)
    near = listed is not None and listed.end >= (statement.start if statement.marked else body.end - 200) - 1
    if listed and near and (not statement.marked or listed.start >= statement.start):
        return Reading(listed.start, listed.end, "; ".join(listed.items))
    if _is_numeric(question.answer or "") and (formula := _formula(body, statement, question)):
        return formula
    brackets = list(BRACKETS.finditer(text, start, end))
    if brackets:
        match = brackets[0] if statement.marked else brackets[-1]
        if re.search(r"(?:setminus|∖|\\)\s*$", text[start : match.start()]):
            return Reading(start, end, problem="another set")
        return Reading(match.start(), match.end(), match[1])
    if statement.rule not in ("box", "tag"):
        end = sentence_end(text, start, end)
    if not statement.marked:
        verbs = list(VERB.finditer(text, start, end))
        start = verbs[-1].end() if verbs else start
    if aside := ASIDE.search(text, start + 1, end):
        end = aside.start()
    inside = text[start:end].strip(" \t\n.*\"'$:")
    if not inside:
        return None
    at = text.index(inside, start)
    return Reading(at, at + len(inside), inside)


def _formula(body: Body, statement: Statement, question: Question) -> Reading | None:
    """Mathematics that lists several values: {1, 3}, x = 2 or x = 3."""
    found = expression.read(body, statement, question)
    if found is None or found.value is None or not is_readable(found.value):
        return None
    return found if isinstance(_listing(structure_of(found.value)), Several | Bracketed) else None


def _listing(part: Mathematics) -> Mathematics:
    """What follows x ∈, or D =."""
    if isinstance(part, Relation):
        return part.sides[-1] if set(part.signs) <= {"=", "∈"} else part
    return part


@lru_cache(maxsize=16384)
def _is_numeric(answer: str) -> bool:
    structure = structure_of(answer)
    return (
        is_readable(answer) and isinstance(structure, Several | Bracketed) and re.search(r"\d|\\", answer) is not None
    )


def elements(text: str) -> tuple[Element, ...]:
    """The parts of a list, numbers as numbers and words as plain words."""
    separator = SEMICOLON if ";" in text else SEPARATOR
    return tuple(_element(part) for part in separator.split(text.strip(" [](){}.")) if part.strip(" \"'*$."))


def _element(text: str) -> Element:
    found = quantities_of(text)
    alone = (
        len(found) == 1
        and found[0].value is not None
        and not (text[: found[0].start] + text[found[0].end :]).strip(" \"'*$.%°")
    )
    return as_fraction(found[0].value) if alone and found[0].value is not None else plain(text)


@lru_cache(maxsize=16384)
def gold_elements(answer: str) -> tuple[Element, ...]:
    """The ground truth's elements, with or without brackets and quotes."""
    return elements(answer)


def right(reading: Reading, question: Question) -> bool:
    """Whether the elements are the same, in the same order unless the kind is SET. Raises Undecided."""
    in_any_order = question.kind is AnswerKind.SET
    gold, said = gold_elements(question.answer or ""), elements(reading.value)
    if len(said) == 1 and len(gold) > 1 and SPACED.fullmatch(reading.value):
        said = elements(reading.value.replace(" ", ","))
    if (sorted(gold, key=str) == sorted(said, key=str)) if in_any_order else gold == said:
        return True
    if not _is_numeric(question.answer or "") or not is_readable(reading.value):
        return False
    truth, answer = (_parts(_listing(structure_of(text))) for text in (question.answer or "", reading.value))
    return _same(truth, answer, in_any_order)


def _parts(part: Mathematics) -> Sequence[Mathematics]:
    return part.items if isinstance(part, Several | Bracketed) else (part,)


def _same(gold: Sequence[Mathematics], said: Sequence[Mathematics], in_any_order: bool) -> bool:
    if len(gold) != len(said) or len(gold) > LONGEST:
        return False
    same = unordered(gold, said, most=LONGEST) if in_any_order else every(map(equal, gold, said))
    if same is None:
        raise Undecided("an element cannot be compared")
    return same
