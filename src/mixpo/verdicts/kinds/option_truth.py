"""Which options of a question are right, however its ground truth names them."""

import re
from functools import lru_cache

from mixpo.prompts import letter
from mixpo.records import Question
from mixpo.verdicts.mathematics.compare import same as same_mathematics
from mixpo.verdicts.mathematics.structure import is_readable
from mixpo.verdicts.plain import plain
from mixpo.verdicts.reading import Undecided

WITH_LETTER = re.compile(r"\s*\(?([A-Z])(?:\)|[.:])\s*(?=\S)")
TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
LETTER_TRUTH = re.compile(r"\s*(?:(?:option|choice|answer) )?\(?([A-Za-z])\)?\s*[.:)]?\s*", re.IGNORECASE)
LETTER_LIST = re.compile(r"\s*\(?[A-Z]\)?(?:\s*(?:,|;|&|\band\b|/| )\s*(?:and )?\(?[A-Z]\)?)+\s*|[A-Z]{2,8}")


def choices_of(question: Question) -> tuple[str, ...]:
    """The options' texts, without letters written before them: "(A) red" is "red"."""
    return _without_letters(question.choices)


@lru_cache(maxsize=16384)
def _without_letters(choices: tuple[str, ...]) -> tuple[str, ...]:
    found = [WITH_LETTER.match(choice) for choice in choices]
    lettered = all(match and match[1] == letter(index) for index, match in enumerate(found))
    return tuple(choice[match.end() :] for choice, match in zip(choices, found) if match) if lettered else choices


def gold_indices(question: Question) -> frozenset[int]:
    """Which options are right: by text, letter, both ("B. blue") or several letters ("B, D"). Raises Undecided."""
    return _gold(question.answer or "", question.choices)


@lru_cache(maxsize=16384)
def _gold(answer: str, written: tuple[str, ...]) -> frozenset[int]:
    choices, answer = _without_letters(written), TEXT.sub(r"\1", answer.strip().strip("$"))
    for texts in (written, choices):
        if answer in texts:
            return frozenset((texts.index(answer),))
    letters = [letter(index) for index in range(len(choices) or 26)]
    if (single := LETTER_TRUTH.fullmatch(answer)) and single[1].upper() in letters:
        return frozenset((letters.index(single[1].upper()),))
    texts = tuple(plain(choice) for choice in choices)
    if plain(answer) in texts:
        return frozenset((texts.index(plain(answer)),))
    if (both := WITH_LETTER.match(answer)) and both[1] in letters:
        index = letters.index(both[1])
        if not choices or plain(answer[both.end() :]) == texts[index]:
            return frozenset((index,))
    if (
        LETTER_LIST.fullmatch(answer)
        and set(found := re.findall(r"[A-Z]", answer)) <= set(letters)
        and len(set(found)) == len(found)
    ):
        return frozenset(letters.index(character) for character in found)
    equal = (
        [index for index, choice in enumerate(choices) if same_mathematics(choice, answer)]
        if is_readable(answer)
        else []
    )
    if len(equal) == 1:
        return frozenset(equal)
    raise Undecided("the ground truth is none of the options")
