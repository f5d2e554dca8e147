"""ChartQA: questions about charts (Masry et al., ACL Findings 2022, arXiv 2203.10244).

Publisher: `test_human.json`, `test_augmented.json` (imgname query label); on the hub `lmms-lab/ChartQA` and
`HuggingFaceM4/ChartQA`. Official metric: relaxed accuracy, numbers within 5 % (the kind RELAXED of the judge).
"""

import re
from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import SHORT, listed, needed

HALF = re.compile(r"human|augmented|machine")


def columns(row: Row) -> dict[str, Any]:
    """Fields: image or imgname, question or query, answer or label (a list of one), type or the file's name."""
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


BENCHMARK = Benchmark(title="ChartQA (arXiv 2203.10244)", hub="lmms-lab/ChartQA", columns=columns)
