"""MM-Vet: integrated capabilities, graded by an LLM (Yu et al., ICML 2024, arXiv 2308.02490).

Publisher: `mm-vet.json` (a name -> imagename question answer capability) with the folder `images`; on the hub
`lmms-lab/MMVet`. Official metric: the mean of correctness scores from 0 to 1 that an LLM gives; here the judge of
`mixpo.verdicts.llm_judge` gives them, with its own wording, so figures compare within one judge only.
"""

from typing import Any

from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.fields import listed, needed
from mixpo.evaluation.metrics import Answered, mean


def columns(row: Row) -> dict[str, Any]:
    """Fields: question_id question answer ("<AND>" and "<OR>" join its parts) capability image or imagename."""
    capability = row.get("capability") or row.get("category") or ""
    parts = capability.split(",") if isinstance(capability, str) else [str(part) for part in listed(capability)]
    name = row.get("imagename")
    question = str(needed(row, "question"))
    return {
        "id": needed(row, "question_id", "index", "key"),
        "text": question,
        "images": row.get("image") if row.get("image") is not None else f"images/{name}" if name else None,
        "answer": str(needed(row, "answer")).replace("<AND>", " <AND> ").replace("<OR>", " <OR> "),
        "kind": "free_form",
        "category": "+".join(part.strip() for part in sorted(parts)),
        "prompts": {"direct": question},
    }


def judged(answered: Answered) -> float:
    """The judge's score in [0, 1]; 0 where it gave none."""
    return answered.verdict.score or 0.0 if answered.verdict else 0.0


BENCHMARK = Benchmark(
    title="MM-Vet (arXiv 2308.02490)", hub="lmms-lab/MMVet", columns=columns, metrics=(mean("score", judged),),
    primary="score", by_llm=True,
)  # fmt: skip
