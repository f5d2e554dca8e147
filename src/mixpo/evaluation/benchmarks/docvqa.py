"""DocVQA: questions about scanned documents (Mathew et al., WACV 2021, arXiv 2007.00398).

Publisher: `val_v1.0.json` (`data`: questionId question image answers question_types); on the hub `lmms-lab/DocVQA`,
configuration `DocVQA`. `test` hides its answers. Official metric: ANLS, the mean over questions of the similarity to
the closest ground truth, 0 where it is below one half.
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import SHORT, listed, needed
from mixpo.evaluation.metrics import Answered, mean
from mixpo.verdicts.kinds.document import THRESHOLD, similarity


def columns(row: Row) -> dict[str, Any]:
    """Fields: questionId question image answers question_types (VLMEvalKit: index, answer as a list in text)."""
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
    said = " ".join(answered.verdict.extracted.lower().split())
    truths = (" ".join(text.lower().split()) for text in (answered.question.answer or "").split("|"))
    best = max(similarity(text, said) for text in truths)
    return best if best >= THRESHOLD else 0.0


BENCHMARK = Benchmark(
    title="DocVQA (arXiv 2007.00398)", hub="lmms-lab/DocVQA", subset="DocVQA", split="validation", columns=columns,
    metrics=(mean("anls", anls),), primary="anls",
)  # fmt: skip
