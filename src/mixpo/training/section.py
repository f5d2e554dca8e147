"""A `train` section of a recipe, and the Trainer's arguments that it stands for."""

import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from transformers import SchedulerType

from mixpo.batches.layout import Layout
from mixpo.errors import FieldError
from mixpo.keys import refuse_keys
from mixpo.losses.objective import Objective
from mixpo.model_inputs import ModelInputs
from mixpo.models.load import Attention
from mixpo.references import Model, Output, Pairs, Questions, Reads
from mixpo.training.arguments import FREE, RENAMED, TWICE, Said, made, with_given
from mixpo.training.config import MPOConfig
from mixpo.training.machine import chosen, refuse_on_this_machine
from mixpo.training.words import AUTO, Words, said

SAME = (
    "seed learning_rate max_grad_norm reference_update_steps reference_update_weight pairs_per_group "
    "row_tokens save_steps logging_steps attention compile"
).split()
"""Fields that the trainer's arguments have under the same name."""
REENTRANT = "gradient_checkpointing_kwargs"


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What is learned from what. Defaults: the paper's objective and schedule (arXiv 2411.10442, sections 3.3, 4.1)."""

    name: str = "train"
    """The section's name: the model goes to `checkpoints/<name>/model`."""
    model: Model = "base"
    """What training starts from, and the reference: `base` (ships with mixpo), `step:<section>` (what that section
    trained), a folder or a hub name."""
    seed: int = 0
    """Seed of the order of the records, of which are drawn (`max_records`), and of a LoRA adapter's first weights."""
    pairs: Pairs = "pair"
    """The section whose pairs are trained on; where a recipe says none, the last before this one that makes pairs.
    Unused when `demonstrations` is given."""
    demonstrations: Annotated[str, Reads(Output.DEMONSTRATIONS, optional=True)] = ""
    """The section whose demonstrations are trained on (SFT: only the generation loss)."""
    questions: Questions = "questions"
    """The section whose images the records name."""
    read: bool = False
    """Demonstrations are descriptions, and the vision tower and the projector learn to spell them in the language
    model's own embeddings (CTC), which then reads pictures as it reads text. It is not run, and an example costs what
    the tower costs. Needs `freeze: [language]`; a picture has more visual tokens than its description has words."""
    max_records: int | None = None
    """Train on at most so many of the records, drawn with the seed; null: on all."""
    held_out: float = 0.0
    """Share of the questions whose pairs are not trained on but told apart every `save_steps`, to see overfitting."""
    objective: Objective = field(default_factory=Objective)
    """With demonstrations, preference and quality have weight 0 whatever stands here."""
    reference_update_steps: int = 0
    """TR-DPO (arXiv 2404.09656): optimizer steps between updates of the reference; 0: it never moves."""
    reference_update_weight: float = 0.6
    """TR-DPO's alpha, the policy's share in an update: 0.5 to 0.6 every few steps, or 1 every few hundred."""
    learning_rate: float = 5e-6
    """Peak learning rate, after the warm-up; the paper's."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises from 0 to its peak; where it is less than one step, none."""
    schedule: str = "cosine"
    """How it falls afterwards, by the name that transformers has for it: cosine (the paper's), linear,
    constant_with_warmup …"""
    epochs: float = 1.0
    """Passes over the records; may be a fraction."""
    batch: int = 256
    """Pairs (or demonstrations) an optimizer step. The default, the paper's, is halved until the records make 8 steps,
    which is said (`micro_batch` with it); any other number is taken as it is, and so is this one in a study."""
    micro_batch: int = 16
    """Pairs a forward pass; it changes speed and memory, not the loss."""
    weight_decay: float = 0.0
    """AdamW's, on all weights but norms and biases."""
    adam_beta2: float = 0.999
    """AdamW's beta2: how long the mean of squared gradients remembers."""
    max_grad_norm: float = 1.0
    """A longer gradient, over all weights, is scaled down to this norm; 0: none is."""
    max_completion_length: int = 4096
    """Tokens; a pair with a longer completion is dropped, with its reason."""
    pairs_per_group: int = 4
    """Pairs of one question in succession, so that its image and prompt are computed once for all of them."""
    row_tokens: int | None = None
    """Most tokens of a packed row (none: the whole micro-batch); it bounds memory, and does not change the loss."""
    reference: str = "live"
    """live (a frozen copy of the model), or cached (its log-probabilities are computed first and kept on disk)."""
    save_steps: int = 100
    """Optimizer steps between two checkpoints: what a killed training does again at most."""
    logging_steps: int = 1
    """Optimizer steps a line of `log.jsonl`; `save_steps` is a multiple of it."""
    report_to: str = "none"
    """A tracker by the name that transformers has for it: tensorboard, wandb, trackio, mlflow …"""


