"""A small benchmark with groups, categories and chain lengths, and models whose answers are written down."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mixpo.evaluation.evaluate import Config, evaluate
from mixpo.files import RunFiles
from mixpo.responses.backend import Request
from mixpo.responses.backends.scripted import ScriptedBackend

RIGHT = {
    # Question numbers that each model answers rightly, of 0 to 11; the truth of question i is i.
    ("base", "direct"): {0, 1, 2, 3, 4, 5, 6},
    ("base", "cot"): {0, 1, 2, 3, 6, 7},
    ("mpo", "direct"): {0, 1, 2, 3, 4, 5},
    ("mpo", "cot"): {0, 1, 2, 3, 4, 5, 7, 8, 9},
}
UNPARSED = {("mpo", "cot", 10)}
"""Answers in which no final answer can be found."""


@pytest.fixture
def rows() -> list[dict]:
    """Twelve questions: group g0 is 0 to 5, g1 is 6 to 11; even ones count, odd ones add; steps 1, 2, 3 in turn."""
    return [
        {
            "id": number,
            "text": f"What is number {number}?",
            "answer": str(number),
            "kind": "integer",
            "category": "sum" if number % 2 else "count",
            "group": f"g{number // 6}",
            "steps": number % 3 + 1,
        }
        for number in range(12)
    ]


@pytest.fixture
def config(rows: list[dict], tmp_path: Path) -> Config:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Config(
        models={"base": "written/base", "mpo": "written/mpo"},
        benchmarks={"mine": {"loader": "jsonl", "path": str(path)}},
        max_new_tokens=20,
        block=4,
    )


def written(model: str) -> ScriptedBackend:
    """What the model of that name (the last part of its path) answers, as RIGHT says."""
    model = model.rpartition("/")[2]

    def answer(request: Request, sample: int) -> str:
        number = int(request.id.rpartition("-")[2])
        style = "cot" if "step by step" in request.prompt else "direct"
        if (model, style, number) in UNPARSED:
            return "I cannot say."
        value = number if number in RIGHT[model, style] else number + 1
        return f"Let me see.\nFinal answer: {value}" if style == "cot" else str(value)

    return ScriptedBackend(answer)


@pytest.fixture
def answer_all() -> Callable[[Config, Path], RunFiles]:
    """Evaluates with the written answers; gives the evaluation's own run folder."""

    def answer(config: Config, root: Path) -> RunFiles:
        evaluate(config, RunFiles(root), lambda _, path: written(path))
        return RunFiles(root).evaluation(config.name)

    return answer
