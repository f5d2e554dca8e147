"""The kind of an answer when the question does not state it: conservative, from the ground truth and the options."""

import re

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import fold

FORMS: tuple[tuple[AnswerKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (AnswerKind.YES_NO, r"yes|no|true|false|是|否|对|错|正确|错误"),
        (AnswerKind.INTEGER, r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)"),
        (AnswerKind.DECIMAL, r"[+-]?(?:\d*|\d{1,3}(?:,\d{3})+)\.\d+"),
        (AnswerKind.PERCENT, r"[+-]?\d[\d,]*(?:\.\d+)? ?(?:%|percent)"),
        (AnswerKind.MONEY, r"-?[$€£¥₹] ?\d[\d,]*(?:\.\d+)?"),
        (AnswerKind.FRACTION, r"[+-]?(?:\d+ )?\d+/\d+"),
        (AnswerKind.TIME, r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?: ?[ap]\.?m\.?)?"),
        (AnswerKind.RATIO, r"\d+(?:\.\d+)? ?: ?\d+(?:\.\d+)?(?: ?: ?\d+(?:\.\d+)?)*"),
        (AnswerKind.DATE, r"\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{4}|[A-Z][a-z]+ \d\d?,? \d{4}|\d\d? [A-Z][a-z]+ \d{4}"),
        (AnswerKind.LIST, r"\[[^\[\]]*,[^\[\]]*\]"),
        (
            AnswerKind.NUMBER,
            r"[+-]?\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)? ?(?:°|[a-z°]{1,3}(?:\^?[23²³])?|[a-z]{1,3}/[a-z]{1,3}"
            r"|[a-z]*(?:meters?|grams?|liters?|inches|feet|miles?|degrees?|hours?|minutes?|seconds?|years?"
            r"|dollars?))",
        ),
        (AnswerKind.EXPRESSION, r".*(?:\\(?:frac|sqrt|pi|dfrac)|[\^√π=]).*|\d*[a-z](?: ?[-+] ?\d*[a-z]?\w*)+"),
    )
)


def infer_kind(question: Question) -> AnswerKind:
    """CHOICE with options; else what the ground truth's form leaves no doubt about; else TEXT."""
    if question.choices:
        return AnswerKind.CHOICE
    answer = fold(question.answer or "").strip().strip("$").strip()
    if re.fullmatch(r"\(?[A-Z]\)?", answer):
        return AnswerKind.CHOICE
    return next((kind for kind, form in FORMS if form.fullmatch(answer)), AnswerKind.TEXT)
