"""The step `train`: preference pairs (MPO) or demonstrations (SFT) -> checkpoint."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from transformers import IntervalStrategy, PrinterCallback, SchedulerType

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout
from mixpo.errors import DataError, FieldError, UserError
from mixpo.files import RunFiles, Shards
from mixpo.images import ImageRoots
from mixpo.losses.objective import Objective
from mixpo.models.load import load_model, load_processor
from mixpo.progress import say, track
from mixpo.records import Dropped
from mixpo.references import Model, Output, Pairs, Questions, Reads
from mixpo.text_files import read_json, write_text
from mixpo.training.arguments import FREE, made, with_given
from mixpo.training.callbacks import LogFile, ProgressBar
from mixpo.training.checkpoints import drop_checkpoints, save_model
from mixpo.training.config import MPOConfig
from mixpo.training.rows import RowDataset
from mixpo.training.selection import at_most, split_held_out, usable
from mixpo.training.tracking import check_installed
from mixpo.training.trainer import MPOTrainer
from mixpo.training.warning_signs import Watch


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A LoRA adapter (peft); its weights are merged into the saved model."""

    r: int = 16
    """Rank of the two factors of each adapted layer's update."""
    alpha: int = 32
    """The update is scaled by alpha / r."""
    target_modules: str = "all-linear"
    """The layers adapted, as peft names them: `all-linear`, a regular expression, or the end of a layer's name."""

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha < 1:
            raise ValueError("r and alpha must be at least 1")


WRITES = (Output.MODEL,)
SAME = (
    "seed learning_rate max_grad_norm layout reference_update_steps reference_update_weight pairs_per_group "
    "row_tokens save_steps logging_steps"
).split()
"""Fields that the trainer's arguments have under the same name."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Defaults: the paper's objective and schedule (arXiv 2411.10442, sections 3.3 and 4.1)."""

    RUNTIME: ClassVar[tuple[str, ...]] = (
        "micro_batch", "layout", "row_tokens", "reference", "save_steps", "logging_steps", "report_to",
        *(f"trainer.{name}" for name in FREE),
    )  # fmt: skip

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
    """Share of the steps in which the learning rate rises from 0 to its peak."""
    schedule: str = "cosine"
    """How it falls afterwards, by the name that transformers has for it: cosine (the paper's), linear,
    constant_with_warmup …"""
    epochs: float = 1.0
    """Passes over the records; may be a fraction."""
    batch: int = 256
    """Pairs (or demonstrations) an optimizer step."""
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
    layout: Layout = Layout.AUTO
    """How completions of one prompt are put into the model; it changes speed and memory, not the loss."""
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
    lora: Lora | None = None
    """Train a LoRA adapter instead of all weights; null: all weights."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """Any other field of transformers' TrainingArguments: bf16, gradient_checkpointing, optim … (docs/training.md)."""

    def __post_init__(self) -> None:
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
        if self.epochs <= 0 or self.learning_rate < 0 or not 0 <= self.warmup < 1:
            raise ValueError("epochs must be above 0, learning_rate at least 0, warmup a share below 1")
        if self.schedule not in list(SchedulerType):
            raise ValueError(f"schedule {self.schedule!r} is none of {', '.join(SchedulerType)}")
        arguments(self, Path("checked"), on_the_machine=False)


