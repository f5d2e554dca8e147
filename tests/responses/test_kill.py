"""SIGKILL at random moments while a real model samples: the files come out as if nothing had happened."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mixpo.files import RunFiles
from mixpo.records import DropReason, Question

KILLS = {"all": 20, "balanced": 6}
# Forked from one process that holds the model: new interpreters would mostly be killed while they import and load.
PROGRAM = '''
import json, os, random, shutil, signal, sys, time
from dataclasses import replace
import torch
from mixpo.files import RunFiles
from mixpo.records import Outcome
from mixpo.responses import sample
from mixpo.responses.backends.make import make_backend
from mixpo.responses.balance import Balance

torch.set_num_threads(1)
root, model, kills = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
config = sample.Config(model=model, n=4, max_new_tokens=6, temperature=2.0, top_k=0, block=8)
backend = make_backend(config.backend, model)

def judge(question, response):
    return Outcome.CORRECT if len(response.text) % 2 else Outcome.INCORRECT

def attempt(folder, config):
    if (pid := os.fork()) == 0:
        try:
            sample.sample_into(config, RunFiles(folder), lambda: backend, judge)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return pid

def torment(folder, config, kills):
    """Runs in `folder`; every run that gets to its end between two kills is followed by a new one."""
    shutil.copytree(f"{root}/empty", f"{folder}/whole")
    started = time.monotonic()
    assert os.waitpid(attempt(f"{folder}/whole", config), 0)[1] == 0
    duration = time.monotonic() - started
    killed = finished = 0
    shutil.copytree(f"{root}/empty", f"{folder}/killed-0")
    while killed < kills:
        pid = attempt(f"{folder}/killed-{finished}", config)
        time.sleep(random.uniform(0, 0.6) * duration)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        assert status in (0, signal.SIGKILL), status
        killed += status == signal.SIGKILL
        if status == 0:
            finished += 1
            shutil.copytree(f"{root}/empty", f"{folder}/killed-{finished}")
    assert os.waitpid(attempt(f"{folder}/killed-{finished}", config), 0)[1] == 0
    return killed

random.seed(0)
balanced = replace(config, stop_when_balanced=Balance(correct=1, incorrect=1, round=2))
rules = {"all": config, "balanced": balanced}
print(json.dumps({rule: torment(f"{root}/{rule}", rules[rule], kills[rule]) for rule in rules}))
'''


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


def test_killed_runs_end_in_the_same_files(internvl, tmp_path):
    """Twenty kills, and some of adaptive sampling. Bytes are compared as they stand: even the order of the records is
    that of an uninterrupted run."""
    for part in internvl:
        part.save_pretrained(tmp_path / "model")
    make_run(tmp_path / "empty")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path), str(tmp_path / "model"), json.dumps(KILLS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == KILLS
    for rule in KILLS:
        for folder in (tmp_path / rule).glob("killed-*"):
            assert written(folder) == written(tmp_path / rule / "whole")
    everything, some = (RunFiles(tmp_path / rule / "whole") for rule in KILLS)
    assert len(everything.responses("sample").ids()) == 20
    assert [(record.id, record.reason) for record in everything.dropped("sample")] == [("s-4", DropReason.BAD_IMAGE)]
    saved = [record.count for record in some.dropped("sample") if record.reason is DropReason.BALANCED]
    assert saved, "some questions were balanced early"
    assert len(some.responses("sample").ids()) == 20 - sum(saved)
