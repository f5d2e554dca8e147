"""`train: {trainer: {…}}`: fields of transformers' TrainingArguments for which the section has no word of its own."""

import re
from collections.abc import Mapping
from copy import deepcopy
from enum import EnumType
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

import torch

from mixpo.errors import FieldError, UserError
from mixpo.losses.objective import Objective
from mixpo.training.config import MPOConfig, check_together
from mixpo.training.tracking import check_names
from mixpo.training.trl_arguments import FIELDS as TRLS
from mixpo.validation import closest

HINTS = {name: hint for name, hint in get_type_hints(MPOConfig).items() if name not in TRLS}
HINTS["fsdp"] = bool | str | None
ENGLISH = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")

SECTION = {
    "output_dir": "`run` of the recipe",
    "num_train_epochs": "`epochs`",
    "warmup_steps": "`warmup`",
    "warmup_ratio": "`warmup`",
    "per_device_train_batch_size": "`micro_batch`",
    "per_device_eval_batch_size": "`micro_batch`",
    "auto_find_batch_size": "`micro_batch` and `row_tokens`",
    "gradient_accumulation_steps": "`batch`",
    "eval_strategy": "`held_out`",
    "eval_steps": "`save_steps`",
    "reference_cache": "`reference: cached`",
    "max_completion_length": "`max_completion_length` of the section",
    "truncate_completions": "`max_completion_length`",
    "label_smoothing_factor": "`objective.label_smoothing`",
    **{name: f"`objective.{name}`" for name in Objective.__dataclass_fields__},
    "resume_from_checkpoint": "the same run folder: a training goes on where it stopped",
}
"""What to write instead of a field that is set from another one of the section; others are called there as here."""
TWICE = {"lr_scheduler_type": "schedule", "weight_decay": "weight_decay", "adam_beta2": "adam_beta2",
         "report_to": "report_to"}  # fmt: skip
"""Fields that may stand in either place, and what the section calls them; there are words for more (`words.said`)."""
RENAMED = {
    old: new
    for old, new in (
        ("gradient_checkpointing", "activation_checkpointing"),
        ("gradient_checkpointing_kwargs", "activation_checkpointing_kwargs"),
    )
    if new in HINTS
}
"""Fields that newer versions of transformers call otherwise."""
CHECKPOINTING = RENAMED.get("gradient_checkpointing", "gradient_checkpointing")
FREE = (
    "activation_checkpointing", "dataloader_num_workers", "dataloader_persistent_workers", "dataloader_pin_memory",
    "dataloader_prefetch_factor", "disable_tqdm", "gradient_checkpointing", "gradient_checkpointing_kwargs",
    "log_level", "logging_dir", "logging_first_step", "logging_strategy", "recompute", "report_to",
    "run_name", "save_total_limit", "score_chunk", "torch_empty_cache_steps",
)  # fmt: skip
"""Fields that decide nothing of the weights: memory, speed, display."""
NEVER = (
    "save_only_model",
    "ignore_data_skip",
    "do_train",
    "do_eval",
    "do_predict",
    "remove_unused_columns",
    "push_to_hub",
)
"""Fields that would do nothing here, or make a training that was killed go on as another one."""
ON_THE_MACHINE = (
    "tf32", "torch_compile", "torch_compile_backend", "torch_compile_mode", "deepspeed", "fsdp", "fsdp_config",
)  # fmt: skip
"""Fields that TrainingArguments sets up, for the whole process, as soon as it is made."""


class Said(NamedTuple):
    """An argument of the Trainer that a word of the section stands for."""

    word: str
    """As the section has it: `precision: fp16`."""
    value: Any


class Unplaced(MPOConfig):
    """An MPOConfig that checks its fields only: it sets no device up and begins no process group."""

    device = torch.device("cpu")


def with_given(
    own: dict[str, Any], usual: dict[str, Any], said: Mapping[str, Said], given: Mapping[str, Any]
) -> dict[str, Any]:
    """MPOConfig's arguments: `own`, which come from the section's other fields, and `given` over `usual`.

    What words of the section have `said` may be given as well, but not otherwise.

    Raises FieldError for a field that is unknown, of another type, `own`, or contradicts what is said.
    """
    found = usual | {key: value for key, (_, value) in said.items()}
    for key, value in given.items():
        if key in NEVER:
            raise FieldError(["trainer", key], "cannot be set: mixpo saves, resumes and publishes in its own way")
        if key in TRLS:
            raise FieldError(["trainer", key], "is TRL's; what a section calls it stands in docs/migrating.md")
        if key in own or key in SECTION:
            raise FieldError(["trainer", key], f"mixpo sets it; use {SECTION.get(key, f'`{key}` of the section')}")
        if key not in HINTS:
            hint = closest(str(key), list(HINTS)) or "it is no field of transformers' TrainingArguments"
            raise FieldError(["trainer", key], f"unknown key; {hint}")
        found[key] = _beside(said.get(key), key, _typed(key, value))
    for old in RENAMED.keys() & given.keys():  # what is given goes before what is usual, by whichever name
        found[RENAMED[old]] = _beside(said.get(RENAMED[old]), old, found.pop(old))
    return found | own


def _beside(said: Said | None, key: str, value: Any) -> Any:
    """A value given for what a word of the section has said, too: the same, or further entries of a mapping."""
    if said is None:
        return value
    if isinstance(value, dict) and isinstance(said.value, dict):
        if all(said.value.get(name, item) == item for name, item in value.items()):
            return {**said.value, **value}
    elif value == said.value:
        return value
    raise FieldError(["trainer", key], f"the section says `{said.word}` as well; say it once")


def _typed(key: str, value: Any) -> Any:
    """The value as the field has it: YAML reads 1e-4 (no dot) as text, and no as false."""
    kinds = get_args(HINTS[key]) or (HINTS[key],)
    if value is False and any(isinstance(kind, EnumType) for kind in kinds):
        return "no"
    if float in kinds and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    for kind in kinds:
        if isinstance(kind, EnumType) and isinstance(value, str) and value not in list(kind):
            names = [str(member.value) for member in list[Any](kind)]
            raise FieldError(["trainer", key], f"{value!r} is none of {', '.join(names)}{_near(value, names)}")
    if set(kinds) <= ENGLISH.keys() and type(value) not in kinds:
        raise FieldError(["trainer", key], f"must be {' or '.join(ENGLISH[kind] for kind in kinds)}, not {value!r}")
    return _numbers(value) if isinstance(value, dict) else deepcopy(value)


def _near(value: str, names: list[str]) -> str:
    near = closest(value, names)
    return f"; {near}" if near else ""


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return float(value) if isinstance(value, str) and EXPONENT.fullmatch(value) else deepcopy(value)


def made(values: dict[str, Any], *, on_the_machine: bool) -> MPOConfig:
    """The arguments; without the machine they are only checked, but for what depends on it (a GPU that knows bfloat16).

    Raises RecipeError for what they refuse.
    """
    machine = {} if on_the_machine else {key: values[key] for key in ON_THE_MACHINE if key in values}
    try:
        if on_the_machine:
            args = MPOConfig(**values)
        else:
            args = Unplaced(**{key: value for key, value in values.items() if key not in machine} | {"use_cpu": True})
            for key, value in machine.items():
                setattr(args, key, value)
        check_together(args)
        check_names(args.report_to)
    except (ValueError, UserError) as error:
        raise FieldError([], str(error)) from error
    except (TypeError, AttributeError, LookupError, OSError, ImportError, NotImplementedError) as error:
        raise FieldError([], f"transformers' TrainingArguments refuses its fields: {error!r}") from error
    return args
