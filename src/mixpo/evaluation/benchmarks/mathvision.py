"""MATH-Vision: problems of mathematics competitions (Wang et al., NeurIPS 2024, arXiv 2402.14804).

Publisher: `MathLLMs/MathVision` on the hub, splits `test` (3,040) and `testmini` (304). The official prompt asks for
steps and a boxed answer.
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import lettered, lines, listed, needed, truth

COT = (
    'Please solve the problem step by step and put your answer in one "\\boxed{}". If it is a multiple choice '
    'question, only one letter is allowed in the "\\boxed{}".'
)


def columns(row: Row) -> dict[str, Any]:
    """Fields: id question options image decoded_image answer level subject (VLMEvalKit: choices category l2-category).

    Options that are only letters stand in the picture.
    """
    choices = [str(choice) for choice in listed(row.get("options") or row.get("choices"))]
    text = str(needed(row, "question")).replace("<image1>", "").strip()
    picture = row.get("decoded_image")
    return {
        "id": needed(row, "id", "index"),
        "text": text,
        "images": row.get("image") if picture is None else picture,
        "answer": truth(row.get("answer")),
        "kind": "choice" if choices else None,
        "choices": choices,
        "domain": "math",
        "category": row.get("subject") or row.get("category") or "",
        "level": row.get("level"),
        "prompts": {"cot": lines(COT, text, lettered(choices, "({letter}) {text}"))},
    }


BENCHMARK = Benchmark(title="MATH-Vision (arXiv 2402.14804)", hub="MathLLMs/MathVision", columns=columns)
