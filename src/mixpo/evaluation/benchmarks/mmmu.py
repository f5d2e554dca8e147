"""MMMU: questions of college level in 30 subjects (Yue et al., CVPR 2024, arXiv 2311.16502).

Publisher: `MMMU/MMMU` on the hub, a configuration a subject; a local copy is read as a whole. `validation` has ground
truths, `test` hides them. Prompts: those of the LLaVA line; pictures are named <image 1> … in the text.
"""

import re
from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import LETTER, SHORT, lettered, lines, listed, needed, options, truth

PICTURES = 7
SUBJECT = re.compile(r"(?:validation|dev|test)_(.+?)_\d+$")


def columns(row: Row) -> dict[str, Any]:
    """Fields: id question options (a list as text) image_1 … image_7 answer question_type subfield topic_difficulty."""
    choices = [str(choice) for choice in listed(row.get("options"))] or options(row)
    question = str(needed(row, "question"))
    pictures = [row[f"image_{n}"] for n in range(1, PICTURES + 1) if row.get(f"image_{n}") is not None]
    answer = truth(row.get("answer"))
    if not choices and answer and answer.startswith("["):
        answer = str(listed(answer)[0])  # several spellings of one answer: the first
    own_id = str(needed(row, "id", "index"))
    subject = SUBJECT.match(own_id)
    instruction = LETTER if choices else SHORT
    return {
        "id": own_id,
        "text": question,
        "images": pictures or row.get("image"),
        "answer": answer,
        "kind": "choice" if choices else None,
        "choices": choices,
        "domain": "science",
        "category": subject[1] if subject else row.get("category") or row.get("subfield") or "",
        "difficulty": row.get("topic_difficulty"),
        "prompts": {"direct": lines(question, lettered(choices, "{letter}. {text}"), instruction)},
    }


BENCHMARK = Benchmark(title="MMMU (arXiv 2311.16502)", hub="MMMU/MMMU", split="validation", columns=columns)
