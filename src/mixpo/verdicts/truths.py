"""Ground truths that no answer can match, noticed when questions are collected and not after hours of sampling."""

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
    if not question.answer.strip():
        return "the ground truth is empty"
    kind = question.kind or infer_kind(question)
    if kind is AnswerKind.FREE_FORM:
        return None
    reason = verify(question, answering(question, question.answer)).reason
    if reason == "unreadable" and kind not in WORDS:
        reason = f"{NO_TRUTH} none of its kind"
    if not reason.startswith(NO_TRUTH):
        return None
    options = f"; there are {len(question.choices)} options" if question.choices else ""
    return (
        f"{reason} ({question.answer[:60]!r}, judged as {kind}{options}): give a letter, an option's text, or "
        f"another kind"
    )
