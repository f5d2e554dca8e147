"""SIGKILL at random moments while a real model samples: the files come out as if nothing had happened."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mixpo.files import RunFiles
from mixpo.records import Question

KILLS = 5
# Forked from one process that has imported everything: new interpreters would mostly be killed in their imports.
PROGRAM = """
import os, random, signal, sys, time
import torch
from mixpo.files import RunFiles
from mixpo.responses import sample
from mixpo.responses.backends import transformers

torch.set_num_threads(1)
root, model, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = sample.Config(model=model, n=3, max_new_tokens=24, temperature=2.0, top_k=0, block=9)

def attempt(run):
    if (pid := os.fork()) == 0:
        try:
            sample.run(config, RunFiles(f"{root}/{run}"))
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return pid

started = time.monotonic()
assert os.waitpid(attempt("whole"), 0)[1] == 0
duration = time.monotonic() - started
random.seed(0)
killed = 0
for _ in range(kills):
    pid = attempt("killed")
    time.sleep(random.uniform(0.2, 0.9) * duration)
    os.kill(pid, signal.SIGKILL)
    killed += os.waitpid(pid, 0)[1] == signal.SIGKILL
assert os.waitpid(attempt("killed"), 0)[1] == 0
print(killed)
"""


def make_run(root: Path) -> None:
    """Ten questions with pictures, one of them missing."""
    files = RunFiles(root)
    files.pictures("questions").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(10):
        if number != 4:
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(files.pictures("questions") / f"{number}.png")
    files.questions("questions").append(
        Question(id=f"s-{n}", text=f"How many, {n}?", images=(f"s/{n}.png",), answer="3") for n in range(10)
    )
    files.image_roots_file("questions").write_text('{"s": "images"}')


def written(root: Path) -> dict[str, bytes]:
    folders = [root / "responses", root / "dropped"]
    return {str(p.relative_to(root)): p.read_bytes() for folder in folders for p in folder.rglob("*.jsonl")}


def test_killed_runs_end_in_the_same_files(internvl, tmp_path):
    for part in internvl:
        part.save_pretrained(tmp_path / "model")
    for run in ("whole", "killed"):
        make_run(tmp_path / run)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path), str(tmp_path / "model"), str(KILLS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) >= 1
    assert written(tmp_path / "killed") == written(tmp_path / "whole")
    files = RunFiles(tmp_path / "whole")
    assert len(files.responses("sample").ids()) == 27
    assert [record.id for record in files.dropped("sample")] == ["s-4"]
