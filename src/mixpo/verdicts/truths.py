"""Ground truths that no answer can match, noticed when questions are collected and not after hours of sampling."""

from dataclasses import replace

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.infer import infer_kind
from mixpo.verdicts.verify import answering, verify

NO_TRUTH = "the ground truth is"
"""How the reason of a kind begins that cannot read the ground truth."""

WORDS = (AnswerKind.TEXT, AnswerKind.DOCUMENT, AnswerKind.RELAXED, AnswerKind.CHOICE, AnswerKind.EXPRESSION)
"""Kinds whose ground truth may be any text; CHOICE says itself why it cannot be one."""


def unanswerable(question: Question) -> str | None:
    """Why no answer can match the question's ground truth; None where one can, or where there is no ground truth."""
    if question.answer is None:
        return None
    truths = (question.answer, *question.accepted)
    reasons = [_unmatched(replace(question, answer=truth, accepted=()), truth) for truth in truths]
    return None if None in reasons else reasons[0]


def _unmatched(question: Question, truth: str) -> str | None:
    if not truth.strip():
        return "the ground truth is empty"
    kind = question.kind or infer_kind(question)
    if kind is AnswerKind.FREE_FORM:
        return None
    reason = verify(question, answering(question, truth)).reason
    if reason == "unreadable" and kind not in WORDS:
        reason = f"{NO_TRUTH} none of its kind"
    if not reason.startswith(NO_TRUTH):
        return None
    options = f"; there are {len(question.choices)} options" if question.choices else ""
    return f"{reason} ({truth[:60]!r}, judged as {kind}{options}): give a letter, an option's text, or another kind"
