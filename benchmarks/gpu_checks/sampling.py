"""The embedded sampler on a GPU, and vLLM where it is installed."""

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image

from gpu_checks.data import base, processor, requests
from gpu_checks.run import Row, Setting
from gpu_checks.shapes import config, make
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mmpr_shaped import TILE, make_processor
from mmpr_shaped import make_model as make_small


def completions(setting: Setting) -> Iterator[Row]:
    """The GPU's completions in float32 beside the CPU's."""
    if setting.null:
        yield Row("not on a GPU that computes nothing", {})
        return
    params = SamplingParams(temperature=1.0, top_k=50, max_new_tokens=80, logps=True)
    asked = requests(2 if setting.rehearse else 8, 8)
    found = []
    for device in ("cpu", setting.device):
        backend = TransformersBackend(base().to(device), processor())
        found.append({(one.request_id, one.sample): one for one in backend.complete(asked, params)})
    cpu, gpu = found
    same = [key for key in cpu if cpu[key].token_ids == gpu[key].token_ids]
    differ = max((abs(cpu[key].logp - gpu[key].logp) for key in same), default=0.0)
    # Where two tokens are as likely as each other, rounding decides.
    holds = len(same) >= 0.95 * len(cpu) and differ < 1e-3
    yield Row("as the CPU's", {"completions": len(cpu), "equal": len(same), "logps differ by": differ}, holds)


def decode(setting: Setting, name: str) -> Iterator[Row]:
    """Milliseconds of a token step, 64 responses at once, beside the time to read the weights once."""
    if setting.null:
        yield Row("not on a GPU that computes nothing", {})
        return
    small = setting.rehearse
    made = make_processor()
    shape = config(name, made.tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), tiny=small)
    backend = TransformersBackend(make(shape, torch.float32 if small else torch.bfloat16, setting.device), made)
    backend.end_ids = frozenset({-1})  # no token ends a response: all are as long as they may be
    tiles, samples = (1, 4) if small else (8, 32)
    pictures = tuple(Image.effect_noise((TILE, TILE), 60 + n).convert("RGB") for n in range(tiles))
    asked = [Request(id=str(n), prompt="What?", images=pictures, samples=tuple(range(samples))) for n in range(2)]

    def seconds(tokens: int) -> float:
        params = SamplingParams(temperature=0.7, top_k=50, max_new_tokens=tokens)
        start = time.perf_counter()
        written = sum(one.completion_tokens for one in backend.complete(asked, params))
        assert written == 2 * samples * tokens, f"{written} tokens"
        return time.perf_counter() - start

    few, many = (2, 6) if small else (16, 144)
    seconds(few)
    short, long = seconds(few), seconds(many)
    step = (long - short) / (many - few)
    weights = sum(weight.numel() * weight.element_size() for weight in backend.model.parameters())
    found = {
        "responses": 2 * samples, "ms a token": 1e3 * step, "tokens a second": 2 * samples / step,
        "s to the first": short - (few - 1) * step, "ms to read the weights": 1e3 * weights / bandwidth(setting.device),
    }  # fmt: skip
    if setting.device == "cuda":
        found["GiB peak"] = torch.cuda.max_memory_allocated() / 2**30
    yield Row(name, found)


def bandwidth(device: str) -> float:
    """Bytes a second that are read while as many are written, both counted."""
    source = torch.zeros(2**30 if device == "cuda" else 2**24, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    wait()
    start = time.perf_counter()
    for _ in range(10):
        target.copy_(source)
    wait()
    return 20 * source.numel() / (time.perf_counter() - start)


def vllm(setting: Setting) -> Iterator[Row]:
    """A few completions of a small random model by vLLM's engine: greedy ones are the embedded backend's."""
    try:
        import vllm
    except ImportError:
        yield Row("not installed", {})
        return
    from mixpo.responses.backends.vllm import VLLMBackend, VLLMConfig

    made = make_processor()
    model = make_small(made).to(setting.device)
    asked = requests(4, 2)
    params = SamplingParams(temperature=0.0, max_new_tokens=16)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        made.save_pretrained(folder)
        own = _tokens(TransformersBackend(model, made), asked, params)
        settings = VLLMConfig(gpu_memory_utilization=0.3, max_model_len=2048)
        theirs = _tokens(VLLMBackend.load(folder, settings, dtype="float32", check=False), asked, params)
    same = sum(own[key] == theirs.get(key) for key in own)
    found = {"vllm": vllm.__version__, "completions": len(theirs), "equal": same}
    yield Row("greedy, as the embedded backend's", found, len(theirs) == len(own) and same >= 0.8 * len(own))


def _tokens(backend: Any, asked: list[Request], params: SamplingParams) -> dict[tuple[str, int], tuple[int, ...]]:
    return {(one.request_id, one.sample): one.token_ids for one in backend.complete(asked, params)}
