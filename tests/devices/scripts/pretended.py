"""A training and a sampling on the CPU and on a pretended GPU, and what is refused there.

python pretended.py FOLDER
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch

import devices.on_null_gpu  # noqa: F401  (asserts that there is one)
from devices.pretend import Pretended, pretend
from gpu_checks.data import base, processor, requests, trainer
from mixpo.responses.backend import SamplingParams
from mixpo.responses.backends.embedded.transformers import TransformersBackend

LOGGED = ("loss", "grad_norm", "rewards/margins", "logps/chosen")
PARAMS = SamplingParams(temperature=1.0, top_k=50, top_p=0.95, max_new_tokens=40, logps=True)
# Pretended tensors know no inference mode; this turns off as much.
TransformersBackend.complete = torch.no_grad()(TransformersBackend.complete.__wrapped__)


def without_flex() -> Any:
    """The base model, which says of itself that it cannot do FlexAttention."""
    model = base()
    model.get_decoder()._supports_flex_attn = False
    return model


def train(cpu: bool, **given: Any) -> Any:
    made = trainer(
        sys.argv[1], without_flex(), use_cpu=cpu, max_steps=3, learning_rate=1e-3, optim="adamw_torch", **given
    )
    made.train()
    return made


def compared(**given: Any) -> dict[str, Any]:
    """What both log, and by how much their weights differ after three steps, relative to how far they moved."""
    here = train(True, **given)
    with pretend():
        there = train(False, **given)
    start = base().parameters()
    moved = differ = 0.0
    for before, mine, other in zip(start, here.model.parameters(), there.model.parameters(), strict=True):
        assert isinstance(other, Pretended)
        moved += (mine - before).square().sum().item()
        differ += (mine - other.inner).square().sum().item()
    lines = [[[line[key] for key in LOGGED] for line in one.state.log_history[:3]] for one in (here, there)]
    return {
        "here": lines[0], "there": lines[1], "weights": (differ / moved) ** 0.5,
        "layouts": [here.layout, there.layout],
        "attention": there.model.get_decoder().config._attn_implementation,
    }  # fmt: skip


def refused() -> dict[str, str]:
    """What is said where one tensor was left on the CPU, and of what a GPU takes: nothing."""
    said = {}
    ids = torch.zeros(1, 4, dtype=torch.long)
    with pretend():
        gpu, host, model = torch.ones(3, device="cuda"), torch.ones(3), base().to("cuda")
        mixtures: dict[str, Callable[[], Any]] = {
            "sum": lambda: gpu + host,
            "product": lambda: gpu @ host,
            "host indexed": lambda: host[gpu.long()],
            "tokens left": lambda: model(input_ids=ids),
            "number": lambda: gpu * host[0],
            "gpu indexed": lambda: gpu[ids],
            "copied": lambda: gpu.copy_(host),
        }
        for name, mixture in mixtures.items():
            try:
                mixture()
                said[name] = ""
            except RuntimeError as error:
                said[name] = str(error)
    return said


def sampled(model: Any) -> dict[tuple[str, int], Any]:
    backend = TransformersBackend(model, processor(), token_budget=4000)
    return {(one.request_id, one.sample): one for one in backend.complete(requests(4, 4), PARAMS)}


def samplings() -> dict[str, Any]:
    here = sampled(base())
    with pretend():
        there = sampled(base().to("cuda"))
    return {
        "completions": len(here),
        "equal": sum(here[key].token_ids == there[key].token_ids for key in here),
        "logps": max(abs(here[key].logp - there[key].logp) for key in here),
    }


torch.set_num_threads(1)
print(json.dumps({"float32": compared(), "bf16": compared(bf16=True), "refused": refused(), "sampled": samplings()}))
