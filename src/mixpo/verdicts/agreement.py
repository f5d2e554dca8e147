"""`mixpo judge-check`: how far the judge agrees with labels given by people (or by a judge that is trusted)."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.left_out import counted
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response, Verdict
from mixpo.tables import Row, rows
from mixpo.values import encodable, refuse_half, whole_if_any
from mixpo.verdicts.verify import verify

KINDS = {"integer": AnswerKind.INTEGER, "float": AnswerKind.DECIMAL, "list": AnswerKind.LIST}
RIGHT, WRONG = "true 1 1.0 correct yes".split(), "false 0 0.0 incorrect wrong no".split()
"""How people label an answer."""
WIDTH = 160
"""Characters shown of a response: some are a megabyte."""
LISTED = 200
"""Disagreements listed."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One labelled row and the judge's verdict on it."""

    name: str
    expected: bool
    verdict: Verdict
    seconds: float
    limit: float | None
    row: dict[str, Any]
    whole: bool = True
    """Whether its response held no half of a surrogate pair, which is replaced."""

    @property
    def said(self) -> bool:
        return self.verdict.outcome is Outcome.CORRECT

    @property
    def agrees(self) -> bool:
        return self.said == self.expected


def judge_check(path: Path) -> tuple[dict[str, Any], str]:
    """The numbers, and the report as text: agreement, precision and recall of "correct", kappa, by kind and rule,
    disagreements."""
    judged = [_judged(row, path) for row in rows(path, strict=True)]
    if not judged:
        raise DataError(f"{path} holds no labelled rows; give rows with a field `correct`")
    firm = [item for item in judged if not (item.row.get("hard") or item.row.get("soft"))]
    seconds = sum(item.seconds for item in judged)
    over = [item.name for item in judged if item.limit is not None and item.seconds > item.limit]
    by_kind = _grouped(judged, lambda item: item.verdict.kind or "-")
    by_rule = _grouped(judged, lambda item: item.verdict.rule or "none found")
    wrong = [item for item in judged if not item.agrees]
    numbers = {
        "all": agreement(judged),
        "firm": agreement(firm),
        "by_kind": {name: agreement(items) for name, items in by_kind.items()},
        "by_rule": {name: agreement(items) for name, items in by_rule.items()},
        "seconds": seconds,
        "slowest": max(item.seconds for item in judged),
        "over_time_limit": over,
        "disagreements": [
            {"id": item.name, "label": item.expected, "outcome": item.verdict.outcome, "rule": item.verdict.rule,
             "extracted": item.verdict.extracted, "answer": item.row["answer"]}
            for item in wrong
        ],
    }  # fmt: skip
    lines = [f"{path.name}: {_scores(judged)}"]
    if halves := sum(not item.whole for item in judged):
        lines.append(f"{counted(halves, 'response')} held half a character (no valid text), read as `?`")
    if len(firm) < len(judged):
        lines.append(f"not hard, not soft: {_scores(firm)}")
    lines.append(
        f"{len(judged) / max(seconds, 1e-9):,.0f} verdicts a second in one process, "
        f"slowest {max(item.seconds for item in judged):.3f} s"
    )
    if any(item.limit is not None for item in judged):
        lines.append(f"over their time limit: {', '.join(over) or 'none'}")
    for title, groups in (("kind", by_kind), ("rule", by_rule)):
        lines += ["", f"by {title}:", *(f"  {name:<12} {_scores(items)}" for name, items in groups.items())]
    lines += ["", f"disagreements: {len(wrong)}", *map(_line, wrong[:LISTED])]
    if len(wrong) > LISTED:
        lines.append(f"  and {len(wrong) - LISTED} more")
    return numbers, "\n".join(lines)


