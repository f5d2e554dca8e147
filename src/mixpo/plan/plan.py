"""`mixpo plan`: tokens, FLOPs, memory and hours of a recipe's trainings, from their data's own lengths."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from mixpo.batches.encode import Encoder, Example
from mixpo.batches.grouping import group
from mixpo.batches.layout import Layout
from mixpo.errors import DataError, UserError, first_line
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.models.cpu_products import product
from mixpo.models.load import load_processor
from mixpo.plan.cost import Prompt, Shape, paired, shape_of, step_bytes, step_flops, tower_tokens
from mixpo.recipe import Recipe, load_recipe
from mixpo.training.recompute import wide_enough
from mixpo.training.rows import RowDataset
from mixpo.training.train import Config

SAMPLE = 1000
"""Pairs that are encoded; of more, evenly spread groups."""


@dataclass(frozen=True)
class Machine:
    """What trains. `efficiency` is an assumption: the share of the peak that a training step reaches."""

    devices: int
    peak: float
    """FLOP/s of one device in the precision of its matrix products, dense."""
    memory: float | None
    """Bytes of one device; None is this machine, a CPU."""
    efficiency: float


MACHINES = {"8xh100": Machine(8, 989e12, 80e9, 0.4), "64xa100": Machine(64, 312e12, 80e9, 0.4)}
"""Peaks of bfloat16 from NVIDIA's data sheets (H100 SXM, A100 SXM 80 GB). A further name, `cpu`, is this machine."""
CPU_EFFICIENCY = 0.6
"""Of the faster one of torch's own products and oneDNN's, which training takes."""
OBJECTIVES = (("SFT", "none"), ("DPO", "live"), ("DPO", "cached"), ("MPO", "live"), ("MPO", "cached"))
NOTE = """\
DPO and MPO differ by arithmetic on one number a completion. Weights, gradients and AdamW's moments are float32 and
shared by the devices (FSDP, ZeRO-3); a live reference is a whole copy on each. Without gradient checkpointing, but on
a CPU without what is computed again (`recompute`).
A line that ends with ! does not fit."""


def machine_named(name: str) -> Machine:
    """Raises UserError for an unknown name. `cpu` is measured: matrix products of this process in float32, for 1 s."""
    if name in MACHINES:
        return MACHINES[name]
    if name != "cpu":
        raise UserError(f"no machine is called {name!r}; choose one of {', '.join([*MACHINES, 'cpu'])}")
    size = 512
    left, right = torch.randn(size, size), torch.randn(size, size)
    seconds: list[float] = []
    while sum(seconds) < 1 or len(seconds) < 20:
        start = time.perf_counter()
        product(left, right)
        seconds.append(time.perf_counter() - start)
    return Machine(1, 2 * size**3 / min(seconds), None, CPU_EFFICIENCY)


def plan(recipe_path: Path, overrides: Sequence[str], machine_name: str) -> str:
    """A table for each training of preference pairs in the recipe, whose pairs must be there already."""
    recipe = load_recipe(recipe_path, overrides)
    files = RunFiles(recipe.run)
    machine = machine_named(machine_name)
    configs = list(_trainings(recipe))
    if not configs:
        raise UserError(f"{recipe_path}: the recipe trains on no pairs; there is nothing to plan")
    return "\n\n".join(_table(config, files, machine_name, machine) for config in configs)


def _trainings(recipe: Recipe) -> Iterator[Config]:
    for section in recipe.sections.values():
        if section.step == "train":
            config = recipe.config(section, Config)
            if not config.demonstrations:
                yield config


