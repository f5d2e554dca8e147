"""Seconds of a training step against what it consists of: prompt, completions, pairs a question, questions, vocabulary.

    python benchmarks/scaling.py [--repeats 5] [--cores 2]

Pairs of MMPR's shape, cached reference, one quantity changed at a time.
"""

import argparse
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from mmpr_shaped import make_model, make_processor, make_rows
from train_step import ours, prepare, step

START: dict[str, int] = {
    "questions": 1, "pairs": 1, "images": 1, "prompt": 60, "chosen": 150, "rejected": 150, "vocabulary": 8_000,
}  # fmt: skip
CHANGED: dict[str, list[dict[str, int]]] = {
    "questions": [{"questions": number} for number in (1, 2, 4, 8)],
    "pairs a question": [{"pairs": number} for number in (1, 2, 4, 8)],
    "images": [{"images": number} for number in (1, 2, 4, 8)],
    "completion tokens": [{"chosen": number, "rejected": number} for number in (75, 150, 300, 600)],
    "vocabulary": [{"vocabulary": number} for number in (8_000, 32_000, 128_000)],
}


def seconds(settings: dict[str, int], repeats: int) -> float:
    """Median of an optimizer step's time."""
    processor = make_processor()
    shape = {name: value for name, value in settings.items() if name != "vocabulary"}
    rows = make_rows(**shape)
    model = make_model(processor, settings["vocabulary"])
    with tempfile.TemporaryDirectory() as folder:
        trainer = ours(folder, rows, len(rows), model, processor, reference_cache=f"{folder}/reference")
        prepare(trainer)
        step(trainer, rows)
        taken = []
        for _ in range(repeats):
            begin = time.perf_counter()
            step(trainer, rows)
            taken.append(time.perf_counter() - begin)
    gc.collect()
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scaling.json")
    given = parser.parse_args()
    torch.set_num_threads(given.cores)
    results: dict[str, Any] = {}
    for name, changes in CHANGED.items():
        results[name] = [[next(iter(change.values())), seconds(START | change, given.repeats)] for change in changes]
        print(name, " ".join(f"{value}: {taken:.2f} s" for value, taken in results[name]), flush=True)
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
