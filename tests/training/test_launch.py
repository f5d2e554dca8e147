"""`mixpo train` starts its processes itself: two on the processor (gloo), as one for each GPU."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import yaml

from fixtures.pairs_run import SMALL
from mixpo import devices
from mixpo.cli import main
from mixpo.devices import VARIABLE
from mixpo.errors import RecipeError, UserError
from mixpo.files import RunFiles
from mixpo.models.base_model import make_model
from mixpo.models.load import load_model
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe
from mixpo.training import launch, machine, train

TWO = ["cpu", "cpu"]
KEYS = {"loss", "loss/generation", "loss/quality", "rewards/margins", "grad_norm", "reward_shift"}
CONFIG = train.Config(batch=2, micro_batch=1, learning_rate=1e-3, warmup=0.0, save_steps=2)


def copied(files: RunFiles, root: Path) -> RunFiles:
    shutil.copytree(files.root, root)
    return RunFiles(root)


def log(files: RunFiles) -> list[dict]:
    lines = (files.checkpoints("train") / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if "loss/generation" in line]


def assert_same_losses(one: RunFiles, two: RunFiles) -> None:
    logs = log(one), log(two)
    assert [line["step"] for line in logs[0]] == [line["step"] for line in logs[1]]
    for left, right in zip(*logs, strict=True):
        for key in KEYS & left.keys():
            assert left[key] == pytest.approx(right[key], rel=1e-3, abs=1e-4), key


def test_two_processes_train_what_one_does(tmp_path, run_folder, capfd):
    """Three pairs, two a step; the lines and the model are there once, and only one process says something."""
    other = copied(run_folder, tmp_path / "other")
    launch.launched(CONFIG, run_folder, TWO)
    told = capfd.readouterr().err
    assert told.count("train: 3 pairs, 2 steps") == 1
    assert told.count("train: check") == 1
    assert "OMP_NUM_THREADS" not in told
    for noise in ("reducer.cpp", "Grad strides", "gemm_4bit"):
        assert noise not in told
    assert told.count("Loading weights: 100%") <= 1
    train.run(CONFIG, other)
    assert_same_losses(run_folder, other)
    load_model(str(run_folder.checkpoints("train") / "model"))
    # Another one starts nothing: it is trained already.
    before = signal.getsignal(signal.SIGINT)
    launch.run(CONFIG, run_folder)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_users_mistake_in_a_process_is_its_sentence(run_folder, capfd):
    shutil.rmtree(run_folder.pairs("pair").folder)
    with pytest.raises(UserError, match="holds nothing to train on"):
        launch.launched(CONFIG, run_folder, TWO)
    assert "Traceback" not in capfd.readouterr().err


def test_a_fault_keeps_its_traceback(run_folder):
    broken = replace(CONFIG)
    object.__setattr__(broken, "max_completion_length", "long")  # no recipe can say that
    with pytest.raises(RuntimeError, match="(?s)of the training failed:\nTraceback.*train.py.*TypeError"):
        launch.launched(broken, run_folder, TWO)


def in_two(recipe: Path, files: RunFiles) -> list[str]:
    return [sys.executable, "-m", "mixpo", "run", str(recipe), f"run={files.root}", "--processes", "2"]


def children(parent: int) -> list[int]:
    """Those that train: not the one that multiprocessing keeps beside them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and b"spawn_main" in command:
            found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, processor):
    """A recipe, and its run in one process."""
    tmp_path = tmp_path_factory.mktemp("uninterrupted")
    for part in (make_model(processor.tokenizer, seed=0, shape=SMALL), processor):
        part.save_pretrained(tmp_path / "model")
    steps = {
        "questions": {"sources": {"scenes": {"loader": "scenes", "count": 4}}},
        "demonstrations": {},
        "train": {
            "demonstrations": "demonstrations", "batch": 2, "micro_batch": 1, "warmup": 0.0, "epochs": 5.0,
            "learning_rate": 1e-4, "save_steps": 2,
        },
    }  # fmt: skip
    recipe = tmp_path / "r.yaml"
    content = {"model": str(tmp_path / "model"), "steps": steps}
    recipe.write_text(yaml.safe_dump(content, sort_keys=False))
    whole = RunFiles(tmp_path / "whole")
    run_recipe(load_recipe(recipe, [f"run={whole.root}"]))
    return recipe, whole


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", ["kill", "interrupt", "interrupt at once", "terminate", "kill a process"])
def test_stopped_and_gone_on_with_in_one_process(tmp_path, uninterrupted, how):
    """No process is left, a sentence and no traceback; the losses are those of a training that was not stopped."""
    recipe, whole = uninterrupted
    broken = RunFiles(tmp_path / "broken")
    (left := tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        in_two(recipe, broken), stderr=subprocess.PIPE, start_new_session=True, env={**os.environ, "TMPDIR": str(left)}
    )
    until = time.monotonic() + 300
    begun = broken.checkpoints("train") / "checkpoint-4"
    while (
        not (len(children(process.pid)) == 2 if how == "interrupt at once" else begun.exists())
        and process.poll() is None
        and time.monotonic() < until
    ):
        time.sleep(0.01)
    trained = children(process.pid)
    assert len(trained) == 2, process.communicate()
    if how == "kill a process":
        os.kill(trained[1], signal.SIGKILL)
    elif how.startswith("interrupt"):
        time.sleep(1 if how == "interrupt at once" else 0)  # Python runs there by then, and imports
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    else:
        os.kill(process.pid, signal.SIGKILL if how == "kill" else signal.SIGTERM)
    _, errors = process.communicate()
    status = {"kill": -signal.SIGKILL, "kill a process": 2, "terminate": 143}.get(how, 130)
    assert process.returncode == status, errors
    assert b"Traceback" not in errors, errors.decode()
    assert b"Terminating process" not in errors, errors.decode()
    assert how == "kill" or b"leaked" not in errors, errors.decode()
    assert how == "kill" or not list(left.iterdir())
    if how == "kill a process":
        assert b"mixpo: train: process 1 of 2 died (exit status -9: killed, or out of memory)" in errors
    while any(Path(f"/proc/{pid}").exists() for pid in trained) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in trained)
    run_recipe(load_recipe(recipe, [f"run={broken.root}"]))
    assert_same_losses(broken, whole)
    assert len(log(whole)) == 10


