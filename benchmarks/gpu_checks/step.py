"""Memory and seconds of an optimizer step at published sizes: mixpo's MPOTrainer and TRL's DPOTrainer, same pairs.

Four pairs of a question with eight tiles of 256 tokens, completions of 300 and 350 tokens, bf16 autocast, gradient
checkpointing, a live reference. 1B and 2B: float32 weights, fused AdamW. 8B: bf16 weights and SGD, so that it fits
(AdamW's moments would take 30 GiB more).
"""

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from transformers import TrainerCallback

from gpu_checks.run import Row, Setting
from gpu_checks.shapes import config, make
from mixpo.models.shape import Prompt, shape_of
from mixpo.training.memory import Setup, device_bytes
from mmpr_shaped import make_processor, make_rows, prompt_of
from train_step import ours, trls


def step(setting: Setting, name: str, kind: str) -> Iterator[Row]:
    """`kind`: shared, paired, cached (shared, without a live reference), trl."""
    if kind == "trl" and importlib.util.find_spec("trl") is None:
        yield Row("TRL is not installed", {})
        return
    from datasets import Dataset

    processor, small = make_processor(), setting.rehearse
    rows = make_rows(1, 2, 1, chosen=30, rejected=35) if small else make_rows(questions=1, pairs=4, images=8)
    shape = config(name, processor.tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), tiny=small)
    wide = name != "internvl3-8b"
    model = make(shape, torch.float32 if wide else torch.bfloat16, setting.device)
    given = {
        "bf16": True, "gradient_checkpointing": True, "use_cpu": setting.device == "cpu",
        "optim": "adamw_torch_fused" if wide else "sgd", "num_train_epochs": 4 if small else 7, "logging_steps": 1,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        try:
            if kind == "trl":
                trainer = trls(folder, rows, len(rows), model, processor, **given)
                trainer.train_dataset = Dataset.from_list(
                    [{key: value for key, value in row.items() if key != "question_id"} for row in rows]
                )
            else:
                if kind == "cached":
                    given["reference_cache"] = f"{folder}/reference"
                given["layout"] = "paired" if kind == "paired" else "shared"
                trainer = ours(folder, rows, len(rows), model, processor, **given)
            found = measured(trainer, setting)
        except torch.OutOfMemoryError as error:
            found = {"out of memory": str(error).splitlines()[0][:200]}
    if kind != "trl":
        prompt = prompt_of(processor, rows)
        found["GiB planned"] = planned(trainer, prompt, kind) / 2**30
    yield Row(f"{sum(weight.numel() for weight in model.parameters()) / 1e9:.2f} B parameters", found)


class Times(TrainerCallback):
    """Seconds of each step, of what comes between two (collating), and the peak of memory after the second one."""

    def __init__(self, cuda: bool):
        self.cuda = cuda
        self.between: list[float] = []
        self.steps: list[float] = []
        self.before = time.perf_counter()

    def _seconds(self) -> float:
        if self.cuda:
            torch.cuda.synchronize()
        before, self.before = self.before, time.perf_counter()
        return self.before - before

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.between.append(self._seconds())
        if self.cuda and len(self.steps) == 2:
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append(self._seconds())


def measured(trainer: Any, setting: Setting) -> dict[str, Any]:
    """Medians of the steps after two that do not count."""
    times = Times(setting.device == "cuda")
    trainer.add_callback(times)
    trainer.train()
    found = {
        "s a step": statistics.median(times.steps[2:]), "s to collate": statistics.median(times.between[2:]),
        "s first step": times.steps[0], "loss": trainer.state.log_history[0]["loss"],
        "attention": trainer.model.get_decoder().config._attn_implementation,
    }  # fmt: skip
    if times.cuda:
        found["GiB peak"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def planned(trainer: Any, prompt: Prompt, kind: str) -> int:
    """Bytes that `mixpo plan` expects of this step."""
    model, args = trainer.model, trainer.args
    width = model.dtype.itemsize
    setup = Setup(
        precision="bf16", gradient_checkpointing=True, attention="flex", layout=trainer.layout,
        optimizer=str(args.optim.value), accumulates=False, reference="none" if kind == "cached" else "live",
        reference_bytes=2,
    )  # fmt: skip
    found = device_bytes(shape_of(model), [prompt], setup)
    # The plan knows trained weights of float32; those of 16 bits have gradients of 16 bits, and need no casts.
    spared = (4 - width) * 2 * sum(weight.numel() for weight in model.parameters())
    return found.total - spared