def _grouped(judged: Iterable[Judged], key: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    """By what `key` says, the largest group first."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for item in judged:
        groups[key(item)].append(item)
    return {name: groups[name] for name in sorted(groups, key=lambda name: -len(groups[name]))}


def _judged(found: Row, path: Path) -> Judged:
    number, line, row = found
    if not isinstance(row, dict):
        raise DataError(f"{path}:{line}: not a row of columns; one row per line is expected")
    expected = label_of(row.get("correct", row.get("expected_correct", row.get("label"))))
    if expected is None or not isinstance(row.get("response"), str) or row.get("answer") is None:
        raise DataError(
            f"{path}:{line}: a row needs `response`, `answer` and a true or false `correct`; add what is missing"
        )
    try:
        refuse_half({name: value for name, value in row.items() if name != "response"})
        question = question_of(row, str(number))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}:{line}: {error}; mend the row") from None
    finish = FinishReason(row.get("finish_reason") or "stop")
    text = encodable(row["response"])
    response = Response(id=f"{number}/0", question_id=question.id, sample=0, text=text, finish_reason=finish)
    started = time.perf_counter()
    verdict = verify(question, response)
    limit = row.get("max_seconds")
    name = str(row.get("id") or row.get("pid") or number)
    seconds = time.perf_counter() - started
    whole = text == row["response"]
    return Judged(name, expected, verdict, seconds, float(limit) if limit else None, {**row, "response": text}, whole)


def label_of(value: Any) -> bool | None:
    """A label as people write it: true, 1, "true", "correct", "yes"; None for what is none."""
    word = str(value).strip().lower()
    return True if word in RIGHT else False if word in WRONG else None


def question_of(row: dict[str, Any], name: str) -> Question:
    """The question of a labelled row: its kind stated (`answer_kind`), or told by `question_type` and `answer_type`."""
    choices = tuple(map(str, row.get("choices") or ()))
    if row.get("answer_kind"):
        kind: AnswerKind | None = AnswerKind(row["answer_kind"])
    elif row.get("question_type") == "multi_choice":
        kind = AnswerKind.CHOICE
    else:
        kind = KINDS.get(str(row.get("answer_type")))
    return Question(
        id=name,
        text=str(row.get("question") or ""),
        answer=str(row["answer"]),
        kind=kind,
        choices=choices,
        precision=whole_if_any(row.get("precision")),
        unit=row.get("unit") or None,
    )


def agreement(items: Sequence[Judged]) -> dict[str, float | int | None]:
    """Rows, agreement, precision and recall of CORRECT, Cohen's kappa; None where nothing can be divided by."""
    both = sum(item.said and item.expected for item in items)
    said, expected, rows = sum(item.said for item in items), sum(item.expected for item in items), len(items)
    share = sum(item.agrees for item in items) / rows if rows else None
    chance = (said * expected + (rows - said) * (rows - expected)) / rows**2 if rows else 1.0
    return {
        "rows": rows,
        "agreement": share,
        "precision": both / said if said else None,
        "recall": both / expected if expected else None,
        "kappa": (share - chance) / (1 - chance) if share is not None and chance < 1 else None,
        "false_correct": said - both,
        "missed": expected - both,
    }


def _scores(items: Sequence[Judged]) -> str:
    found = agreement(items)
    shares = [f"{name} {_number(found[name], '.2%')}" for name in ("agreement", "precision", "recall")]
    return (
        f"{found['rows']} rows, {', '.join(shares)}, kappa {_number(found['kappa'], '.3f')}, "
        f"false correct {found['false_correct']}, missed {found['missed']}"
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _line(item: Judged) -> str:
    verdict, text = item.verdict, item.row["response"]
    shown = text if len(text) <= WIDTH else f"{text[: WIDTH // 2]} … {text[-WIDTH // 2 :]}"
    return (
        f"  {item.name}: label {'correct' if item.expected else 'not correct'}, judge {verdict.outcome} "
        f"(rule {verdict.rule or '-'}, {_cut(verdict.extracted)!r}{', ' + verdict.reason if verdict.reason else ''}), "
        f"truth {_cut(str(item.row['answer']))!r}, response {shown!r}"
    )


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= 40 else text[:40] + "…"
