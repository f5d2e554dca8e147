"""`mixpo plan`: tokens, FLOPs, memory and hours of a recipe's trainings, from their data's own lengths."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mixpo.batches.encode import Encoder
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.ids import at_most
from mixpo.images import ImageRoots
from mixpo.models.checked import loading
from mixpo.models.load import load_config, load_processor, model_on_paper
from mixpo.models.shape import Shape, shape_of
from mixpo.output import TextTable
from mixpo.plan.changes import Planned, gib, verdict
from mixpo.plan.estimate import step_cost, training_peak, training_seconds
from mixpo.plan.lengths import Pairs, encoded, sampled
from mixpo.plan.machines import Machine, machine_named
from mixpo.recipe import Recipe, load_recipe
from mixpo.training.few_records import fitted
from mixpo.training.memory import StepMemory
from mixpo.training.rows import RowDataset
from mixpo.training.selection import split_held_out
from mixpo.training.setup import checkpoints, setup_of
from mixpo.training.train import Config

OBJECTIVES = (("SFT", "none"), ("DPO", "live"), ("DPO", "cached"), ("MPO", "live"), ("MPO", "cached"))
NOTE = "DPO and MPO differ by arithmetic on one number a completion. A line that ends with ! does not fit."


def plan(recipe_path: Path, overrides: Sequence[str], machine_name: str) -> tuple[dict[str, Any], list[Any]]:
    """The numbers of each training of preference pairs in the recipe, by section, and what is shown of them
    (`mixpo.output`); the pairs must be there already."""
    recipe = load_recipe(recipe_path, overrides)
    files = RunFiles(recipe.run)
    machine = machine_named(machine_name)
    configs = list(_trainings(recipe))
    if not configs:
        raise UserError(f"{recipe_path}: the recipe trains on no pairs; there is nothing to plan")
    numbers, shown = {}, []
    for config in configs:
        numbers[config.name], told = _planned(config, files, machine)
        shown += told
    return numbers, [*shown, NOTE]


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


def _planned(config: Config, files: RunFiles, machine: Machine) -> tuple[dict[str, Any], list[Any]]:
    model_path = files.model(config.model)
    records = list(files.pairs(config.pairs))
    if not records:
        raise UserError(
            f"{files.pairs(config.pairs).folder} holds no pairs; run the recipe's steps before {config.name!r}"
        )
    shape = shape_on_paper(model_path, config.trust_remote_code)
    records = at_most(split_held_out(records, config.held_out)[0], config.max_records, config.seed)
    config = fitted(config, len(records), machine.devices)
    rows = RowDataset(records, ImageRoots.load(files.image_roots_file(config.questions)))
    encoder = Encoder(load_processor(model_path, inputs=config.inputs), config.max_completion_length)
    encoder.fit(load_config(model_path, config.trust_remote_code))
    groups = list(encoded(rows, sampled(rows, config.pairs_per_group), encoder, shape.patch))
    planned = settled(config, shape, groups, machine)
    steps = config.epochs * len(records) / config.batch  # the last of an epoch may be smaller
    whole = math.ceil(len(records) / config.batch) * config.epochs
    heads = ("objective", "reference", "tokens/step", "TFLOP/step", "GiB/device", "hours")
    costs = [_cost(variant, planned, steps, machine) for variant in OBJECTIVES]
    memory = planned.memory()
    fits = "" if machine.memory is None else verdict(planned, machine.memory)
    numbers = {
        "parameters": shape.parameters, "pairs": len(records), "steps": whole, "batch": config.batch,
        "machine": machine.name, "devices": machine.devices, "peak_flops": training_peak(planned, machine),
        "efficiency": machine.efficiency, "memory_bytes": machine.memory, "needed_bytes": memory.total,
        "parts_bytes": {item.name: getattr(memory, item.name) for item in fields(memory)}, "objectives": costs,
        "verdict": fits,
    }  # fmt: skip
    head = f"{config.name}: {shape.parameters / 1e6:,.1f} M parameters, {len(records):,} pairs, {whole:,.0f} steps of "
    shown = [
        f"{head}up to {config.batch} pairs",
        f"{machine.name}: {_said(planned)}; {_speed(planned, machine)}",
        TextTable("", heads, [_cells(cost) for cost in costs], text=2),
        f"this section, GiB a device: {_parts(memory)}",
        *filter(None, [fits]),
        "",
    ]
    return numbers, shown


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


def _speed(planned: Planned, machine: Machine) -> str:
    peak = training_peak(planned, machine)
    if peak is None:
        return "its peak is not known here"
    return f"{peak / 1e12:,.3g} TFLOP/s each, {machine.efficiency:.0%} of it assumed"


def _parts(memory: StepMemory) -> str:
    parts = [(item.name, getattr(memory, item.name)) for item in fields(memory)]
    shown = [f"{name} {gib(size)}" for name, size in parts if size]
    return f"{', '.join(shown)}; together {gib(memory.total)}"


def _cost(variant: tuple[str, str], planned: Planned, steps: float, machine: Machine) -> dict[str, Any]:
    """What an objective takes with a reference; `hours` is None on a machine whose peak is not known."""
    objective, reference = variant
    setup = planned.setup
    live = reference == "live"
    case = replace(
        planned,
        sft=objective == "SFT",
        setup=replace(setup, reference="live" if live and not setup.lora else "none"),
    )
    tokens, flops = step_cost(case, live)
    memory = case.memory().total
    seconds = training_seconds(flops * steps, planned, machine)
    return {
        "objective": objective,
        "reference": reference,
        "tokens_per_step": tokens,
        "flops_per_step": flops,
        "bytes_per_device": memory,
        "hours": None if seconds is None else seconds / 3600,
        "fits": machine.memory is None or memory <= machine.memory,
    }


def _cells(cost: dict[str, Any]) -> tuple[str, ...]:
    hours = "?" if cost["hours"] is None else f"{cost['hours']:,.3g}"
    return (
        cost["objective"], cost["reference"], f"{cost['tokens_per_step']:,.0f}",
        f"{cost['flops_per_step'] / 1e12:,.3g}", gib(cost["bytes_per_device"]), hours + " !" * (not cost["fits"]),
    )  # fmt: skip


def shape_on_paper(path: str, trust_remote_code: bool = False) -> Shape:
    """The shape of a checkpoint's model, from its config: no weight is read. Raises UserError."""
    config = load_config(path, trust_remote_code)
    with loading(path):
        return shape_of(model_on_paper(config, trust_remote_code))