def test_a_batch_that_the_gpus_cannot_share():
    config = train.Config(batch=24, micro_batch=2)
    assert [launch.most(config, devices) for devices in (1, 2, 5, 7, 8, 16)] == [1, 2, 4, 6, 6, 12]
    launch.check(config, 4)
    with pytest.raises(RecipeError, match=r"times --gpus \(8\), or use --gpus 6"):
        launch.check(config, 8)


def test_as_many_gpus_as_share_a_step_evenly(run_folder, monkeypatch, capsys):
    done = []
    monkeypatch.setattr(launch, "launched", lambda config, files, devices, fits: done.append(devices))
    monkeypatch.setattr(launch, "places", lambda on_processor: ["0", "1", "2"])
    launch.run(train.Config(batch=4, micro_batch=1), run_folder)
    assert "note: train runs on 2 of 3 GPUs: the 4 micro-batches of a step" in " ".join(capsys.readouterr().err.split())
    launch.run(train.Config(batch=6, micro_batch=1), run_folder)
    assert done == [["0", "1"], ["0", "1", "2"]]
    assert not capsys.readouterr().err
    monkeypatch.setattr(launch, "places", lambda on_processor: TWO)
    launch.run(train.Config(batch=2, micro_batch=2), run_folder)
    assert "note: train runs on 1 of 2 processes: the 1 micro-batches" in " ".join(capsys.readouterr().err.split())


def test_nothing_is_started_under_torchrun_or_for_the_processor(run_folder, monkeypatch):
    done = []
    monkeypatch.setattr(train, "run", lambda config, files, fits: done.append(config))
    monkeypatch.setattr(devices, "visible", lambda: ["0", "1", "2"])
    launch.run(train.Config(trainer={"use_cpu": True}), run_folder)
    monkeypatch.setenv("WORLD_SIZE", "2")
    launch.run(train.Config(), run_folder)
    assert len(done) == 2


def test_gpus_that_a_training_cannot_use_are_refused_before_anything_begins(tmp_path, monkeypatch, capsys):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"run: {tmp_path / 'run'}\nsteps:\n"
        "  questions: {sources: {a: {loader: scenes}}}\n  demonstrations: {}\n"
        "  train: {demonstrations: demonstrations, batch: 24, micro_batch: 2}\n"
    )
    monkeypatch.setattr("mixpo.devices.visible", lambda: list("01234567"))
    monkeypatch.setattr("sys.argv", ["mixpo", "run", str(recipe), "--gpus", "8"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert (
        "r.yaml:5: steps.train.batch: batch (24) must be a multiple of micro_batch (2) times" in capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def test_one_of_several_gpus_begins_a_group_of_its_own(run_folder, monkeypatch, tmp_path):
    """Where CUDA had begun with all of them, or a step is a single micro-batch, with `shard`."""
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", VARIABLE):
        monkeypatch.setenv(name, "0" if "RANK" in name else "1")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setattr(machine, "on_accelerator", lambda given: True)
    monkeypatch.setattr(launch, "begin", lambda threads: None)
    monkeypatch.setattr(launch, "_tell", lambda *given: None)
    monkeypatch.setattr(launch, "show_warnings", lambda: None)
    sizes = []

    def run(config, *_):
        machine.begin_alone(config)
        torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=5))
        sizes.append(torch.distributed.get_world_size())

    monkeypatch.setattr(train, "run", run)
    before = signal.getsignal(signal.SIGINT)
    try:
        launch.process((replace(CONFIG, shard="zero2"), run_folder, None), ["0"], tmp_path / "told")
    finally:
        signal.signal(signal.SIGINT, before)
    assert sizes == [1]
    assert not torch.distributed.is_initialized()
