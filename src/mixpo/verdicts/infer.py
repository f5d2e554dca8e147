"""The kind of an answer when the question does not state it: conservative, from the ground truth and the options."""

import re

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import fold
from mixpo.verdicts.kinds.yes_no import polarity


def infer_kind(question: Question) -> AnswerKind:
    """CHOICE with options; else what the ground truth's form leaves no doubt about; else TEXT."""
    if question.choices:
        return AnswerKind.CHOICE
    answer = fold(question.answer or "").strip()
    if answer.lower() in ("yes", "no", "true", "false"):
        return AnswerKind.YES_NO
    if re.fullmatch(r"[A-Z]", answer):
        return AnswerKind.CHOICE
    if re.fullmatch(r"[+-]?\d+", answer):
        return AnswerKind.INTEGER
    if re.fullmatch(r"[+-]?\d*\.\d+", answer):
        return AnswerKind.DECIMAL
    if polarity(answer) is not None:
        return AnswerKind.YES_NO
    return AnswerKind.TEXT