@dataclass(frozen=True, kw_only=True)
class Config(ModelInputs, Words, Learning):
    """What is learned, and how it is computed."""

    RUNTIME: ClassVar[tuple[str, ...]] = (
        "micro_batch", "layout", "row_tokens", "reference", "save_steps", "logging_steps", "report_to",
        "gradient_checkpointing", "attention", "compile", "shard", "offload", "workers",
        *(f"trainer.{name}" for name in FREE),
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_keys(self.trainer, ("trainer",))
        for name in ("batch", "micro_batch", "save_steps", "logging_steps", "max_completion_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.batch % self.micro_batch:
            raise ValueError(f"batch ({self.batch}) must be a multiple of micro_batch ({self.micro_batch})")
        if self.save_steps % self.logging_steps:
            raise ValueError(
                f"save_steps ({self.save_steps}) must be a multiple of logging_steps: lines of the log are whole"
            )
        if self.max_records is not None and self.max_records < 1:
            raise ValueError("max_records must be at least 1")
        if not 0 <= self.held_out < 1 or (self.held_out and self.reference == "cached"):
            raise ValueError("held_out must be a share below 1, and needs `reference: live`")
        if self.reference not in ("live", "cached"):
            raise ValueError(f"reference must be live or cached, not {self.reference!r}")
        moves = self.reference_update_steps and not self.demonstrations
        if moves and (self.reference == "cached" or self.lora is not None):
            other = "lora" if self.lora is not None else "`reference: cached`"
            raise FieldError(["reference_update_steps"], f"needs a live copy of the whole model: no {other}")
        apart = "language" in self.freeze and self.lora is None
        if self.read and not (self.demonstrations and apart):
            raise FieldError(["read"], "needs `demonstrations`, `freeze: [language]`, and no `lora`")
        if self.epochs <= 0 or self.learning_rate <= 0 or not 0 <= self.warmup < 1:
            raise ValueError("epochs and learning_rate must be above 0, warmup a share below 1")
        if self.schedule not in list(SchedulerType):
            raise ValueError(f"schedule {self.schedule!r} is none of {', '.join(SchedulerType)}")
        arguments(self, Path("checked"), on_the_machine=False)


def processes() -> int:
    """That train together: as torchrun and `accelerate launch` tell each of them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def arguments(config: Config, folder: Path, cache: Path | None = None, *, on_the_machine: bool = True) -> MPOConfig:
    """What the section says, as the trainer's arguments; `cache` is the folder of a cached reference.

    Raises RecipeError for what they refuse. A section is checked by it, without the machine, when it is made.
    """
    count = processes()
    if config.batch % (config.micro_batch * count):
        needed = f"a multiple of micro_batch ({config.micro_batch}) times the processes ({count})"
        raise FieldError(["batch"], f"batch ({config.batch}) must be {needed}")
    objective = config.objective
    if config.demonstrations:
        objective = replace(objective, preference_weight=0.0, quality_weight=0.0)
    layout = config.layout
    if config.attention == Attention.FLASH or config.read:
        layout = Layout.PAIRED  # a shared row needs a mask, which it does not take; what is read are rows
    own = {
        "output_dir": str(folder),
        "warmup_steps": config.warmup,
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": config.micro_batch,
        "gradient_accumulation_steps": config.batch // (config.micro_batch * count),
        "reference_cache": None if cache is None else str(cache),
        "eval_strategy": "steps" if config.held_out else "no",
        "eval_steps": config.save_steps,
        "per_device_eval_batch_size": config.micro_batch,
        "layout": layout,
        **{name: getattr(config, name) for name in SAME},
        **{item.name: getattr(objective, item.name) for item in fields(objective)},
    }
    usual = {
        **{name: getattr(config, word) for name, word in TWICE.items()},
        "save_total_limit": 2,
        "logging_first_step": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "disable_tqdm": True,
        RENAMED.get(REENTRANT, REENTRANT): {"use_reentrant": False},
    }
    if on_the_machine:
        refuse_on_this_machine(config)
        usual |= chosen(config)
    values = with_given(own, usual, said(config) | _told(config), config.trainer)
    workers = values.get("dataloader_num_workers", 0) > 0
    values["dataloader_persistent_workers"] = workers and values.get("dataloader_persistent_workers", True)
    if not workers and config.workers == AUTO and "dataloader_num_workers" not in config.trainer:
        values.pop("dataloader_prefetch_factor", None)  # of workers that another machine has
    return made(values, on_the_machine=on_the_machine)


def _told(config: Config) -> dict[str, Said]:
    """The fields that may stand in `trainer`, too, where they are not at their defaults."""
    values = {name: (word, getattr(config, word)) for name, word in TWICE.items()}
    usual = Config.__dataclass_fields__
    return {
        name: Said(f"{word}: {value}", value) for name, (word, value) in values.items() if value != usual[word].default
    }
