"""Multiple choice: an option's letter where a letter is meant, or an option's text."""

import re
from dataclasses import replace
from functools import lru_cache

from mixpo.prompts import letter
from mixpo.records import AnswerKind, Question
from mixpo.verdicts.kinds import number
from mixpo.verdicts.kinds.number import REFUSAL
from mixpo.verdicts.kinds.text import plain
from mixpo.verdicts.quantities import Quantity, quantities
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement

OPENING = r"(?:[\s\"'*`$:({\[]|\\(?:text|textbf|mathrm|mathbf|boxed)\s*\{|\\[(\[])*"
NAMED = r"(?:the\s+)?(?:(?:correct|right|best|final)\s+)?(?:option|choice|answer|letter)s?\s*(?:is|letter)?\s*:?\s*"
LETTER_FIRST = re.compile(rf"{OPENING}(?:{NAMED})?{OPENING}([A-Za-z])(?![A-Za-z0-9_'²])(\s*[).\]}}:,]|\s*$|[^.\n])?", re.IGNORECASE)
LETTER_INSIDE = re.compile(
    r"(?<![\w(])\(([A-Z])\)|(?<![\w(])\[([A-Z])\]|\b(?:options?|choices?|letters?|选项|选|答案)\s*(?:is|为|是)?\s*:?\s*[\"'(]?([A-Za-z])(?![\w'])|^([A-Z])(?:[.):]|\s*$)"
)
ARTICLE = re.compile(r"\s+[a-z]")
MORE = re.compile(r"[)\]}.\s]*(?:,|/|&|\bor\b|\band\b|和|或)\s*(?:\bor\b|\band\b)?\s*(?:option\s+)?\(?([A-Z])(?![\w'])", re.IGNORECASE)
DENIED_BEFORE = re.compile(r"(?:\bnot|n't|\bneither|\bnor|\brather than|\binstead of|\bnever|\bexcept|\beliminates?|不是|不选|排除)\s*(?:be\s+)?(?:the\s+)?(?:option\s+)?[\"'(]*$", re.IGNORECASE)
DENIED_AFTER = re.compile(
    r"[)\]\"']*(?:\s+(?:\S+\s+){0,4}?)?(?:is|are|was|would be)?(?:\s*not\b|n't\b|\s*(?:also\s+)?(?:incorrect|wrong|false|excluded|eliminated|ruled out)\b)|[)\]\"']*\s*(?:不正确|错误|不对|是错)",
    re.IGNORECASE,
)
NONE_FITS = re.compile(
    r"\bnone of (?:the|these|those|them)\b|\bno (?:correct )?(?:option|choice|answer)\b|\bnot (?:\w+ )?(?:listed|an option|among|one of|in the (?:options|choices))\b|无法确定|无法判断|都不",
    re.IGNORECASE,
)


@lru_cache(maxsize=16384)
def gold_index(answer: str, choices: tuple[str, ...]) -> int:
    """Which option is right: by its text, else by its letter. Raises Undecided when the ground truth is no option."""
    texts = [plain(choice) for choice in choices]
    letters = [letter(index) for index in range(max(len(choices), 26))]
    bare = answer.strip().strip("().:").upper()
    if choices and answer.strip() in choices:
        return choices.index(answer.strip())
    if bare in letters and (not choices or letters.index(bare) < len(choices)):
        return letters.index(bare)
    if plain(answer) in texts:
        return texts.index(plain(answer))
    raise Undecided("the ground truth is none of the options")


def read(text: str, statement: Statement, question: Question) -> Reading | None:
    """The option that a statement chooses."""
    choices = question.choices
    if not statement.strict and NONE_FITS.search(text, statement.start, statement.end) and not any("none" in c.lower() for c in choices):
        return Reading(statement.start, statement.end, problem="no option chosen")
    by_letter = _by_letter(text, statement, len(choices))
    if by_letter is not None:
        return by_letter
    by_text = _by_text(text, statement, choices)
    if by_text is not None:
        return by_text
    if not statement.strict and REFUSAL.search(text, statement.start, statement.end):
        return Reading(statement.start, statement.end, problem="refused")
    return None


def _by_letter(text: str, statement: Statement, count: int) -> Reading | None:
    start, end = statement.start, statement.end
    if statement.explicit or statement.rule in ("direct", "first"):
        match = LETTER_FIRST.match(text, start, end)
        if match and _means_letter(text, match, statement):
            return _judged(text, match.start(1), match.end(1), start, end)
    found = []
    for match in LETTER_INSIDE.finditer(text, start, end):
        group = match.lastindex or 1
        reading = _judged(text, match.start(group), match.end(group), start, end)
        if reading.problem != "denied":
            found.append(reading)
    values = {reading.value for reading in found}
    if len(values) == 1 and None not in values:
        return found[-1]
    return Reading(start, end, problem="several answers") if found else None


