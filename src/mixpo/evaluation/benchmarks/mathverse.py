"""MathVerse: does a model see the diagram? Each problem in versions with more or less text (Zhang et al., ECCV 2024,
arXiv 2403.14624).

Publisher: `AI4Math/MathVerse` on the hub, configuration and split `testmini`. Its two prompts stand in the rows:
`query_wo` (direct answer) and `query_cot` (step by step). Options stand in the question's text, one a line.
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import needed, split_options, truth


def columns(row: Row) -> dict[str, Any]:
    """Fields: sample_index problem_index problem_version question image answer question_type metadata query_wo
    query_cot question_for_eval (the question where a vision-only row shows it in the picture alone)."""
    asked = str(row.get("question") or row.get("question_for_eval") or "")
    text, choices = split_options(asked)
    if not choices:
        choices = split_options(str(row.get("question_for_eval") or ""))[1]
    metadata = row.get("metadata") if isinstance(row.get("metadata"), dict) else {}
    prompts = {"direct": row.get("query_wo"), "cot": row.get("query_cot")}
    return {
        "id": needed(row, "sample_index", "index"),
        "text": text,
        "images": row.get("image"),
        "answer": truth(row.get("answer")),
        "kind": "choice" if needed(row, "question_type") == "multi-choice" else None,
        "choices": choices,
        "domain": "math",
        "category": row.get("problem_version") or "",
        "subfield": (metadata or {}).get("subfield"),
        "problem": row.get("problem_index"),
        "prompts": {style: text for style, text in prompts.items() if text} or None,
    }


BENCHMARK = Benchmark(
    title="MathVerse (arXiv 2403.14624)", hub="AI4Math/MathVerse", subset="testmini", split="testmini", columns=columns
)
