"""The default batch is the paper's, for millions of pairs; where a training has few, it is made smaller."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixpo import notes
from mixpo.left_out import counted

FEWEST = 8
"""Optimizer steps that a training has at least, if its records allow and its recipe says no batch of its own."""
SAME_BATCH = "MIXPO_SAME_BATCH"
"""In the environment: the batch stays, since trainings are compared. The processes that are started for them see it."""


def fitted(config: Any, records: int, processes: int = 1) -> Any:
    """A `train` section's config with a batch of which so many records make at least `FEWEST` steps.

    It is halved until they do, and only where it is the default; but no process is left without a pair. The same on
    whatever number of processes, unless it would be smaller than that.
    """
    if config.batch != type(config).batch or SAME_BATCH in os.environ or config.trainer.get("max_steps", 0) > 0:
        return config
    batch, pairs = config.batch, config.micro_batch
    while batch > processes and steps(config.epochs, records, batch) < FEWEST:
        batch //= 2
    while pairs * processes > batch and pairs > 1:
        pairs //= 2
    return config if batch == config.batch else replace(config, batch=batch, micro_batch=pairs)


def used(config: Any, records: int, processes: int, folder: Path) -> Any:
    """As `fitted`; a training that was begun with its batch as it stands (its folder says so, or names none) goes on
    with that."""
    begun = notes.read(folder / "data.json", notes.TrainedOn) if any(folder.glob("checkpoint-*")) else None
    as_it_stands = begun is not None and begun.batch in (None, config.batch)
    return config if as_it_stands else fitted(config, records, processes)


def steps(epochs: float, records: int, batch: int) -> int:
    return math.ceil(epochs * math.ceil(records / batch))


def note(config: Any, fit: Any, records: int) -> str:
    """What is to be known of a training of few steps; empty: it has enough."""
    if config.trainer.get("max_steps", 0) > 0 or steps(config.epochs, records, config.batch) >= FEWEST:
        return ""
    few = f"{counted(records, 'record')} make {counted(steps(config.epochs, records, config.batch), 'step')}"
    if fit.batch == config.batch:
        return f"{config.name}: {few} of `batch: {config.batch}`; a smaller batch makes more of them"
    more = counted(steps(config.epochs, records, fit.batch), "step")
    return (
        f"{config.name}: {few} of the default batch, {config.batch}: {fit.batch} a step instead, {more} "
        "(any other `batch` is taken as it is said)"
    )
