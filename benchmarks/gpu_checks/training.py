"""MPOTrainer on a GPU, with the small base model: first losses, waits, compilations, resume, FSDP2."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from gpu_checks.data import base, trainer
from gpu_checks.run import Row, Setting
from gpu_checks.waits import waits
from mixpo.models.attention import decoder

SHARDED = {
    "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT", "FSDP_RESHARD_AFTER_FORWARD": "true",
}  # fmt: skip
"""What `accelerate launch` sets for recipes/accelerate/fsdp2.yaml."""
ALONE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29533"}


@contextmanager
def trained(setting: Setting, model: nn.Module | None = None, **given: Any) -> Iterator[Any]:
    """A trainer after its training, and its folder."""
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(folder, model, use_cpu=setting.device == "cpu", **given)
        made.train()
        yield made


def first_loss(setting: Setting) -> Iterator[Row]:
    """Policy and reference are equal at the first step, so its loss is known."""
    ways: dict[str, tuple[dict[str, Any], float]] = {
        "float32": ({}, 1e-4),
        "bf16": ({"bf16": True}, 0.02),
        "bf16, checkpointing": ({"bf16": True, "gradient_checkpointing": True}, 0.02),
        "float32, cached": ({"reference_cache": "reference"}, 1e-3),
        "bf16, cached": ({"bf16": True, "reference_cache": "reference"}, 0.1),
    }
    for name, (given, bound) in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            if "reference_cache" in given:
                given = {**given, "reference_cache": f"{folder}/reference"}
            with trained(setting, **given) as made:
                line = made.state.log_history[0]
                differ = abs(line["loss"] - line["expected_first_loss"])
                found = {
                    "loss": line["loss"], "differs by": differ, "layout": str(made.layout),
                    "attention": decoder(made.model).config._attn_implementation,
                }  # fmt: skip
                yield Row(name, found, differ < bound and made.layout == "shared")


def weights_move(setting: Setting) -> Iterator[Row]:
    """At the paper's learning rate, bf16 weights hardly move; float32 ones under autocast do."""
    before = {name: weight.clone() for name, weight in base().named_parameters()}
    with trained(setting, bf16=True, learning_rate=5e-6, max_steps=2, lr_scheduler_type="constant") as made:
        changed = total = 0
        for name, weight in made.model.named_parameters():
            if ".layers." in name and weight.ndim == 2:
                changed += (weight.detach().cpu() != before[name]).sum().item()
                total += weight.numel()
        dtype = str(next(made.model.parameters()).dtype)[6:]
        yield Row("bf16, 2 steps at 5e-6", {"weights": dtype, "moved": changed / total}, changed / total > 0.9)


def waits_of_a_step(setting: Setting) -> Iterator[Row]:
    """How often the host waits for the GPU in forward and backward of a micro-batch."""
    if setting.device == "cpu":
        yield Row("not on a CPU", {})
        return
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(folder, bf16=True, max_steps=3)
        step, counts, places = made.training_step, [], {}

        def counted(*args: Any, **kwargs: Any) -> Any:
            with waits() as found:
                loss = step(*args, **kwargs)
            counts.append(sum(found.values()))
            places.update(found)
            return loss

        made.training_step = counted
        made.train()
    yield Row("of each micro-batch", {"waits": counts, "at": list(places)}, max(counts[1:]) <= 2)


def compilations(setting: Setting) -> Iterator[Row]:
    """Graphs that torch has compiled after each step, the rows of each of another length."""
    from torch._dynamo.utils import counters

    counts: list[int] = []

    class Count(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            counts.append(counters["stats"].get("unique_graphs", 0))

    with tempfile.TemporaryDirectory() as folder:
        steps = 4 if setting.rehearse else 8
        # Four pairs of one question are a row; the model is there already, where its attention is chosen.
        made = trainer(
            folder, base().to(setting.device), pairs=4 * steps, bf16=True, max_steps=steps, layout="shared",
            gradient_accumulation_steps=1, use_cpu=setting.device == "cpu",
        )  # fmt: skip
        made.add_callback(Count)
        made.train()
    used = decoder(made.model).config._attn_implementation
    yield Row("after each step", {"attention": used, "graphs": counts}, counts[-1] == counts[2])


def resume(setting: Setting) -> Iterator[Row]:
    """Two steps, and two more from the checkpoint, beside four without a break."""
    given = {"bf16": True, "max_steps": 4, "save_strategy": "steps", "save_steps": 2, "learning_rate": 1e-3}
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as cut:
        runs = []
        for folder in (whole, cut):
            made = trainer(folder, use_cpu=setting.device == "cpu", **given)
            if folder == cut:
                shutil.copytree(Path(whole) / "checkpoint-2", Path(cut) / "checkpoint-2")
            made.train(resume_from_checkpoint=folder == cut)
            runs.append(made)
    losses = [[line["loss"] for line in made.state.log_history if "loss" in line] for made in runs]
    last = [made.state.log_history[-2]["loss"] for made in runs]
    # Sums on a GPU may come in another order: AdamW makes much of the smallest gradients, so single weights may differ.
    one, other = (torch.cat([weight.detach().flatten() for weight in made.model.parameters()]) for made in runs)
    differ = ((one - other).norm() / other.norm()).item()
    steps = [len(one) for one in losses]
    holds = steps == [4, 4] and abs(last[0] - last[1]) <= 1e-3 * abs(last[0]) and differ < 1e-3
    yield Row("last loss", {"whole": last[0], "resumed": last[1], "weights differ by": differ}, holds)


def fsdp2(setting: Setting) -> Iterator[Row]:
    """One rank under FSDP2 as accelerate makes it: the first two losses in float32 beside those without it."""
    from accelerate.state import AcceleratorState

    if setting.device == "cpu":
        yield Row("not on a CPU", {})
        return
    losses = []
    for sharded in (False, True):
        model = base()
        if sharded:
            AcceleratorState._reset_state(reset_partial_state=True)
            wrapped = ",".join(sorted(model._no_split_modules or ()))
            os.environ.update({**ALONE, **SHARDED, "FSDP_TRANSFORMER_CLS_TO_WRAP": wrapped})
            if setting.null:  # it has no NCCL
                from torch.testing._internal.distributed.fake_pg import FakeStore

                torch.distributed.init_process_group("fake", rank=0, world_size=1, store=FakeStore())
        with trained(setting, model, layout="shared", learning_rate=1e-3) as made:
            losses.append([line["loss"] for line in made.state.log_history if "loss" in line])
            name = type(made.model_wrapped).__name__
    torch.distributed.destroy_process_group()
    near = all(abs(one - other) <= 1e-4 * abs(one) for one, other in zip(*losses, strict=True))
    yield Row("losses", {"plain": losses[0], "sharded": losses[1], "model": name}, near and name.startswith("FSDP"))
