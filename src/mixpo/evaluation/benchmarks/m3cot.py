"""M3CoT: multi-domain, multi-step, multi-modal chains of thought (Chen et al., ACL 2024, arXiv 2405.16473).

Publisher: `LightChen2333/M3CoT` on the hub. Official prompts: context, question and options under headings; with a
chain of thought "Let's think step-by-step!" at the end.
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import lettered, lines, listed, needed, options, truth

COT = "Let's think step-by-step!"


def columns(row: Row) -> dict[str, Any]:
    """Fields: id category image_id question choices context answer (a letter) rationale image domain topic."""
    choices = [str(choice) for choice in listed(row.get("choices"))] or options(row)
    question, context = str(needed(row, "question")), str(row.get("context") or row.get("hint") or "").strip()
    asked = lines(
        f"[Context]\n{context}\n" if context else "",
        f"[Question]\n{question}",
        f"[Choices]\n{lettered(choices, '({letter}) {text}')}",
    )
    return {
        "id": needed(row, "id", "index"),
        "text": lines(context, question),
        "images": row.get("image") if row.get("image") is not None else row.get("image_path"),
        "answer": truth(needed(row, "answer")),
        "kind": "choice",
        "choices": choices,
        "domain": {"mathematics": "math", "science": "science"}.get(str(row.get("domain")), "general"),
        "category": row.get("topic") or row.get("category") or "",
        "subject": row.get("domain"),
        "prompts": {"cot": f"{asked}\n{COT}"},
    }


BENCHMARK = Benchmark(title="M3CoT (arXiv 2405.16473)", hub="LightChen2333/M3CoT", columns=columns)
