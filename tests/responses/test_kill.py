"""SIGKILL at random moments while a real model samples: the files come out as if nothing had happened."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixpo.files import RunFiles
from mixpo.records import DropReason, Question

KILLS = {"all": 20, "balanced": 6}
# Forked from one process that holds the model: new interpreters would mostly be killed while they import and load.
PROGRAM = """
import os, random, shutil, signal, sys, time
import torch
from mixpo.files import RunFiles
from mixpo.records import Outcome
from mixpo.responses import sample
from mixpo.responses.backends.make import make_backend
from mixpo.responses.balance import Balance

torch.set_num_threads(1)
root, model, kills, rule = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
balance = Balance(correct=1, incorrect=1, round=2) if rule == "balanced" else None
config = sample.Config(
    model=model, n=4, max_new_tokens=6, temperature=2.0, top_k=0, block=8, stop_when_balanced=balance
)
backend = make_backend(config.backend, model)

def judge(question, response):
    return Outcome.CORRECT if len(response.text) % 2 else Outcome.INCORRECT

def attempt(run):
    if (pid := os.fork()) == 0:
        try:
            sample.sample_into(config, RunFiles(f"{root}/{run}"), lambda: backend, judge)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return pid

started = time.monotonic()
assert os.waitpid(attempt("whole"), 0)[1] == 0
duration = time.monotonic() - started
random.seed(0)
killed = finished = 0
shutil.copytree(f"{root}/empty", f"{root}/killed-0")
while killed < kills:
    pid = attempt(f"killed-{finished}")
    time.sleep(random.uniform(0, 0.6) * duration)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), status
    killed += status == signal.SIGKILL
    if status == 0:  # it had got to the end: the other kills hit a new run
        finished += 1
        shutil.copytree(f"{root}/empty", f"{root}/killed-{finished}")
assert os.waitpid(attempt(f"killed-{finished}"), 0)[1] == 0
print(killed, finished + 1)
"""


def make_run(root: Path) -> None:
    """Six questions with pictures, one of them missing."""
    files = RunFiles(root)
    files.pictures("questions").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        if number != 4:
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(files.pictures("questions") / f"{number}.png")
    files.questions("questions").append(
        Question(id=f"s-{n}", text=f"How many, {n}?", images=(f"s/{n}.png",), answer="3") for n in range(6)
    )
    files.image_roots_file("questions").write_text('{"s": "images"}')


def written(root: Path) -> dict[str, bytes]:
    folders = [root / "responses", root / "dropped"]
    return {str(p.relative_to(root)): p.read_bytes() for folder in folders for p in folder.rglob("*.jsonl")}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rule", KILLS)
def test_killed_runs_end_in_the_same_files(internvl, tmp_path, rule):
    """Twenty kills; a run that gets to its end between two of them is followed by a new one. Bytes are compared as
    they stand: even the order of the records is that of an uninterrupted run."""
    for part in internvl:
        part.save_pretrained(tmp_path / "model")
    for run in ("whole", "empty"):
        make_run(tmp_path / run)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path), str(tmp_path / "model"), str(KILLS[rule]), rule],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    killed, runs = map(int, done.stdout.split())
    assert killed == KILLS[rule]
    for number in range(runs):
        assert written(tmp_path / f"killed-{number}") == written(tmp_path / "whole")
    files = RunFiles(tmp_path / "whole")
    reasons = {record.id: record.reason for record in files.dropped("sample")}
    assert reasons.pop("s-4") is DropReason.BAD_IMAGE
    if rule == "all":
        assert len(files.responses("sample").ids()) == 20
        assert not reasons
    else:
        assert reasons, "some questions were balanced early"
        assert set(reasons.values()) == {DropReason.BALANCED}
        saved = sum(record.count for record in files.dropped("sample") if record.reason is DropReason.BALANCED)
        assert len(files.responses("sample").ids()) == 20 - saved
