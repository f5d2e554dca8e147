"""`mixpo sample` and `mixpo dropout` through real servers, and through vLLM's engine, with the base model and images.

`transformers serve` needs `pip install 'transformers[serving]'`. For vLLM, MIXPO_VLLM_PYTHON names the Python of an
environment that has it (and what mixpo needs).
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from mixpo.files import BASE_MODEL, RunFiles
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe
from mixpo.records import FinishReason

TRANSFORMERS = "from transformers.cli.transformers import main; main()"
VLLM_OPTIONS = [
    "--served-model-name", "tiny", "--enforce-eager", "--gpu-memory-utilization", "0.2", "--dtype", "float32",
    "--max-model-len", "1024", "--max-num-seqs", "8", "--limit-mm-per-prompt", '{"image": 1, "video": 0}',
]  # fmt: skip
QUESTIONS = {
    "sources": {
        "scenes": {"loader": "scenes", "count": 2},
        "open": {"loader": "scenes", "count": 1, "describe": True},
    }
}


@contextmanager
def served(command, patience: float):
    """Starts a server on a free port (`PORT` in the command); gives its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    process = subprocess.Popen(
        [part.replace("PORT", str(port)) for part in command], env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + patience
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1)
                break
            except OSError:
                assert process.poll() is None, process.stderr.read().decode()[-2000:]
                assert time.monotonic() < deadline, "the server does not get ready"
                time.sleep(0.2)
        # What a server says is not read: a full pipe would stop it.
        process.stderr.close()
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait(30)


def run_steps(folder: Path, steps: dict) -> RunFiles:
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        yaml.safe_dump({"run": str(folder / "run"), "steps": {"questions": QUESTIONS, **steps}}, sort_keys=False)
    )
    return run_recipe(load_recipe(recipe))


def texts(files: RunFiles, section: str) -> dict[str, str]:
    assert not list(files.dropped(section))
    return {response.id: response.text for response in files.responses(section)}


def asked(**values) -> dict:
    return {"uses": "sample", "style": "cot", "max_new_tokens": 40, **values}


def test_transformers_serve(tmp_path, monkeypatch):
    """Greedy answers equal those of the embedded backend, so images and prompts arrive; drawn ones differ."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip("needs pip install 'transformers[serving]'")
    command = [sys.executable, "-c", TRANSFORMERS, "serve", str(BASE_MODEL), "--port", "PORT", "--device", "cpu"]
    with served([*command, "--host", "127.0.0.1"], 300) as url:
        backend = {"name": "openai_server", "server": {"base_url": url, "concurrency": 2}}
        files = run_steps(
            tmp_path,
            {
                "here": asked(n=1, temperature=0),
                "there": asked(n=1, temperature=0, backend=backend),
                "drawn": asked(n=3, temperature=3.0, which="open", backend={**backend, "canaries": False}),
            },
        )
    assert texts(files, "there") == texts(files, "here")
    assert len(texts(files, "here")) == 3
    assert len(set(texts(files, "drawn").values())) > 1
    here, there = (list(files.responses(name)) for name in ("here", "there"))
    assert [r.prompt_tokens for r in here] == [r.prompt_tokens for r in there]
    assert [r.token_ids for r in here] == [r.token_ids for r in there]
    assert {r.finish_reason for r in here} >= {FinishReason.STOP}
    assert [r.finish_reason for r in here] == [r.finish_reason for r in there]


def vllm_python() -> str:
    python = os.environ.get("MIXPO_VLLM_PYTHON", "")
    if not python:
        pytest.skip("needs vLLM: set MIXPO_VLLM_PYTHON to the Python of an environment that has it")
    return python


def test_vllm_server(tmp_path, monkeypatch):
    """n choices a request, log-probabilities, and DropoutNTP's prefixes without the image."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    command = [vllm_python(), "-m", "vllm.entrypoints.openai.api_server", "--model", str(BASE_MODEL)]
    with served([*command, "--host", "127.0.0.1", "--port", "PORT", *VLLM_OPTIONS], 600) as url:
        backend = {"name": "openai_server", "server": {"base_url": url, "concurrency": 2}}
        files = run_steps(
            tmp_path,
            {
                "here": asked(n=1, temperature=0, logps=True),
                "there": asked(n=1, temperature=0, logps=True, backend=backend),
                "drawn": asked(n=4, temperature=3.0, which="open", backend=backend),
                "dropout": {"responses": "drawn", "backend": backend, "temperature": 0, "max_new_tokens": 60},
            },
        )
    check_against_embedded(files)


def test_vllm_engine(tmp_path):
    """The same in one process, that of vLLM's environment."""
    backend = {
        "name": "vllm",
        "dtype": "float32",
        "vllm": {"max_model_len": 1024, "max_num_seqs": 8, "gpu_memory_utilization": 0.2, "images": 1,
                 "extra": {"enforce_eager": True}},
    }  # fmt: skip
    python = vllm_python()
    recipe = tmp_path / "vllm.yaml"
    steps = {
        "questions": QUESTIONS,
        "there": asked(n=1, temperature=0, logps=True, backend=backend),
        "drawn": asked(n=4, temperature=3.0, which="open", backend=backend),
        "dropout": {"responses": "drawn", "backend": backend, "temperature": 0, "max_new_tokens": 60},
    }
    recipe.write_text(yaml.safe_dump({"run": str(tmp_path / "vllm"), "steps": steps}, sort_keys=False))
    source = str(Path(__file__).parents[4] / "src")
    environment = {**os.environ, "PYTHONPATH": source, "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}
    command = [python, "-c", "from mixpo.cli import main; main()", "run", str(recipe)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    files = run_steps(tmp_path, {"here": asked(n=1, temperature=0, logps=True)})
    other = RunFiles(tmp_path / "vllm")
    for name in ("there", "drawn"):
        files.responses(name).append(other.responses(name))
    files.continuations("dropout").append(other.continuations("dropout"))
    check_against_embedded(files)


def check_against_embedded(files: RunFiles) -> None:
    """Greedy answers and their log-probabilities are the embedded backend's; prefixes were continued."""
    assert texts(files, "there") == texts(files, "here")
    for here, there in zip(files.responses("here"), files.responses("there"), strict=True):
        assert there.logp == pytest.approx(here.logp, abs=0.05)
        assert (there.prompt_tokens, there.completion_tokens) == (here.prompt_tokens, here.completion_tokens)
    drawn = texts(files, "drawn")
    assert len(set(drawn.values())) > 1
    for continuation in files.continuations("dropout"):
        assert continuation.text.startswith(continuation.kept)
        assert drawn[continuation.response_id].startswith(continuation.kept)
