"""How a model writes, whatever it answers: the length of its responses, repetition, and responses that loop.

Users of models after preference optimisation report that some end in the same words over and over; the
share of such responses stands in every table, with a warning above `LOOPING_WARNING`.
"""

import re

from mixpo.evaluation.metrics import Answered, Metric, mean

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s]")
"""A word, a sign, or one character of a script without spaces."""
TAIL = 400
"""Words at a response's end in which a loop is looked for."""
LONGEST_UNIT = 80
"""Words of what is repeated."""
COPIES = 4
"""Times in a row that make a loop …"""
LOOP_WORDS = 16
""" … if they have at least so many words together: "very, very, very, very" is none."""
LOOPING_WARNING = 0.02
"""Share of looping responses above which a table warns."""


def words(text: str) -> list[str]:
    return WORD.findall(text)


def repetition(text: str) -> float:
    """seq-rep-4: the share of 4-grams of words that stood in the text before (Welleck et al. 2020, arXiv 1908.04319,
    section 6.1)."""
    tokens = words(text)
    grams = list(zip(tokens, tokens[1:], tokens[2:], tokens[3:]))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def loops(text: str) -> bool:
    """Whether the text ends in one unit written at least `COPIES` times in a row; the last copy may be cut."""
    tail = words(text)[-TAIL:]
    for unit in range(1, min(LONGEST_UNIT, len(tail) // COPIES) + 1):
        run = unit
        while run < len(tail) and tail[-1 - run] == tail[-1 - run + unit]:
            run += 1
        if run >= max(COPIES * unit, LOOP_WORDS):
            return True
    return False


def _text(answered: Answered) -> str:
    return answered.response.text if answered.response else ""


def _tokens(answered: Answered) -> float:
    response = answered.response
    if response is None:
        return 0.0
    return float(response.completion_tokens or len(words(response.text)))


LENGTH = mean("length", _tokens)
"""Tokens a response has; words, for responses of others that come without their number of tokens."""
REPETITION = mean("repetition", lambda answered: repetition(_text(answered)))
LOOPING = mean("looping", lambda answered: float(loops(_text(answered))))
WRITING: tuple[Metric, ...] = (LENGTH, REPETITION, LOOPING)