def _table(config: Config, files: RunFiles, machine_name: str, machine: Machine) -> str:
    model_path = files.model(config.model)
    records = list(files.pairs(config.pairs))
    if not records:
        raise UserError(
            f"{files.pairs(config.pairs).folder} holds no pairs; run the recipe's steps before {config.name!r}"
        )
    shape = shape_on_paper(model_path)
    rows = RowDataset(records, ImageRoots.load(files.image_roots_file(config.questions)))
    groups = list(encoded_groups(rows, load_processor(model_path), config, shape.patch))
    steps = config.epochs * len(records) / config.batch  # the last of an epoch may be smaller
    whole = math.ceil(len(records) / config.batch) * config.epochs
    flops = f"{machine.devices} x {machine.peak / 1e12:,.3g} TFLOP/s, {machine.efficiency:.0%} of it assumed"
    lines = [
        f"{config.name}: {shape.parameters / 1e6:,.1f} M parameters, {len(records):,} pairs, {whole:,.0f} steps of "
        f"up to {config.batch} pairs",
        f"{machine_name}: {flops}",
        "",
        f"{'objective':<10} {'reference':<10} {'tokens/step':>12} {'TFLOP/step':>12} {'GiB/device':>11} {'hours':>9}",
    ]
    for variant in OBJECTIVES:
        lines.append(_line(variant, config, shape, groups, steps, machine))
    return "\n".join([*(line.rstrip() for line in lines), "", NOTE])


@dataclass(frozen=True)
class Pairs:
    """A group of pairs that share a prompt: their number, and the lengths with and without rejected completions."""

    count: int
    full: Prompt
    chosen: Prompt


def encoded_groups(rows: RowDataset, processor: Any, config: Config, patch: int) -> Iterator[Pairs]:
    """Evenly spread groups of up to `pairs_per_group` pairs of a question, with their true lengths."""
    encoder = Encoder(processor, config.max_completion_length)
    wholes = [
        list(indices) for _, indices in groupby(range(len(rows)), key=lambda index: rows.records[index].question_id)
    ]
    size = config.pairs_per_group
    chunks = [whole[start : start + size] for whole in wholes for start in range(0, len(whole), size)]
    every = max(1, round(len(rows) / SAMPLE))
    for chunk in chunks[::every]:
        examples = []
        for index in chunk:
            try:
                examples.append(encoder(rows[index]))
            except DataError:
                continue  # the training drops it, too
        for one in group(examples)[0] if examples else ():
            mine = [example for example in examples if example.key == one.prompt.key]
            chosen = {tuple(example.completions[0]) for example in mine}
            yield Pairs(
                len(mine),
                _lengths(one.prompt, one.completions, encoder.chat.image_tokens, patch),
                _lengths(one.prompt, [list(ids) for ids in chosen], encoder.chat.image_tokens, patch),
            )


def _lengths(prompt: Example, completions: Sequence[list[int]], images: frozenset[int], patch: int) -> Prompt:
    return Prompt(
        tokens=len(prompt.prompt_ids),
        completions=tuple(map(len, completions)),
        images=tower_tokens(prompt.image_inputs, patch),
        image_tokens=sum(token in images for token in prompt.prompt_ids),
    )


def _line(
    variant: tuple[str, str], config: Config, shape: Shape, groups: list[Pairs], steps: float, machine: Machine
) -> str:
    objective, reference = variant
    prompts = [one.chosen if objective == "SFT" else one.full for one in groups]
    if config.layout is Layout.PAIRED:
        prompts = paired(prompts)
    pairs = sum(one.count for one in groups)
    flops = step_flops(shape, prompts, reference == "live") * config.batch / pairs
    tokens = sum(prompt.length for prompt in prompts) * config.batch / pairs
    share = max(1, round(len(prompts) * config.micro_batch / pairs))
    longest = sorted(prompts, key=lambda prompt: prompt.length)[-share:]
    copy, recompute = reference == "live" and config.lora is None, machine.memory is None and wide_enough(shape.hidden)
    memory = step_bytes(shape, longest, copy, recompute, devices=machine.devices)
    over = " !" if machine.memory is not None and memory > machine.memory else ""
    hours = flops * steps / (machine.devices * machine.peak * machine.efficiency) / 3600
    numbers = f"{tokens:>12,.0f} {flops / 1e12:>12,.3g} {memory / 2**30:>11,.3g} {hours:>9,.3g}"
    return f"{objective:<10} {reference:<10} {numbers}{over}"


def shape_on_paper(path: str) -> Shape:
    """The shape of a checkpoint's model, from its config: no weight is read."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        config = AutoConfig.from_pretrained(path)
        with torch.device("meta"):
            return shape_of(AutoModelForImageTextToText.from_config(config))
    except (OSError, ValueError) as error:
        raise UserError(f"model {path!r} cannot be read as a vision-language model: {first_line(error)}") from error
