"""POPE: is the object there? Hallucination asked as yes or no (Li et al., EMNLP 2023, arXiv 2305.10355).

Publisher: `coco_pope_random.json`, `coco_pope_popular.json`, `coco_pope_adversarial.json` (JSON lines: question_id
image text label; pictures of COCO val2014); on the hub `lmms-lab/POPE`. Official metrics: accuracy, precision, recall
and F1 of "yes", and the share of "yes". The official script takes every answer without a "no" for a yes; here an
answer that says neither is UNPARSED: neither yes nor right.
"""

import re
from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import SHORT, needed
from mixpo.evaluation.metrics import Answered, Metric, ratio
from mixpo.records import Outcome

KIND_OF_NEGATIVES = re.compile(r"random|popular|adversarial")


def columns(row: Row) -> dict[str, Any]:
    """Fields: question_id, image (image_source), text or question, label or answer, category (or the file's name)."""
    question = str(needed(row, "question", "text"))
    picture = row.get("image")
    category = str(row.get("category") or row.get("file") or "")
    found = KIND_OF_NEGATIVES.search(category)
    negatives = found[0] if found else category
    own_id = row.get("index", row.get("id"))
    return {
        # The three original files number their questions alike.
        "id": f"{negatives}-{needed(row, 'question_id')}" if own_id is None else own_id,
        "text": question,
        "images": picture,
        "answer": str(needed(row, "label", "answer")).strip().lower(),
        "kind": "yes_no",
        "category": negatives,
        "picture": row.get("image_source"),
        "prompts": {"direct": f"{question}\n{SHORT}"},
    }


def counts(answered: Answered) -> tuple[float, ...]:
    """True positives, false positives, false negatives, said yes, questions."""
    positive = (answered.question.answer or "").lower() == "yes"
    outcome = answered.verdict.outcome if answered.verdict else None
    said_yes = outcome is (Outcome.CORRECT if positive else Outcome.INCORRECT)
    return (float(positive and said_yes), float(not positive and said_yes), float(positive and not said_yes),
            float(said_yes), 1.0)  # fmt: skip


METRICS = (
    Metric("precision", counts, lambda s: ratio(s[0], s[0] + s[1])),
    Metric("recall", counts, lambda s: ratio(s[0], s[0] + s[2])),
    Metric("f1", counts, lambda s: ratio(2 * s[0], 2 * s[0] + s[1] + s[2])),
    Metric("yes_share", counts, lambda s: ratio(s[3], s[4])),
)
BENCHMARK = Benchmark(title="POPE (arXiv 2305.10355)", hub="lmms-lab/POPE", columns=columns, metrics=METRICS)
