"""The whole pipeline, ended at ten points at which it writes (`kill`), and run again each time."""

import json
import os
import subprocess
import sys
from pathlib import Path
from signal import Signals

import pytest

from robustness import kill
from robustness.small_run import contents


def harness(*arguments, **environment):
    command = [sys.executable, "-m", "robustness.kill", *map(str, arguments)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    given = {**os.environ, "PYTHONPATH": paths, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=given, check=False)


@pytest.mark.skipif(bool(kill.missing()), reason=kill.missing())
@pytest.mark.timeout(1800)
def test_a_pipeline_ended_at_ten_points_ends_as_one_that_was_not(tmp_path):
    done = harness("--of", "small", "--points", 10, "--seed", 0, "--expected", tmp_path / "whole")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["small"]
    assert found["faults"] == []
    assert sum(found["kills"].values()) >= 10
    assert found["runs"] >= 1
    assert found["kills"].keys() == {each.name for each in kill.SIGNALS}
    assert any(name.startswith("checkpoints/train/model/") for name in contents(tmp_path / "whole"))


def test_what_a_killed_run_lacks_is_named(tmp_path):
    whole = {"a": "1", "b": "2"}
    assert kill.difference(whole, whole) == ""
    assert kill.difference(whole, {"b": "3", "c": "1"}) == "missing: a; too many: c; different: b"


def test_a_case_is_read_as_it_is_printed():
    case = [kill.Point("pairs/*.jsonl", 3, Signals.SIGINT), kill.Point("checkpoints/*", 1, Signals.SIGKILL)]
    assert kill.read_case(",".join(map(str, case))) == case
