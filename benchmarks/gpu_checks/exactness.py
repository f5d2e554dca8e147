"""Whether a GPU computes what it must: against float64 on the same GPU, and against the layout without sharing."""

import tempfile
from collections.abc import Iterator
from typing import Any

import torch

from gpu_checks.data import base, trainer
from gpu_checks.run import Row, Setting
from mixpo.models.attention import NAME as BY_PARTS
from mixpo.models.attention import OWN_FLEX
from mixpo.models.head import Head
from mixpo.models.logprobs import completion_logps

FLOAT32 = {"loss": 1e-5, "logps": 1e-5, "gradient": 1e-4}
"""Largest relative differences to float64."""
BF16 = {"loss": 1e-2, "logps": 1e-2, "gradient": 0.15}


def versions(setting: Setting) -> Iterator[Row]:
    import transformers

    found = {"torch": torch.__version__, "transformers": transformers.__version__}
    if setting.device == "cuda":
        import triton

        properties = torch.cuda.get_device_properties(0)
        found |= {"triton": triton.__version__, "GPU": properties.name, "GiB": properties.total_memory / 2**30}
    yield Row("here", found)


def log_probabilities(setting: Setting) -> Iterator[Row]:
    """The chunked head at InternVL3-1B's width and vocabulary: bf16 operands, sums in float32."""
    tokens, width, vocabulary = (60, 64, 500) if setting.rehearse else (3000, 896, 151_674)
    torch.manual_seed(0)
    for dtype, bound in ((torch.float32, 1e-6), (torch.bfloat16, 1e-3)):
        head = torch.nn.Linear(width, vocabulary, bias=False, device=setting.device, dtype=dtype)
        hidden = torch.randn(tokens, width, device=setting.device, dtype=dtype, requires_grad=True)
        targets = torch.randint(0, vocabulary, (tokens,), device=setting.device)
        segments = torch.arange(10, device=setting.device).repeat_interleave(tokens // 10)
        found = completion_logps(hidden, targets, segments, 10, Head(head), 1024)
        found.sum().backward()
        exact = [value.detach().double().requires_grad_() for value in (hidden, head.weight)]
        sums = []
        for part in range(10):  # all at once they are 3.6 GB
            rows = slice(part * tokens // 10, (part + 1) * tokens // 10)
            logps = (exact[0][rows] @ exact[1].t()).log_softmax(-1).gather(1, targets[rows, None]).sum()
            logps.backward()
            sums.append(logps.detach())
        differences = {
            "logps": relative(found, torch.stack(sums)),
            "gradient of states": relative(hidden.grad, exact[0].grad),
            "of weights": relative(head.weight.grad, exact[1].grad),
        }
        # The gradient itself is rounded to bf16: 1 in 256.
        bounds = (bound, max(10 * bound, 1e-5), max(10 * bound, 1e-5))
        yield Row(str(dtype)[6:], differences, _within(differences, bounds))


def relative(one: Any, other: Any) -> float:
    """|one - other| / |other|"""
    return ((one.double() - other).norm() / other.norm()).item()


def layouts(setting: Setting) -> Iterator[Row]:
    """One step of the base model in all layouts, attentions and precisions: loss, log-probabilities, gradient."""
    exact = one_step("paired", "eager", dtype=torch.float64, use_cpu=setting.device == "cpu")
    flex = [OWN_FLEX] if setting.device == "cuda" else []  # has no backward on a CPU
    for bf16, bounds in ((False, FLOAT32), (True, BF16)):
        for layout, attention in (
            *(("paired", name) for name in ("sdpa", "eager")),
            *(("shared", name) for name in (BY_PARTS, *flex, "eager")),
        ):
            found = one_step(layout, attention, bf16=bf16, use_cpu=setting.device == "cpu")
            differences = {
                "loss": abs(found["loss"] / exact["loss"] - 1) if exact["loss"] else 0.0,
                "logps": abs(found["logps"] / exact["logps"] - 1) if exact["logps"] else 0.0,
                "gradient": relative(found["gradient"], exact["gradient"]),
            }
            name = f"{layout}, {attention}, {'bf16' if bf16 else 'float32'}"
            yield Row(name, differences, _within(differences, bounds.values()))


def one_step(layout: str, attention: str, dtype: torch.dtype = torch.float32, **given: Any) -> dict[str, Any]:
    """Loss, mean log-probability of a chosen completion and the whole gradient of a first step."""
    model = base().to(dtype)
    model.get_decoder().config._attn_implementation = attention
    given["attention"] = "sdpa" if attention == BY_PARTS else "auto"  # a GPU takes FlexAttention in its place
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(folder, model, layout=layout, max_steps=1, max_grad_norm=0, **given)
        made.create_optimizer()
        gradient: list[torch.Tensor] = []

        def keep(*_: Any, **__: Any) -> None:
            gradient.extend(one.grad.flatten().double() for one in made.model.parameters() if one.grad is not None)

        made.optimizer.step = keep
        made.train()
    assert made.layout == layout
    used = made.model.get_decoder().config._attn_implementation
    assert used == attention, f"{used} in place of {attention}"
    line = made.state.log_history[0]
    return {"loss": line["loss"], "logps": line["logps/chosen"], "gradient": torch.cat(gradient)}


def _within(differences: dict[str, float], bounds: Any) -> bool:
    return all(found <= bound for found, bound in zip(differences.values(), bounds, strict=True))
