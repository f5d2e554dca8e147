"""The smallest run that has everything: 10 questions, 2 steps of training, an evaluation, a report; 3 seconds."""

import hashlib
import re
from pathlib import Path
from typing import Any

import yaml

from robustness.forked import mixpo

RECIPE: dict[str, Any] = {
    "seed": 3,
    "steps": {
        "questions": {
            "sources": {
                "scenes": {"loader": "scenes", "count": 8},
                "pictures": {"loader": "scenes", "count": 2, "describe": True},
            }
        },
        "sample": {"n": 4, "style": "cot", "temperature": 1.0, "max_new_tokens": 80, "block": 16},
        "verify": {},
        "dropout": {"max_new_tokens": 40},
        "pair": {"continuations": "dropout"},
        "train": {"batch": 4, "micro_batch": 4, "max_records": 8, "save_steps": 1, "learning_rate": 1e-4},
        "evaluate": {
            "models": {"base": "base", "mpo": "step:train"},
            "benchmarks": {"test": {"loader": "scenes", "split": "test", "count": 4}},
            "max_new_tokens": 60,
            "block": 8,
        },
        "report": {},
    },
}
SKIPPED = {
    *("timings", "report.html", "log.jsonl", "trainer_state.json", "recipe.yaml", "models"),
    *("ablation.html", "ablation.md"),
}
SECONDS = re.compile(rb'"\w*seconds": [0-9.e-]+')
"""Clock times in what is compared."""


def write_recipe(path: Path, recipe: dict[str, Any] = RECIPE) -> Path:
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def make(folder: Path) -> None:
    """In a process of its own: the run, and what `folder` needs beside it."""
    try:
        mixpo("run", str(write_recipe(folder / "small.yaml")), f"run={folder / 'run'}")()
    except SystemExit as error:
        if error.code:
            raise


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file of a run but clock times and what contains the run's path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not SKIPPED & set(name.parts):
            content = path.read_bytes()
            content = SECONDS.sub(b"", content) if name.name == "ablation.json" else content
            found[str(name)] = hashlib.sha256(content).hexdigest()
    return found
