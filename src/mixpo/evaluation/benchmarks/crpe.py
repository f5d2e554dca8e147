"""CRPE: circular probing of relations (Wang et al., ECCV 2024, arXiv 2402.19474).

Publisher: `OpenGVLab/CRPE` on the hub: `crpe_exist.jsonl`, `crpe_relation.jsonl` (question_id image text
correct_option category; pictures of COCO val2017 and the folder `abnormal_images`). A question stands with its options
in every rotation and counts when all of them are answered rightly (CircularEval): the score is consistency.
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import LETTER, needed, split_options


def columns(row: Row) -> dict[str, Any]:
    """Fields: question_id image text correct_option category (VLMEvalKit: index question answer category)."""
    asked = str(needed(row, "text", "question"))
    text, choices = split_options(asked.replace(LETTER, "").strip())
    picture = row.get("image")
    # Rotations of one question share picture, words and the options in another order.
    same = [str(row.get("image")) if isinstance(picture, str) else "", text, *sorted(choices)]
    return {
        "id": needed(row, "question_id", "index"),
        "text": text,
        "images": picture,
        "answer": str(needed(row, "correct_option", "answer")).strip()[:1],
        "kind": "choice",
        "choices": choices,
        "category": needed(row, "category"),
        "group": " | ".join(same),
        "prompts": {"direct": asked if LETTER in asked else f"{asked.strip()}\n{LETTER}"},
    }


BENCHMARK = Benchmark(
    title="CRPE (arXiv 2402.19474)", hub="OpenGVLab/CRPE", split="relation", columns=columns, primary="consistency"
)
