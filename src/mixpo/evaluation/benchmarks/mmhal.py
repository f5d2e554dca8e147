"""MMHal-Bench: hallucination in long answers, graded by an LLM (Sun et al. 2023, arXiv 2309.14525).

Publisher: `Shengcao1006/MMHal-Bench` on the hub: `response_template.json` (question_type question_topic image_id
image_src image_content question gt_answer), pictures in the folder `images`. Official metrics: the mean of ratings
from 0 to 6, and the share of answers rated below 3, which hallucinate. The judge sees what objects the picture holds
and the reference answer, as the official one does; its wording is ours (`mixpo.verdicts.llm_prompt`).
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import listed, needed
from mixpo.evaluation.benchmarks.mmvet import judged
from mixpo.evaluation.metrics import Answered, mean

HIGHEST = 6
HALLUCINATES_BELOW = 3 / HIGHEST


def columns(row: Row) -> dict[str, Any]:
    """The reference answer is joined with the picture's objects: the judge reads text alone."""
    objects = ", ".join(str(thing) for thing in listed(row.get("image_content")))
    source = str(row.get("image_src") or row.get("image_path") or "")
    picture = row.get("image")
    question = str(needed(row, "question"))
    reference = str(needed(row, "gt_answer", "answer"))
    return {
        "id": row.get("index"),
        "text": question,
        "images": picture if picture is not None else f"images/{source.rpartition('/')[2]}" if source else None,
        "answer": f"{reference}\n(Objects in the picture: {objects})" if objects else reference,
        "kind": "free_form",
        "category": needed(row, "question_type"),
        "topic": row.get("question_topic"),
        "rubric": "hallucination",
        "prompts": {"direct": question},
    }


def hallucinates(answered: Answered) -> float:
    """1 for a judged answer rated below 3 of 6."""
    scored = answered.verdict is not None and answered.verdict.score is not None
    return float(scored and judged(answered) < HALLUCINATES_BELOW)


BENCHMARK = Benchmark(
    title="MMHal-Bench (arXiv 2309.14525)", hub="Shengcao1006/MMHal-Bench", columns=columns,
    metrics=(mean("rating", lambda a: HIGHEST * judged(a)), mean("hallucination", hallucinates)), primary="rating",
    by_llm=True,
)  # fmt: skip
