"""ScienceQA: science questions of school, with and without a picture (Lu et al., NeurIPS 2022, arXiv 2209.09513).

Publisher's data on the hub: `derek-thomas/ScienceQA`. Prompt: that of the LLaVA line (context, question, options,
the letter only).
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import LETTER, letter_at, lettered, lines, listed, needed, options


def columns(row: Row) -> dict[str, Any]:
    """Fields: image question choices answer (number from 0) hint task grade subject topic category skill."""
    choices = [str(choice) for choice in listed(row.get("choices"))] or options(row)
    context, question = str(row.get("hint") or "").strip(), str(needed(row, "question"))
    return {
        "id": row.get("key", row.get("index")),
        "text": lines(context, question),
        "images": row.get("image"),
        "answer": letter_at(needed(row, "answer")),
        "kind": "choice",
        "choices": choices,
        "domain": "science",
        "category": row.get("subject") or row.get("category") or "",
        "topic": row.get("topic"),
        "pictured": row.get("image") is not None,
        "prompts": {"direct": lines(f"Context: {context}" if context else "", question, lettered(choices), LETTER)},
    }


BENCHMARK = Benchmark(title="ScienceQA (arXiv 2209.09513)", hub="derek-thomas/ScienceQA", columns=columns)
