"""Time and peak memory of sampling and pairing against the number of rows: one should grow in step, the other not.

    python benchmarks/pair.py [--questions 100000] [--folder DIR]

A quarter, half and all of the questions, 10 responses each: 1,000,000 responses and verdicts at the default size. The
backend is scripted (a text in place of a model), so what is measured is mixpo's own work: requests, records, blocks,
files. Each measurement is a process of its own; memory is the peak of its resident set (`ru_maxrss`). `again` is the
rerun of a finished sampling: it finds out that nothing is missing. Run it on an idle machine with 5 GB of free disk.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mixpo.files import RunFiles
from mixpo.pairs import build
from mixpo.records import AnswerKind, Outcome, Question, Verdict
from mixpo.responses import sample
from mixpo.responses.backend import Request
from mixpo.responses.backends.scripted import ScriptedBackend

RESULTS = Path(__file__).parent / "results"
N = 10
OUTCOMES = (Outcome.CORRECT, Outcome.INCORRECT, Outcome.UNPARSED)
WEIGHTS = (45, 45, 10)
CHAIN = "The picture shows {a} red circles and {b} blue squares. {b} minus {a} is what is asked. Final answer: {c}"


def ask(files: RunFiles, count: int) -> None:
    """Questions as a data set gives them, with some state of their own."""
    files.questions("questions").append(
        Question(
            id=f"q-{number}", text=f"How many more blue squares than red circles, {number}?", answer=str(number % 9),
            kind=AnswerKind.INTEGER, meta={"steps": 2, "cells": [number % 7] * 16},
        )
        for number in range(count)
    )  # fmt: skip


def answer(request: Request, number: int) -> str:
    rng = random.Random(f"{request.id}/{number}")
    return CHAIN.format(a=rng.randint(1, 99), b=rng.randint(1, 99), c=rng.randint(0, 9)) + f" ({number})"


def do_sample(files: RunFiles) -> None:
    sample.sample_into(sample.Config(n=N), files, lambda: ScriptedBackend(answer))


def judge(files: RunFiles) -> None:
    """Verdicts at random, as many as there are responses."""
    rng = random.Random(0)

    def verdicts() -> Iterator[Verdict]:
        for response in files.responses("sample"):
            outcome = rng.choices(OUTCOMES, WEIGHTS)[0]
            yield Verdict(
                id=response.id, question_id=response.question_id, outcome=outcome, extracted="3", rule="marker"
            )

    files.verdicts("verify").append(verdicts())


STEPS = {
    "sample": do_sample,
    "again": do_sample,
    "judge": judge,
    "pair": lambda files: build.run(build.Config(), files),
}


def measured(step: str, folder: Path) -> dict[str, float]:
    """Seconds and peak memory (MiB) of one step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def in_this_process(step: str, folder: Path) -> None:
    started = time.perf_counter()
    STEPS[step](RunFiles(folder))
    seconds, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": round(seconds, 2), "peak_mib": round(peak)}))


def main() -> None:
    """Prints a line per size and step, and writes them to benchmarks/results/pair.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the runs are written (and left); else a temporary folder")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        in_this_process(options.step, options.folder)
        return
    rows = []
    print(f"{'questions':>10}{'step':>8}{'seconds':>10}{'µs a row':>10}{'peak MiB':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        for share in (4, 2, 1):
            count = options.questions // share
            files = RunFiles((options.folder or Path(temporary)) / str(count))
            ask(files, count)
            for step in STEPS:
                row = {"questions": count, "rows": count * N, "step": step, **measured(step, files.root)}
                rows.append(row)
                each = 1e6 * row["seconds"] / row["rows"]
                print(f"{count:>10,}{step:>8}{row['seconds']:>10.1f}{each:>10.1f}{row['peak_mib']:>10}", flush=True)
    if options.questions >= 100_000:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "pair.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