def run(config: Config, files: RunFiles, fits: Callable[[Config, str, Any, RowDataset], Any] | None = None) -> None:
    """Trains, or goes on with a training that was killed, and saves the model to `checkpoints/<name>/model`.

    `fits` is asked before the model is loaded (config, model, processor, rows), and may raise UserError.

    With torchrun or `accelerate launch`, every process calls it, and the first one writes.
    """
    first = os.environ.get("RANK", "0") == "0"
    folder = files.checkpoints(config.name)
    source: Shards[Any] = (
        files.demonstrations(config.demonstrations) if config.demonstrations else files.pairs(config.pairs)
    )
    fingerprint = _fingerprint(source.paths())
    if (folder / "model").exists():
        _refuse_changed_data(folder, fingerprint, source.folder)
        drop_checkpoints(folder)
        say(f"{config.name}: trained already ({folder / 'model'})")
        return
    cached = config.reference == "cached" and not config.demonstrations and not config.reference_update_steps
    args = arguments(config, folder, files.reference(config.model) if cached else None)
    check_installed(args.report_to)
    model_path = files.model(config.model)
    processor = load_processor(model_path)
    dropped: list[Dropped] = []
    roots = ImageRoots.load(files.image_roots_file(config.questions))
    encoder = Encoder(processor, config.max_completion_length)
    records = usable(track(source, f"{config.name}: check"), encoder, roots, config.name, dropped)
    if first:
        files.dropped(config.name).replace(dropped)
    if not records:
        raise DataError(
            f"{source.folder} holds nothing to train on ({len(dropped)} records dropped); see dropped/{config.name}"
        )
    records, held_out = split_held_out(records, config.held_out)
    records = at_most(records, config.max_records, config.seed)
    _refuse_changed_data(folder, fingerprint, source.folder)
    if first:
        write_text(folder / "data.json", json.dumps({"sha256": fingerprint, "records": len(records)}))
    unseen = RowDataset(held_out, roots) if held_out else None
    rows = RowDataset(records, roots, fingerprint)
    if fits is not None:
        fits(config, model_path, processor, rows)
    trainer = make_trainer(config, args, model_path, processor, rows, unseen)
    try:
        trainer.train(resume_from_checkpoint=True)
    except ImportError as error:  # the library of an optimizer: `trainer: {optim: …}`
        raise UserError(f"{config.name}: {error}") from error
    save_model(trainer, folder)
    say(f"{config.name}: {len(records)} records, {trainer.state.global_step} steps; model in {folder / 'model'}")


def arguments(config: Config, folder: Path, cache: Path | None = None, *, on_the_machine: bool = True) -> MPOConfig:
    """What the section says, as the trainer's arguments; `cache` is the folder of a cached reference.

    Raises RecipeError for what they refuse. A section is checked by it, without the machine, when it is made.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if config.batch % (config.micro_batch * processes):
        needed = f"a multiple of micro_batch ({config.micro_batch}) times the processes ({processes})"
        raise FieldError(["batch"], f"batch ({config.batch}) must be {needed}")
    objective = config.objective
    if config.demonstrations:
        objective = replace(objective, preference_weight=0.0, quality_weight=0.0)
    own = {
        "output_dir": str(folder),
        "warmup_steps": config.warmup,
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": config.micro_batch,
        "gradient_accumulation_steps": config.batch // (config.micro_batch * processes),
        "reference_cache": None if cache is None else str(cache),
        "eval_strategy": "steps" if config.held_out else "no",
        "eval_steps": config.save_steps,
        "per_device_eval_batch_size": config.micro_batch,
        **{name: getattr(config, name) for name in SAME},
        **{item.name: getattr(objective, item.name) for item in fields(objective)},
    }
    usual = {
        "lr_scheduler_type": config.schedule,
        **{name: getattr(config, name) for name in ("weight_decay", "adam_beta2", "report_to")},
        "save_total_limit": 2,
        "logging_first_step": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "disable_tqdm": True,
    }
    return made(with_given(own, usual, config.trainer), on_the_machine=on_the_machine)


def make_trainer(
    config: Config,
    args: MPOConfig,
    model_path: str,
    processor: Any,
    rows: RowDataset,
    held_out: RowDataset | None = None,
) -> MPOTrainer:
    """The section's trainer on `rows`; `args` are its `arguments`."""
    if held_out is None:  # so few questions that the share is none of them
        args.eval_strategy = IntervalStrategy.NO
    folder = Path(args.output_dir)
    trainer = MPOTrainer(
        load_model(model_path),
        args,
        train_dataset=rows,
        eval_dataset=held_out,
        processing_class=processor,
        peft_config=_lora(config.lora),
        callbacks=[LogFile(folder / "log.jsonl"), ProgressBar(config.name), Watch(config.name, folder)],
    )
    if config.lora is not None and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise UserError("lora is merged into the saved model, which needs whole weights on a process: use DDP")
    trainer.remove_callback(PrinterCallback)  # the bar shows the loss, the file holds every line
    return trainer


def _lora(lora: Lora | None) -> Any:
    if lora is None:
        return None
    from mixpo.training.adapters import lora_config

    return lora_config(**{item.name: getattr(lora, item.name) for item in fields(lora)})


def _fingerprint(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _refuse_changed_data(folder: Path, fingerprint: str, source: Path) -> None:
    before = read_json(folder / "data.json")
    if before is not None and before["sha256"] != fingerprint:
        raise UserError(
            f"{source} has changed since {folder} was trained on it; delete {folder} or use another run folder"
        )
