"""On a real GPU: the checks of `benchmarks/gpu.py` that know what must come out. And how any of them is run."""

import json
import sys

import pytest
import torch

import gpu
from gpu_checks.run import CHECKS, Check, Worker

KNOWN = (
    "log-probabilities", "layouts and attentions", "first loss", "sampler", "FSDP2 on one rank", "compilations",
    "waits", "resume", "weights move",
)  # fmt: skip


@pytest.fixture(scope="session")
def real_gpu():
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    if torch.cuda.get_device_name(0).startswith("null"):
        pytest.skip("this GPU computes nothing")


@pytest.mark.gpu
@pytest.mark.parametrize("name", KNOWN)
def test_on_a_gpu(real_gpu, name):
    (check,) = [check for check in CHECKS if check.name == name]
    rows = list(Worker(rehearse=False).run(check, limit=300))
    assert [str(row) for row in rows if not row.holds] == []
    assert rows


def test_a_check_that_fails_or_hangs_is_told(capsys):
    for check, limit, reason in (
        (Check("no such", "exactness:no_such", 1), 300, "AttributeError: module 'gpu_checks.exactness' has no"),
        (CHECKS[0], 0, "stopped after 0 s"),
    ):
        (row,) = Worker(rehearse=True).run(check, limit)
        assert row.holds is False
        assert row.values["reason"].startswith(reason)


def test_what_is_found_is_written(tmp_path, monkeypatch, capsys):
    out = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--rehearse", "--only", "log-prob", "--out", str(out)])
    assert gpu.main() == 0
    (check,) = json.loads(out.read_text())["checks"]
    assert [row["name"] for row in check["rows"]] == ["float32", "bfloat16"]
    assert "| log-probabilities | bfloat16 | logps" in out.with_suffix(".md").read_text()


def test_checks_for_which_no_time_is_left_are_named(tmp_path, monkeypatch, capsys):
    out = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--minutes", "0", "--only", "waits", "--out", str(out)])
    gpu.main()
    assert "waits: not run, 0 s were left, it takes about 10" in capsys.readouterr().out
    assert json.loads(out.read_text())["checks"][0]["not run"]
