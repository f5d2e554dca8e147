"""MathVista: mathematical reasoning in visual contexts (Lu et al., ICLR 2024, arXiv 2310.02255).

Publisher: `AI4Math/MathVista` on the hub (Parquet; `annot_testmini.json` with the folder `images`). The official
prompt, `query`, is question, options and a hint that names the form of the answer; official scoring is exact after
an LLM has extracted the answer, here the verdict of `mixpo.verdicts`.
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import listed, needed, truth
from mixpo.verdicts.agreement import KINDS

QUESTION = "Question: "


def columns(row: Row) -> dict[str, Any]:
    """Fields: pid question choices unit precision answer question_type answer_type metadata query image."""
    choices = [str(choice) for choice in listed(row.get("choices"))]
    metadata = row.get("metadata") or {}
    text = str(needed(row, "question", "query"))
    query = row.get("query") or (text if text.startswith("Hint:") else None)
    precision = row.get("precision")
    picture = row.get("decoded_image")
    return {
        "id": needed(row, "pid", "index", "key"),
        "text": _bare(text),
        "images": row.get("image") if picture is None else picture,
        "answer": truth(row.get("answer")),
        "kind": "choice" if needed(row, "question_type") == "multi_choice" else KINDS.get(str(row.get("answer_type"))),
        "choices": choices,
        "precision": None if precision in (None, "") else int(float(precision)),
        "unit": row.get("unit") or None,
        "domain": "math",
        "category": metadata.get("task") or row.get("task") or "",
        "answer_type": row.get("answer_type"),
        "skills": metadata.get("skills") or listed(row.get("skills")),
        "prompts": {"direct": query} if query else None,
    }


def _bare(text: str) -> str:
    """VLMEvalKit keeps the whole query as `question`; what is asked stands in it."""
    if not text.startswith("Hint:"):
        return text
    return text.partition(QUESTION)[2].partition("\nChoices:")[0].strip() or text


BENCHMARK = Benchmark(title="MathVista (arXiv 2310.02255)", hub="AI4Math/MathVista", split="testmini", columns=columns)
