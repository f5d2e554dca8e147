"""AI2D: diagrams of school science (Kembhavi et al., ECCV 2016, arXiv 1603.07396); on the hub `lmms-lab/ai2d`."""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import LETTER, letter_at, lettered, lines, listed, needed, options


def columns(row: Row) -> dict[str, Any]:
    """Fields: question options answer (number from 0, as text) image (VLMEvalKit: index A B C D answer category)."""
    choices = [str(choice) for choice in listed(row.get("options"))] or options(row)
    question = str(needed(row, "question"))
    return {
        "id": row.get("index"),
        "text": question,
        "images": row.get("image"),
        "answer": letter_at(needed(row, "answer")),
        "kind": "choice",
        "choices": choices,
        "domain": "science",
        "category": row.get("category") or "",
        "prompts": {"direct": lines(question, lettered(choices), LETTER)},
    }


BENCHMARK = Benchmark(title="AI2D (arXiv 1603.07396)", hub="lmms-lab/ai2d", columns=columns)