def _means_letter(text: str, match: re.Match[str], statement: Statement) -> bool:
    """Whether a single letter at the head is an option's letter, not the article, a pronoun or a variable."""
    character, after = match[1], text[match.end(1) : match.end(1) + 2]
    bracket = text[match.start(1) - 1 : match.start(1)] == "(" and after[:1] == ")"
    if bracket or after[:1] == ")":
        return True
    if character.islower():
        return re.search(r"(?:option|choice|letter)\s*:?\s*$", text[statement.start : match.start(1)].lower()) is not None or (
            statement.strict and not text[match.end(1) : statement.end].strip(" .\"'})*$")
        )
    if ARTICLE.match(after) and character in "AI":
        return False
    if re.match(r"\s*[=<>+\-*/^]", text[match.end(1) : match.end(1) + 4]) and statement.rule != "marker":
        return False
    if statement.rule == "first" and not re.match(r"[.):,]|\s*$", text[match.end(1) : statement.end]):
        return False
    return True


def _judged(text: str, left: int, right_: int, start: int, end: int) -> Reading:
    """A letter found, unless it is denied or one of several."""
    value = ord(text[left].upper()) - ord("A")
    if DENIED_BEFORE.search(text[max(start, left - 30) : left]) or DENIED_BEFORE.search(text[max(0, left - 30) : left]) or DENIED_AFTER.match(text, right_, end):
        return Reading(left, right_, problem="denied")
    more = MORE.match(text, right_, end)
    if more and more[1].upper() != text[left].upper() and not (more[1] in "aI" and ARTICLE.match(text, more.end())):
        return Reading(start, end, problem="several answers")
    return Reading(left, right_, value)


@lru_cache(maxsize=16384)
def _patterns(choices: tuple[str, ...]) -> tuple[tuple[int, re.Pattern[str]], ...]:
    """A pattern for the text of every option that has words, the longest first."""
    found = []
    for index, choice in sorted(enumerate(choices), key=lambda item: -len(item[1])):
        tokens = re.findall(r"\w+|[^\w\s]", choice.strip().rstrip("."))
        if tokens:
            body = r"[\s$]*".join(map(re.escape, tokens))
            found.append((index, re.compile(rf"(?<![\w.\\]){body}(?![\w]|\.\d|/\d|√)" if tokens[0][0].isalnum() else body + r"(?!\w|\.\d)", re.IGNORECASE)))
    return tuple(found)


@lru_cache(maxsize=16384)
def _numbers(choices: tuple[str, ...]) -> tuple[Quantity | None, ...]:
    """The number that each option is, None for options that are not a single number."""
    return tuple(_single(choice) for choice in choices)


def _single(choice: str) -> Quantity | None:
    found = list(quantities(choice, 0, len(choice)))
    rest = choice[found[0].end :].strip() if len(found) == 1 else ""
    alone = len(found) == 1 and found[0].value is not None and not choice[: found[0].start].strip(" $(") and len(rest.split()) <= 1
    return found[0] if alone else None


def _by_text(text: str, statement: Statement, choices: tuple[str, ...]) -> Reading | None:
    start, end = statement.start, statement.end
    taken: list[tuple[int, int, int]] = []
    for index, pattern in _patterns(choices):
        for match in pattern.finditer(text, start, end):
            if not any(left < match.end() and match.start() < right_ for left, right_, _ in taken):
                taken.append((match.start(), match.end(), index))
    taken.sort()
    named = {index for _, _, index in taken}
    if len({plain(choices[index]) for index in named}) == 1:
        left, right_, index = taken[-1]
        return Reading(left, right_, index)
    numeric = _numbers(choices)
    if sum(value is not None for value in numeric) >= 2:
        reading = number.read(text, statement, replace(question_of(choices), kind=AnswerKind.NUMBER))
        if reading is not None and reading.value is not None and reading.value.value is not None:
            same = [i for i, option in enumerate(numeric) if option is not None and option.value == reading.value.value]
            if same:
                return replace(reading, value=same[0])
            if statement.explicit:
                return replace(reading, value=-1)
    return Reading(start, end, problem="several answers") if named else None


def question_of(choices: tuple[str, ...]) -> Question:
    return Question(id="", text="", choices=choices)


def right(reading: Reading, question: Question) -> bool:
    """Whether the option chosen is the right one, or has the same text (options do repeat)."""
    gold = gold_index(question.answer or "", question.choices)
    chosen = reading.value
    if chosen == gold:
        return True
    choices = question.choices
    return 0 <= chosen < len(choices) and bool(choices) and plain(choices[chosen]) == plain(choices[gold])
