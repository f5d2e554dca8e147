"""The whole pipeline, killed with SIGKILL at ten random moments and run again each time."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

RECIPE = {
    "seed": 3,
    "steps": {
        "questions": {
            "sources": {
                "scenes": {"loader": "scenes", "count": 24},
                "pictures": {"loader": "scenes", "count": 6, "describe": True},
            }
        },
        "sample": {"n": 4, "style": "cot", "temperature": 1.0, "max_new_tokens": 100, "block": 32},
        "verify": {},
        "dropout": {},
        "pair": {"continuations": "dropout"},
        "train": {"batch": 4, "micro_batch": 2, "save_steps": 2, "learning_rate": 1e-4},
        "evaluate": {
            "models": {"base": "base", "mpo": "step:train"},
            "benchmarks": {"test": {"loader": "scenes", "split": "test", "count": 8}},
            "max_new_tokens": 100,
            "block": 8,
        },
        "report": {},
    },
}
SKIPPED = ("timings", "report.html", "log.jsonl", "trainer_state.json", "recipe.yaml", "models")


def start(recipe, folder):
    command = [sys.executable, "-c", "from mixpo.cli import main; main()", "run", str(recipe), f"run={folder}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


def finish(process):
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def contents(folder):
    """Digest of every file of a run but clock times and what contains the run's path."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not set(SKIPPED) & set(path.relative_to(folder).parts)
    ]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


@pytest.mark.timeout(1800)
def test_a_pipeline_killed_ten_times_ends_as_one_that_was_not(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    begin = time.monotonic()
    finish(start(recipe, tmp_path / "whole"))
    seconds = time.monotonic() - begin
    expected = contents(tmp_path / "whole")
    assert any(name.startswith("checkpoints/train/model/") for name in expected)
    rng = random.Random(0)
    killed = tmp_path / "killed"
    kills = 0
    # Moments of a whole run, however fast the machine; what was done before its moment is looked at and begun anew.
    while kills < 10:
        new, begin = not killed.exists(), time.monotonic()
        process = start(recipe, killed)
        try:
            process.communicate(timeout=rng.uniform(0.3, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        finish(process)
        if new:  # what slowed the first run down may be gone
            seconds = min(seconds, time.monotonic() - begin)
        assert contents(killed) == expected
        shutil.rmtree(killed)
    finish(start(recipe, killed))
    assert contents(killed) == expected
