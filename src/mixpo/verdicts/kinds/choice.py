"""Multiple choice: an option's letter where a letter is meant, or an option's text."""

import re
from functools import lru_cache

from mixpo.prompts import letter
from mixpo.records import Question
from mixpo.verdicts.body import Body, lowered
from mixpo.verdicts.kinds.letters import letter_read
from mixpo.verdicts.kinds.options import contradicted, option_read
from mixpo.verdicts.kinds.text import plain
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.refusal import NONE_FITS, refuses
from mixpo.verdicts.statements import Statement

UNDETERMINED = re.compile(r"\b((?:can(?:no|')t|cannot) be (?:determined|calculated|found)|not enough information)\b")
OPTION_LINE = re.compile(r"[ \t]*(?:\([A-Z]\)|[A-Z][.):])[ \t]*\S")


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The option that a statement chooses; value `options.NOT_AN_OPTION` when it is none of them."""
    start, end, choices = statement.start, statement.end, question.choices
    if not statement.marked and _listed(body.text, start, end):
        return Reading(start, end, problem="the options repeated")
    if NONE_FITS.search(body.lower, start, end) and not any(NONE_FITS.search(lowered(choice)) for choice in choices):
        by_letter = letter_read(body, statement, len(choices))
        if by_letter is not None and by_letter.value is not None and not 0 <= by_letter.value < len(choices):
            return by_letter  # "(E) None of the above"
        return Reading(start, end, problem="no option chosen")
    found = letter_read(body, statement, len(choices))
    if found is not None and found.value is not None and contradicted(body, found, end, choices):
        return Reading(start, end, problem="letter and text disagree")
    if found is None or found.problem == "several letters":
        found = option_read(body, statement, question) or found
    if (found is None or found.problem == "refused") and (
        undetermined := _undetermined(body.lower, start, end, choices)
    ) is not None:
        return undetermined
    if found is not None and (statement.marked or found.value is None):
        return found
    if refuses(body.lower, start, end) and (found is None or not refuses(body.lower, found.start, found.end)):
        return Reading(start, end, problem="refused")
    return found


def _undetermined(lower: str, start: int, end: int, choices: tuple[str, ...]) -> Reading | None:
    """The option that says that it cannot be determined, when a statement says so in the same words."""
    said = UNDETERMINED.search(lower, start, end)
    if said is None:
        return None
    same = [index for index, choice in enumerate(choices) if said[1] in choice.lower()]
    return Reading(said.start(), said.end(), same[0]) if len(same) == 1 else None


def _listed(text: str, start: int, end: int) -> bool:
    """Whether a statement is a line of a list of options: it and a neighbour begin with a letter."""
    if not OPTION_LINE.match(text, start):
        return False
    before = text.rfind("\n", max(0, start - 500), max(0, start - 1)) + 1
    after = text.find("\n", start, end + 2) + 1
    return bool(
        (start and "\n" in text[before:start] and OPTION_LINE.match(text, before))
        or (after and OPTION_LINE.match(text, after))
    )


@lru_cache(maxsize=16384)
def gold_index(answer: str, choices: tuple[str, ...]) -> int:
    """Which option is right: by its text, else by its letter. Raises Undecided when the ground truth is no option."""
    if answer.strip() in choices:
        return choices.index(answer.strip())
    bare = answer.strip().strip("().:").upper()
    letters = [letter(index) for index in range(len(choices) or 26)]
    if bare in letters:
        return letters.index(bare)
    texts = [plain(choice) for choice in choices]
    if plain(answer) in texts:
        return texts.index(plain(answer))
    raise Undecided("the ground truth is none of the options")


def right(reading: Reading, question: Question) -> bool:
    """Whether the option chosen is the right one, or reads the same (options do repeat)."""
    chosen, choices = reading.value, question.choices
    gold = gold_index(question.answer or "", choices)
    if chosen == gold:
        return True
    return 0 <= chosen < len(choices) and "".join(choices[chosen].split()) == "".join(choices[gold].split())
