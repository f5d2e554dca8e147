"""Seconds of an optimizer step of two checkouts, in turns in one run: is a change slower?

    python benchmarks/before_after.py BEFORE [AFTER] [--pairs 1 4] [--repeats 7] [--cores 2]

BEFORE and AFTER are folders of the project (AFTER: this one). Each has a process of its own with its own `src` and
`benchmarks` on the path and does what `train_step.py` times: collating, forward, backward, AdamW on the same rows.
Medians, their ratio, and whether losses and weights are the same bits.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def work(pairs: int, cores: int, folder: str, out: Any) -> None:
    """Makes a trainer, then for each line read does a step and answers with its seconds and its bits."""
    import time

    import torch

    from mmpr_shaped import make_model, make_processor, make_rows
    from train_step import ours, prepare, step

    torch.set_num_threads(cores)
    processor = make_processor()
    rows = make_rows(questions=1, pairs=pairs)
    trainer = ours(folder, rows, pairs, make_model(processor), processor)
    prepare(trainer)
    for _ in sys.stdin:
        begin = time.perf_counter()
        loss = step(trainer, rows)
        seconds = time.perf_counter() - begin
        digest = hashlib.blake2b(digest_size=8)
        for weight in trainer.model.parameters():
            digest.update(weight.detach().numpy().tobytes())
        print(json.dumps({"seconds": seconds, "loss": loss, "weights": digest.hexdigest()}), file=out, flush=True)


def started(checkout: Path, pairs: int, cores: int, folder: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", __file__, "--work", folder, "--pairs", str(pairs), "--cores", str(cores)]
    env = {**os.environ, "PYTHONPATH": f"{checkout.resolve() / 'src'}:{checkout.resolve() / 'benchmarks'}"}
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("step\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def compared(checkouts: dict[str, Path], pairs: int, repeats: int, cores: int) -> dict[str, Any]:
    """Medians by checkout, after one step of each that does not count."""
    with tempfile.TemporaryDirectory() as folder:
        processes = {name: started(path, pairs, cores, f"{folder}/{name}") for name, path in checkouts.items()}
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in processes}
        for _ in range(repeats + 1):
            for name, process in processes.items():
                answers[name].append(ask(process))
        for process in processes.values():
            process.communicate()
    medians = {name: statistics.median(one["seconds"] for one in given[1:]) for name, given in answers.items()}
    same = [all(before[key] == after[key] for key in ("loss", "weights")) for before, after in zip(*answers.values())]
    ratio = medians["after"] / medians["before"]
    return {"pairs": pairs, "medians": medians, "ratio": ratio, "same_bits": all(same)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, nargs="?")
    parser.add_argument("after", type=Path, nargs="?", default=HERE.parent)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 4], help="pairs a question")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        out, sys.stdout = sys.stdout, sys.stderr  # only answers go to the pipe
        work(given.pairs[0], given.cores, given.work, out)
        return
    for pairs in given.pairs:
        found = compared({"before": given.before, "after": given.after}, pairs, given.repeats, given.cores)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
