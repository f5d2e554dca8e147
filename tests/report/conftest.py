"""A run folder as the steps write it: two questions, four responses, two pairs, a training and an evaluation."""

import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from PIL import Image

from mixpo.files import RunFiles, write_bytes, write_text
from mixpo.records import (
    Comparison,
    Dropped,
    DropReason,
    FinishReason,
    Origin,
    Outcome,
    PreferencePair,
    Question,
    Response,
    Score,
    Verdict,
)

EVIL = '<script>alert("x")</script>![x](http://outside.example/x.png)'
STEPS = {
    "questions": {"uses": "questions"},
    "sample": {"uses": "sample", "n": 2},
    "verify": {"uses": "verify"},
    "pair": {"uses": "pair"},
    "train": {"uses": "train", "pairs": "pair"},
    "evaluate": {"uses": "evaluate"},
    "report": {"uses": "report"},
}


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    """Only a recipe: nothing has run."""
    files = RunFiles(tmp_path / "run")
    recipe = {"name": "little", "run": "run", "steps": STEPS, "versions": {"mixpo": "0.1", "commit": "abc1234"}}
    write_text(files.recipe, yaml.safe_dump(recipe, sort_keys=False))
    return files


@pytest.fixture
def full(files: RunFiles) -> RunFiles:
    """Everything has run."""
    write_questions(files)
    write_responses(files)
    write_pairs(files)
    write_training(files)
    write_evaluation(files)
    for section, seconds in {"questions": 1.0, "sample": 60.0, "train": 20.0, "evaluate": 4.0}.items():
        write_text(files.json(f"timings/{section}"), json.dumps({"seconds": seconds, "runs": 1}))
    return files


@pytest.fixture
def writers() -> dict[str, Callable[..., None]]:
    """What writes the records of each step, for runs of which only some have been done."""
    steps = (write_questions, write_pairs, write_training, write_evaluation)
    return {step.__name__.removeprefix("write_"): step for step in steps}


@pytest.fixture
def evil() -> str:
    """What stands in prompts, completions and reasons of the run."""
    return EVIL


def png(width: int, height: int, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_questions(files: RunFiles) -> None:
    write_text(files.image_roots_file("questions"), json.dumps({"mine": "images/mine"}))
    write_bytes(files.pictures("questions") / "mine" / "0.png", png(64, 64))
    write_bytes(files.pictures("questions") / "mine" / "1.png", png(2000, 1000, "blue"))
    files.questions("questions").append(
        Question(id=f"mine-{i}", text="How many?", images=(f"mine/{i}.png",), answer=str(i)) for i in range(2)
    )


def write_responses(files: RunFiles) -> None:
    outcomes = [Outcome.CORRECT, Outcome.INCORRECT, Outcome.CORRECT, Outcome.UNPARSED]
    for number, outcome in enumerate(outcomes):
        question = f"mine-{number // 2}"
        response = Response(
            id=f"{question}/{number % 2}",
            question_id=question,
            sample=number % 2,
            text="text",
            finish_reason=FinishReason.STOP,
            completion_tokens=10 + number,
        )
        files.responses("sample").append([response])
        files.verdicts("verify").append([Verdict(id=response.id, question_id=question, outcome=outcome)])


def write_pairs(files: RunFiles) -> None:
    files.pairs("pair").append(
        [
            PreferencePair(
                id="mine-0/0>1", question_id="mine-0", prompt=f"How many? {EVIL}", origin=Origin.CORRECTNESS,
                chosen="3 red stars\nFinal answer: 3", rejected=f"3 red circles {EVIL}\nFinal answer: 4",
                images=("mine/0.png",),
            ),
            PreferencePair(
                id="mine-1/0>1", question_id="mine-1", prompt="How many?", chosen="1", rejected="y" * 1_000_000,
                origin=Origin.FORMAT, images=("mine/1.png", "mine/lost.png"),
            ),
        ]
    )  # fmt: skip
    files.dropped("pair").append(
        [
            Dropped(id="mine-7", step="pair", reason=DropReason.ALL_CORRECT, detail=f"all right {EVIL}"),
            Dropped(id="mine-8", step="pair", reason=DropReason.OVER_CAP, count=40),
        ]
    )
    counted = {"questions": 4, "answered": 3, "dropped": {"all_correct": 1, "over_cap": 40}}
    write_text(files.json("funnel/pair"), json.dumps(counted))


def write_training(files: RunFiles) -> None:
    rows = [
        {"step": 1, "loss": 0.93, "loss/generation": 0.1, "expected_first_loss": 0.9318, "tokens": 100},
        {"step": 2, "loss": 0.8, "loss/generation": 0.09, "tokens": 120},
        {"step": 2, "eval_loss": 0.85},
        {"step": 3, "loss": float("nan"), "loss/generation": 0.08, "tokens": 80},
    ]
    folder = files.checkpoints("train")
    (folder / "model").mkdir(parents=True)
    torn = '{"step": 4, "lo'
    write_text(folder / "log.jsonl", "\n".join([*map(json.dumps, rows), torn]))
    files.dropped("train").append([Dropped(id="mine-1/0>1", step="train", reason=DropReason.COMPLETION_TOO_LONG)])


def write_evaluation(files: RunFiles, low: float = 0.05, high: float = 0.25) -> None:
    inner = files.evaluation("evaluate")
    values = {("base", "direct"): 0.55, ("base", "cot"): 0.5, ("mpo", "direct"): 0.56, ("mpo", "cot"): 0.65}
    inner.scores().replace(
        Score(
            id=f"evaluate/{model}/scenes/{style}/{category}", model=model, benchmark="scenes", style=style,
            category=category, metric="accuracy", value=value, low=value - 0.05, high=value + 0.05, n=400,
        )
        for (model, style), value in values.items() for category in ("all", "count")
    )  # fmt: skip
    gain = Comparison(
        benchmark="scenes", category="all", before_model="base", before_style="cot", after_model="mpo",
        after_style="cot", value=0.15, low=low, high=high, p=0.0042, n=400, fixed=80, broken=20,
    )  # fmt: skip
    write_text(inner.json("comparisons"), json.dumps([asdict(gain)]))
    inner.responses("mpo-scenes-cot").append(
        [Response(id="scenes-0/0", question_id="scenes-0", sample=0, text="", finish_reason=FinishReason.STOP,
                  completion_tokens=7)]
    )  # fmt: skip
