"""Answers of a word, a number or a phrase: ChartQA, DocVQA, POPE."""

import re
from typing import Any

from mixpo.errors import BadRow
from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import SHORT, listed, needed
from mixpo.evaluation.metrics import Answered, Metric, decided, mean, ratio
from mixpo.records import Outcome
from mixpo.verdicts.kinds.document import THRESHOLD, closest

HALF = re.compile(r"human|augmented|machine")


def chartqa(row: Row) -> dict[str, Any]:
    """ChartQA: questions about charts (Masry et al., ACL Findings 2022, arXiv 2203.10244).

    Publisher: `test_human.json`, `test_augmented.json` (imgname query label); on the hub `lmms-lab/ChartQA` and
    `HuggingFaceM4/ChartQA`. Official metric: relaxed accuracy, numbers within 5 % (the kind RELAXED of the judge).

    Fields: image or imgname, question or query, answer or label (a list of one), type or the file's name.
    """
    question = str(needed(row, "question", "query"))
    answer = needed(row, "answer", "label")
    if not isinstance(answer, str | int | float) or str(answer).startswith("["):
        answer = listed(answer)[0]
    given = str(row.get("type") or row.get("split") or row.get("human_or_machine") or row.get("file") or "")
    half = HALF.search(given)
    name = row.get("imgname")
    return {
        "id": row.get("index"),
        "text": question,
        "images": row.get("image") if row.get("image") is not None else f"png/{name}" if name else None,
        "answer": str(answer),
        "kind": "relaxed",
        "domain": "chart",
        "category": half[0] if half else given,
        "prompts": {"direct": f"{question}\n{SHORT}"},
    }


def docvqa(row: Row) -> dict[str, Any]:
    """DocVQA: questions about scanned documents (Mathew et al., WACV 2021, arXiv 2007.00398).

    Publisher: `val_v1.0.json` (`data`: questionId question image answers question_types); on the hub
    `lmms-lab/DocVQA`, configuration `DocVQA`. `test` hides its answers. Official metric: ANLS, the mean over
    questions of the similarity to the closest ground truth, 0 where it is below one half.

    Fields: questionId question image answers question_types (VLMEvalKit: index, answer as a list in text).
    """
    answers = [str(answer) for answer in listed(row.get("answers") or row.get("answer"))]
    question = str(needed(row, "question"))
    types = listed(row.get("question_types"))
    return {
        "id": needed(row, "questionId", "question_id", "index"),
        "text": question,
        "images": row.get("image"),
        "answer": "|".join(answers) or None,
        "kind": "document",
        "domain": "document",
        "category": str(types[0]) if types else "",
        "prompts": {"direct": f"{question}\n{SHORT}"},
    }


def anls(answered: Answered) -> float:
    """Of what the judge read as the final answer; 0 where it found none."""
    if answered.verdict is None or answered.verdict.extracted is None:
        return 0.0
    best = closest(answered.question, (answered.verdict.extracted,))
    return best if best >= THRESHOLD else 0.0


KIND_OF_NEGATIVES = re.compile(r"random|popular|adversarial")


def pope(row: Row) -> dict[str, Any]:
    """POPE: is the object there? Hallucination asked as yes or no (Li et al., EMNLP 2023, arXiv 2305.10355).

    Publisher: `coco_pope_random.json`, `coco_pope_popular.json`, `coco_pope_adversarial.json` (JSON lines:
    question_id image text label; pictures of COCO val2014); on the hub `lmms-lab/POPE`. Official metrics: accuracy,
    precision, recall and F1 of "yes", and the share of "yes". The official script takes every answer without a "no"
    for a yes; here an answer that says neither is UNPARSED: neither yes nor right.

    Fields: question_id, image (image_source), text or question, label or answer, category (or the file's name).
    """
    question = str(needed(row, "question", "text"))
    picture = row.get("image")
    category = str(row.get("category") or row.get("file") or "")
    found = KIND_OF_NEGATIVES.search(category)
    negatives = found[0] if found else category
    answer = str(needed(row, "label", "answer")).strip().lower()
    if answer not in ("yes", "no"):
        raise BadRow(f"{answer[:20]!r} is neither yes nor no")
    own_id = row.get("index", row.get("id"))
    return {
        # The three original files number their questions alike.
        "id": f"{negatives}-{needed(row, 'question_id')}" if own_id is None else own_id,
        "text": question,
        "images": picture,
        "answer": answer,
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
    Metric("precision", counts, lambda s: ratio(s[0], s[0] + s[1]), decided),
    Metric("recall", counts, lambda s: ratio(s[0], s[0] + s[2]), decided),
    Metric("f1", counts, lambda s: ratio(2 * s[0], 2 * s[0] + s[1] + s[2]), decided),
    Metric("yes_share", counts, lambda s: ratio(s[3], s[4]), decided),
)
BENCHMARKS = {
    "chartqa": Benchmark(
        title="ChartQA (arXiv 2203.10244)", hub="lmms-lab/ChartQA", columns=chartqa,
        marks=("type question answer", "query label", "index question answer"),
    ),
    "docvqa": Benchmark(
        title="DocVQA (arXiv 2007.00398)", hub="lmms-lab/DocVQA", subset="DocVQA", split="validation", columns=docvqa,
        metrics=(mean("anls", anls, decided),),
        marks=("answers questionId", "answers question_id", "index question answer"),
    ),
    "pope": Benchmark(
        title="POPE (arXiv 2305.10355)", hub="lmms-lab/POPE", columns=pope, metrics=METRICS,
        marks=("question answer category", "question_id text label image"),
    ),
}  # fmt: skip
