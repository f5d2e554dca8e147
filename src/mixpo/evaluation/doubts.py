"""What the scores of an evaluation cannot tell: few questions, answers that nobody judged."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixpo.evaluation.metrics import UNITS
from mixpo.evaluation.scores import ALL, BenchmarkQuestions
from mixpo.evaluation.table import RATE_NAMES, WRITING_NAMES
from mixpo.records import Comparison, Score

FEW = 100
"""With fewer questions intervals reach ten points and more to either side."""
ONE_SIDED = 0.5
"""Share of the questions from which on it is worth asking whether a model gives them all one answer."""
LISTED = 4
"""Scores that a sentence names; of more it tells the number."""
UNDECIDED = 0.05
"""Share of answers that nobody judged above which accuracy is doubtful, since they count as wrong."""
OTHERS = {*RATE_NAMES, *WRITING_NAMES, *UNITS, "consistency"}
"""Metrics that do not say how good the answers are, or not in points."""
JUDGE = "free-form answers need an LLM judge (`llm_judge` in a recipe's `evaluate`)"
DOUBTS = {
    "few_questions": "{benchmark} has {questions} questions: its scores are known to ± {half_width:.0f} points, and "
    f"differences below {{difference:.0f}} points cannot be told; {FEW} questions or more tell more",
    "one_answer": "{answer!r} alone would be right in {alone:.1%} of {benchmark}, without a look at any picture; "
    "not above that, as far as can be told: {listed}",
    "no_answers": "{benchmark} ({style}) is not scored for {model}, which answered nothing",
    "not_scored": f"{{benchmark}} ({{style}}) is not scored for {{model}}: none of its answers was judged; {JUDGE}",
    "undecided": "{after:.0%} of the answers of {model} to {benchmark} ({style}) were not judged and count as wrong; "
    f"{JUDGE}",
}


def doubts(
    scores: Sequence[Score],
    comparisons: Sequence[Comparison],
    benchmarks: Mapping[str, BenchmarkQuestions] | None = None,
) -> list[dict[str, Any]]:
    """Each with its values and its sentence, `text`, in the order of the scores. `benchmarks`: where all models were
    asked the same, what."""
    found = _doubts(scores, comparisons, benchmarks or {})
    return [{**doubt, "text": DOUBTS[doubt["sign"]].format(**doubt)} for doubt in found]


def _doubts(
    scores: Sequence[Score], comparisons: Sequence[Comparison], benchmarks: Mapping[str, BenchmarkQuestions]
) -> Iterator[dict[str, Any]]:
    overall = [score for score in scores if score.category == ALL]
    for benchmark in dict.fromkeys(score.benchmark for score in overall):
        mine = [score for score in overall if score.benchmark == benchmark]
        yield from _unjudged(mine)
        if benchmark in benchmarks:
            truths = [(question.answer or "").strip().lower() for question in benchmarks[benchmark].questions]
            yield from _one_answer(mine, truths)
        known = [score for score in mine if score.metric not in OTHERS and score.value is not None]
        known = [score for score in known if score.metric == known[0].metric]
        if known and known[0].n < FEW:
            about = (benchmark, ALL, known[0].metric)
            half = max(map(_reach, known))
            apart = [_reach(c) for c in comparisons if (c.benchmark, c.category, c.metric) == about]
            yield {
                "sign": "few_questions", "benchmark": benchmark, "questions": known[0].n, "half_width": 100 * half,
                "difference": 100 * min(1.0, max(apart, default=math.sqrt(2) * half)),
            }  # fmt: skip


def _one_answer(scores: Sequence[Score], answers: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Of one benchmark: the models and styles whose accuracy is not above that of its most frequent answer."""
    (answer, count), *others = Counter(answers).most_common()
    if len(answers) < FEW or not others or not answer or count < ONE_SIDED * len(answers):
        return
    alone = count / len(answers)
    low = [one for one in scores if one.metric == "accuracy" and one.low is not None and one.low <= alone]
    if low:
        named = [f"{one.model} ({one.style}, {one.value:.1%})" for one in low]
        listed = ", ".join(named[:LISTED]) + (f" and {len(named) - LISTED} more" if len(named) > LISTED else "")
        yield {
            "sign": "one_answer", "benchmark": low[0].benchmark, "answer": answer, "alone": alone, "listed": listed,
        }  # fmt: skip


def _unjudged(scores: Sequence[Score]) -> Iterator[dict[str, Any]]:
    """Of one benchmark: the models and styles that have no score, and those that many undecided answers count for."""
    for model, style in dict.fromkeys((score.model, score.style) for score in scores):
        found = {score.metric: score.value for score in scores if (score.model, score.style) == (model, style)}
        about = {"model": model, "benchmark": scores[0].benchmark, "style": style}
        undecided = found.get("undecided") or 0.0
        if any(value is None for metric, value in found.items() if metric not in WRITING_NAMES):
            yield {"sign": "no_answers" if found["unanswered"] == 1 else "not_scored", **about}
        elif undecided > UNDECIDED:
            yield {"sign": "undecided", **about, "after": undecided}


def _reach(found: Score | Comparison) -> float:
    """How far the interval reaches from the value, to its farther end."""
    value, low, high = (found.value or 0.0), (found.low or 0.0), (found.high or 0.0)
    return max(high - value, value - low)
