"""`mixpo plan`: tokens, FLOPs, memory and hours of a recipe's trainings, from their data's own lengths."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout
from mixpo.errors import UserError, first_line
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.models.load import load_processor
from mixpo.models.shape import Shape, paired, shape_of
from mixpo.plan.changes import Planned, gib, verdict
from mixpo.plan.cost import BACKWARD, step_flops
from mixpo.plan.lengths import Pairs, encoded, sampled
from mixpo.plan.machines import Machine, machine_named
from mixpo.recipe import Recipe, load_recipe
from mixpo.training.few_records import fitted
from mixpo.training.memory import StepMemory
from mixpo.training.rows import RowDataset
from mixpo.training.selection import at_most, split_held_out
from mixpo.training.setup import checkpoints, setup_of
from mixpo.training.train import Config

OBJECTIVES = (("SFT", "none"), ("DPO", "live"), ("DPO", "cached"), ("MPO", "live"), ("MPO", "cached"))
NOTE = "DPO and MPO differ by arithmetic on one number a completion. A line that ends with ! does not fit."


def plan(recipe_path: Path, overrides: Sequence[str], machine_name: str) -> str:
    """A table for each training of preference pairs in the recipe, whose pairs must be there already."""
    recipe = load_recipe(recipe_path, overrides)
    files = RunFiles(recipe.run)
    machine = machine_named(machine_name)
    configs = list(_trainings(recipe))
    if not configs:
        raise UserError(f"{recipe_path}: the recipe trains on no pairs; there is nothing to plan")
    return "\n\n".join(_table(config, files, machine) for config in configs)


def _trainings(recipe: Recipe) -> Iterator[Config]:
    for section in recipe.sections.values():
        if section.step == "train":
            config = recipe.config(section, Config)
            if not config.demonstrations:
                yield config


def settled(config: Any, shape: Shape, groups: Sequence[Pairs], machine: Machine) -> Planned:
    """The training as it runs on the machine: `gradient_checkpointing: auto` is off where it fits without."""
    setup = setup_of(config, machine.devices, cpu=machine.memory is None)
    sft = bool(config.demonstrations)
    found = Planned(config=config, shape=shape, groups=groups, setup=setup, pairs=config.micro_batch, sft=sft)
    if checkpoints(config) is None and machine.memory is not None and found.memory().total > machine.memory:
        return replace(found, setup=replace(setup, gradient_checkpointing=True))
    return found


def _table(config: Config, files: RunFiles, machine: Machine) -> str:
    model_path = files.model(config.model)
    records = list(files.pairs(config.pairs))
    if not records:
        raise UserError(
            f"{files.pairs(config.pairs).folder} holds no pairs; run the recipe's steps before {config.name!r}"
        )
    shape = shape_on_paper(model_path)
    records = at_most(split_held_out(records, config.held_out)[0], config.max_records, config.seed)
    config = fitted(config, len(records), machine.devices)
    rows = RowDataset(records, ImageRoots.load(files.image_roots_file(config.questions)))
    encoder = Encoder(load_processor(model_path, inputs=config.inputs), config.max_completion_length)
    groups = list(encoded(rows, sampled(rows, config.pairs_per_group), encoder, shape.patch))
    planned = settled(config, shape, groups, machine)
    steps = config.epochs * len(records) / config.batch  # the last of an epoch may be smaller
    whole = math.ceil(len(records) / config.batch) * config.epochs
    lines = [
        f"{config.name}: {shape.parameters / 1e6:,.1f} M parameters, {len(records):,} pairs, {whole:,.0f} steps of "
        f"up to {config.batch} pairs",
        f"{machine.name}: {_said(planned)}; {_speed(planned, machine)}",
        "",
        f"{'objective':<10} {'reference':<10} {'tokens/step':>12} {'TFLOP/step':>12} {'GiB/device':>11} {'hours':>9}",
    ]
    lines += [_line(variant, planned, steps, machine) for variant in OBJECTIVES]
    memory = planned.memory()
    lines += ["", f"this section, GiB a device: {_parts(memory)}"]
    if machine.memory is not None:
        lines.append(verdict(planned, machine.memory))
    return "\n".join([*(line.rstrip() for line in lines), "", NOTE])


def _said(planned: Planned) -> str:
    """What memory and time depend on, in the recipe's words."""
    setup = planned.setup
    if setup.cpu:
        return "float32"
    words = [
        setup.precision,
        f"{'with' if setup.gradient_checkpointing else 'without'} gradient checkpointing",
        setup.optimizer,
        f"lora {setup.lora}" * bool(setup.lora),
        f"{setup.quantize} weights" * (setup.quantize != "none"),
        setup.shard if setup.shard != "none" else "a whole model on each" * (setup.devices > 1),
        f"offload {setup.offload}" * (setup.offload != "none"),
    ]
    return ", ".join(filter(None, words))


def _peak(planned: Planned, machine: Machine) -> float | None:
    wide = planned.setup.precision == "float32" and planned.config.trainer.get("tf32")
    return machine.peak("tf32" if wide else planned.setup.precision)


def _speed(planned: Planned, machine: Machine) -> str:
    peak = _peak(planned, machine)
    if peak is None:
        return "its peak is not known here"
    return f"{peak / 1e12:,.3g} TFLOP/s each, {machine.efficiency:.0%} of it assumed"


def _parts(memory: StepMemory) -> str:
    parts = [(item.name, getattr(memory, item.name)) for item in fields(memory)]
    shown = [f"{name} {gib(size)}" for name, size in parts if size]
    return f"{', '.join(shown)}; together {gib(memory.total)}"


def _line(variant: tuple[str, str], planned: Planned, steps: float, machine: Machine) -> str:
    objective, reference = variant
    config, setup = planned.config, planned.setup
    live = reference == "live"
    case = replace(
        planned,
        sft=objective == "SFT",
        setup=replace(setup, reference="live" if live and not setup.lora else "none"),
    )
    prompts = [one.chosen if case.sft else one.full for one in planned.groups]
    if config.layout is Layout.PAIRED:
        prompts = paired(prompts)
    share = config.batch / sum(one.count for one in planned.groups)
    backward = 1 if setup.lora else BACKWARD  # no gradient of the matrices below an adapter
    flops = share * step_flops(planned.shape, prompts, live, backward, setup.gradient_checkpointing)
    tokens = sum(prompt.length for prompt in prompts) * share
    memory = case.memory().total
    over = " !" if machine.memory is not None and memory > machine.memory else ""
    peak = _peak(planned, machine)
    hours = f"{flops * steps / (machine.devices * peak * machine.efficiency) / 3600:>9,.3g}" if peak else f"{'?':>9}"
    numbers = f"{tokens:>12,.0f} {flops / 1e12:>12,.3g} {gib(memory):>11} {hours}"
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
