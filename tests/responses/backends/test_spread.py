"""A backend in two processes, on the processor: the same files as one writes, whatever ends in the middle."""

import gc
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from mixpo.errors import UserError
from mixpo.evaluation import evaluate
from mixpo.files import RunFiles
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe
from mixpo.records import Dropped, DropReason, Question
from mixpo.responses import sample
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends import make
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.make import load_backend
from mixpo.responses.backends.spread import SpreadBackend, Worker
from mixpo.responses.backends.vllm import VLLMConfig
from mixpo.responses.balance import Balance
from mixpo.verdicts.verify import outcome

TWO = ["cpu", "cpu"]
CONFIG = BackendConfig(canaries=False)
ALIVE = re.compile(rb"mixpo\.responses\.backends\.spread_worker")


@pytest.fixture(scope="module")
def model(internvl, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("model")
    for part in internvl:
        part.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def spread(model):
    backend = SpreadBackend(CONFIG, model, TWO)
    yield backend
    backend.close()


def make_run(root: Path, count: int = 12) -> RunFiles:
    """Questions with pictures; the fifth's is not there."""
    files = RunFiles(root)
    files.pictures("questions").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        if number != 4:
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(files.pictures("questions") / f"{number}.png")
    files.questions("questions").append(
        Question(id=f"s-{n}", text=f"How many, {n}?", images=(f"s/{n}.png",), answer=None if n == 1 else "3")
        for n in range(count)
    )
    files.image_roots_file("questions").write_text('{"s": "images"}')
    return files


def written(files: RunFiles, *folders: str) -> dict[str, bytes]:
    paths = [path for folder in folders or ("responses", "dropped") for path in (files.root / folder).rglob("*.jsonl")]
    return {str(path.relative_to(files.root)): path.read_bytes() for path in paths}


def config(model: str, **values) -> sample.Config:
    return sample.Config(model=model, n=4, max_new_tokens=12, temperature=2.0, top_k=0, block=16, **values)


@pytest.mark.parametrize("rule", [None, Balance(correct=1, incorrect=1, round=2)], ids=["all", "balanced"])
def test_two_processes_write_what_one_writes(model, spread, tmp_path, rule):
    runs = []
    for name, backend in (("one", load_backend(CONFIG, model)), ("two", spread)):
        runs.append(make_run(tmp_path / name))
        asked = config(model, stop_when_balanced=rule)
        sample.sample_into(asked, runs[-1], lambda backend=backend: backend, outcome)
    assert written(runs[0]) == written(runs[1])
    assert len(written(runs[0])) == 2


def test_no_worker_waits_at_the_end_of_a_block(model, spread, tmp_path, monkeypatch):
    """One stream of requests for all blocks of a section, each of which is committed as soon as it is whole."""
    streams = []
    complete = SpreadBackend.complete
    monkeypatch.setattr(SpreadBackend, "complete", lambda self, *given: streams.append(1) or complete(self, *given))
    files = make_run(tmp_path)
    sizes = set()
    append = files.responses("sample").__class__.append
    monkeypatch.setattr(
        files.responses("sample").__class__,
        "append",
        lambda self, records: sizes.add(len(kept := list(records))) or append(self, kept),
    )
    sample.sample_into(config(model), files, lambda: spread)
    assert len(streams) == 1
    assert len(files.responses("sample").ids()) == 44
    assert max(sizes) == 16  # four questions


def test_both_have_work_and_continuations_are_the_same(model, spread, tmp_path):
    one = load_backend(CONFIG, model)
    requests = [
        Request(id=str(n), prompt=f"How many, {n}?", samples=(0, 1), prefix_token_ids=(n + 20,)) for n in range(9)
    ]
    params = SamplingParams(max_new_tokens=8, temperature=2.0)
    had: set[int] = set()

    def noted(completions):
        for completion in completions:
            had.update(worker.process.pid for worker in spread.workers if worker.at_work)
            yield completion

    def key(completion):
        return completion.request_id, completion.sample

    two = sorted(noted(spread.complete(requests, params)), key=key)
    assert two == sorted(one.complete(requests, params), key=key)
    assert len(had) == 2
    assert spread.decode(two[0].token_ids) == one.decode(two[0].token_ids)


def test_a_prompt_too_long_is_dropped_and_the_others_are_answered(spread):
    requests = [Request(id="long", prompt="circle " * 5000), Request(id="short", prompt="circle")]
    results = list(spread.complete(requests, SamplingParams(max_new_tokens=2)))
    (dropped,) = [result for result in results if isinstance(result, Dropped)]
    assert (dropped.id, dropped.reason) == ("long", DropReason.PROMPT_TOO_LONG)
    assert len(results) == 2


def test_a_worker_killed_in_the_middle(model, tmp_path):
    """Its requests are given to the other, and nothing is missing or twice."""
    whole, broken = make_run(tmp_path / "whole"), make_run(tmp_path / "broken")
    asked = replace(config(model), max_new_tokens=60)
    sample.sample_into(asked, whole, lambda: load_backend(CONFIG, model))
    backend = SpreadBackend(CONFIG, model, TWO)
    victim = backend.workers[0]

    class Killing:
        def complete(self, requests, params):
            for result in backend.complete(requests, params):
                if victim.at_work and victim.process.poll() is None:
                    os.killpg(victim.process.pid, signal.SIGKILL)
                yield result

    sample.sample_into(asked, broken, Killing)
    assert len(backend.workers) == 1
    assert victim.process.poll() == -signal.SIGKILL
    assert written(broken) == written(whole)
    os.killpg(backend.workers[0].process.pid, signal.SIGKILL)
    with pytest.raises(UserError, match="exit status -9: killed, or out of memory.*none is left"):
        list(backend.complete([Request(id="a", prompt="circle")], SamplingParams(max_new_tokens=2)))
    # They begin anew for whoever goes on.
    assert len(list(backend.complete([Request(id="a", prompt="circle")], SamplingParams(max_new_tokens=2)))) == 1
    backend.close()
    assert not backend.workers


def test_what_a_process_refuses_is_its_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        SpreadBackend(CONFIG, str(tmp_path), TWO)


def test_a_process_that_cannot_be_started_is_a_sentence(model, monkeypatch):
    """No memory, no more open files: the one that has begun ends."""
    begun = []
    start = Worker.start

    def failing(*given):
        if begun:
            raise OSError(24, "Too many open files")
        begun.append(start(*given))
        return begun[0]

    monkeypatch.setattr(Worker, "start", failing)
    with pytest.raises(UserError, match=r"only 1 of 2 processes can be started: .*Too many open files"):
        SpreadBackend(CONFIG, model, TWO)
    assert begun[0].process.poll() is not None


def workers_of(parent: int) -> set[int]:
    """Of a process that is still there, or of one that was."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, status = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
        except OSError:
            continue
        fields = status.rpartition(")")[2].split()
        if ALIVE.search(command) and int(fields[1]) == parent and fields[0] != "Z":
            found.add(int(folder.name))
    return found


MANY = 60
"""Questions: so many that a run of them is not over before it is killed."""


def command(processes: int, *words) -> list[str]:
    return [sys.executable, "-m", "mixpo", *map(str, words), "--processes", str(processes)]


def write_recipe(path: Path, model: str, steps: dict) -> Path:
    path.write_text(yaml.safe_dump({"run": "run", "model": model, "steps": steps}, sort_keys=False))
    return path


def in_this_process(recipe: Path, run: RunFiles) -> RunFiles:
    return run_recipe(load_recipe(recipe, [f"run={run.root}"]))


@pytest.fixture(scope="module")
def drawn(model, tmp_path_factory):
    """A recipe that samples, and its run in one process."""
    folder = tmp_path_factory.mktemp("drawn")
    drawn = {"n": 4, "max_new_tokens": 60, "temperature": 2.0, "top_k": 0, "block": 16}
    steps = {"questions": {"sources": {"scenes": {"loader": "scenes", "count": MANY}}}, "sample": drawn}
    recipe = write_recipe(folder / "r.yaml", model, steps)
    return recipe, in_this_process(recipe, RunFiles(folder / "whole"))


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_resumed_with_another_number(drawn, tmp_path, how):
    """No worker is left, and the run comes out as if it had been one process from the start."""
    recipe, whole = drawn
    run = RunFiles(tmp_path / "run")
    process = subprocess.Popen(command(2, "run", recipe, f"run={run.root}"), stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    workers: set[int] = set()
    begun = lambda: any(path.stat().st_size for path in run.responses("sample").paths())  # noqa: E731
    while not (begun() and len(workers) == 2) and time.monotonic() < until:
        workers = workers_of(process.pid)
        time.sleep(0.01)
    assert len(workers) == 2
    process.send_signal(how)
    _, errors = process.communicate()
    assert process.returncode == (130 if how == signal.SIGINT else -how), errors
    assert b"Traceback" not in errors
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert 0 < len(run.responses("sample").ids()) < MANY * 4
    if how == signal.SIGKILL:
        in_this_process(recipe, run)
    else:
        subprocess.run(command(3, "run", recipe, f"run={run.root}"), check=True)
    assert written(run) == written(whole)


def test_every_step_that_lets_a_model_write(tmp_path):
    """Sampling, continuations, an evaluation and best of n with the base model: the files are those of one process.

    Without log-probabilities, whose last digits depend on the batch.
    """
    scenes = {"loader": "scenes", "split": "test", "count": 6}
    steps = {
        "questions": {"sources": {"pictures": {"loader": "scenes", "count": 6, "describe": True}}},
        "sample": {"n": 2, "max_new_tokens": 100},
        "dropout": {"per_question": 2},
        "evaluate": {"models": {"a": "base"}, "benchmarks": {"test": scenes}, "max_new_tokens": 60},
        "best_of": {"benchmark": scenes, "n": 2, "max_new_tokens": 60, "by": ["majority", "any"]},
    }
    recipe = write_recipe(tmp_path / "r.yaml", "base", steps)
    in_this_process(recipe, RunFiles(tmp_path / "one"))
    subprocess.run(command(2, "run", recipe, f"run={tmp_path / 'two'}"), check=True)
    folders = ("responses", "dropped", "continuations", "evaluation")
    one, two = (written(RunFiles(tmp_path / name), *folders) for name in ("one", "two"))
    assert one == two
    assert any(name.startswith("continuations/") for name in one)
    assert sum(name.startswith("evaluation/") and "/responses/" in name for name in one) == 3


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ({}, ["0", "1", "2", "3", "4"]),
        ({"device": "cuda:1"}, []),
        ({"device": "cpu"}, []),
        ({"name": "vllm"}, ["0", "1", "2", "3", "4"]),
        ({"name": "vllm", "vllm": VLLMConfig(tensor_parallel_size=2)}, ["0,1", "2,3"]),
        ({"name": "vllm", "vllm": VLLMConfig(extra={"pipeline_parallel_size": 4})}, ["0,1,2,3"]),
        ({"name": "scripted", "script": "answers.jsonl"}, []),
    ],
)
def test_which_gpus_each_process_gets(monkeypatch, values, groups):
    """Servers and scripts have none, and a device that was named is heeded; vLLM: tensor x data parallel."""
    monkeypatch.setattr("mixpo.devices.visible", lambda: ["0", "1", "2", "3", "4"])
    monkeypatch.setattr(make, "visible", lambda: ["0", "1", "2", "3", "4"])
    assert make._groups(BackendConfig(**values)) == groups


def test_the_processes_of_a_model_end_before_those_of_the_next_begin(model, tmp_path, monkeypatch):
    """Both would not fit on a GPU; nobody waits for the garbage collector."""
    monkeypatch.setattr(make, "places", lambda on_processor: list(TWO))
    begun, alive = [], []
    start = Worker.start

    def noted(*given):
        alive.append(sum(process.poll() is None for process in begun))
        worker = start(*given)
        begun.append(worker.process)
        return worker

    monkeypatch.setattr(Worker, "start", noted)
    gc.disable()
    try:
        files = make_run(tmp_path)
        sample.run(config(model, backend=CONFIG), files)
        models, scenes = {"a": model, "b": model}, {"test": {"loader": "scenes", "split": "test", "count": 2}}
        evaluate.run(evaluate.Config(models=models, benchmarks=scenes, backend=CONFIG, max_new_tokens=4), files)
        assert all(process.poll() is not None for process in begun)
    finally:
        gc.enable()
    assert alive == [0, 1] * 3
