"""What a training shows and writes while it runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from mixpo.progress import LABEL, bar, clean
from mixpo.text_files import appended, write_text, writing

SAID = (
    ("loss", "loss", 1, ".3f"),
    ("rewards/margins", "reward margin", 1, ".2f"),
    ("rewards/accuracies", "% of chosen above rejected", 100, ".0f"),
)
"""What is said of a training at its end: the key, its name, a factor, and how it is written."""


class LogFile(TrainerCallback):
    """Every logged line as one JSON object in `log.jsonl`; after a resume, lines beyond the checkpoint are gone."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in state.log_history))

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            with writing(self.path), appended(self.path) as file:
                file.write(f"{json.dumps(state.log_history[-1])}\n".encode())


def course(log: Sequence[Mapping[str, float]]) -> str:
    """How a training went, from its logged lines: ", loss 1.012 -> 0.874, …", the first line and the mean of the last
    quarter; empty where nothing was logged."""
    said = ""
    for key, name, scale, form in SAID:
        values = [line[key] for line in log if key in line]
        if values:
            quarter = values[-max(1, len(values) // 4) :]
            said += f", {name} {scale * values[0]:{form}} -> {scale * sum(quarter) / len(quarter):{form}}"
    return said


class ProgressBar(TrainerCallback):
    """Optimizer steps, the loss, and the time left."""

    def __init__(self, name: str):
        self.name = name
        self.bar: Any = None
        self.task: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        self.bar = bar("{task.fields[loss]}")
        name = clean(self.name).ljust(LABEL)
        self.task = self.bar.add_task(name, total=state.max_steps, completed=state.global_step, loss="")
        self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.bar:
            self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if self.bar and logs and "loss" in logs:
            self.bar.update(self.task, loss=f"loss {logs['loss']:.4f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.bar:
            self.bar.stop()
