"""The step `train`: preference pairs (MPO) or demonstrations (SFT) -> checkpoint."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, SchedulerType

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout
from mixpo.errors import DataError, UserError
from mixpo.files import RunFiles, Shards, read_json, write_text
from mixpo.images import ImageRoots
from mixpo.losses.objective import Objective
from mixpo.losses.reward_shift import RewardShift
from mixpo.models.load import load_model, load_processor
from mixpo.progress import say, track
from mixpo.records import Dropped
from mixpo.training.callbacks import LogFile, ProgressBar
from mixpo.training.config import MPOConfig
from mixpo.training.rows import Rows
from mixpo.training.selection import at_most, split_held_out, usable
from mixpo.training.signatures import Watch
from mixpo.training.tracking import check_tracker
from mixpo.training.trainer import MPOTrainer


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A LoRA adapter (peft); its weights are merged into the saved model."""

    r: int = 16
    alpha: int = 32
    target_modules: str = "all-linear"


@dataclass(frozen=True, kw_only=True)
class Losses(Objective):
    """What is minimised: the objective, and BCO's reward shift."""

    reward_shift: str = "mean"
    """mean, ema or none."""
    reward_shift_decay: float = 0.9

    def __post_init__(self) -> None:
        Objective.__post_init__(self)
        RewardShift(self.reward_shift, self.reward_shift_decay)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Defaults: the paper's objective and schedule (arXiv 2411.10442, sections 3.3 and 4.1)."""

    name: str = "train"
    model: str = "base"
    seed: int = 0
    pairs: str = "pair"
    """The section whose pairs are trained on; unused when `demonstrations` is given."""
    demonstrations: str = ""
    """The section whose demonstrations are trained on (SFT: only the generation loss)."""
    questions: str = "questions"
    """The section whose images the records name."""
    max_records: int | None = None
    """Train on at most so many of the records, drawn with the seed; None: on all."""
    held_out: float = 0.0
    """Share of the questions whose pairs are not trained on but told apart every `save_steps`, to see overfitting."""
    objective: Losses = field(default_factory=Losses)
    """With demonstrations, preference and quality have weight 0 whatever stands here."""
    reference_update_steps: int = 0
    """TR-DPO (arXiv 2404.09656): optimizer steps between updates of the reference; 0: it never moves."""
    reference_update_weight: float = 0.6
    """TR-DPO's alpha, the policy's share in an update: 0.5 to 0.6 every few steps, or 1 every few hundred."""
    learning_rate: float = 5e-6
    warmup: float = 0.05
    """Share of the steps."""
    schedule: str = "cosine"
    epochs: float = 1.0
    batch: int = 256
    """Pairs (or demonstrations) an optimizer step."""
    micro_batch: int = 16
    """Pairs a forward pass; it changes speed and memory, not the loss."""
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    max_completion_length: int = 4096
    """Tokens; a pair with a longer completion is dropped, with its reason."""
    layout: Layout = Layout.AUTO
    pairs_per_group: int = 4
    """Pairs of one question in succession, so that its image and prompt are computed once for all of them."""
    row_tokens: int | None = None
    """Most tokens of a packed row (none: the whole micro-batch); it bounds memory, and does not change the loss."""
    reference: str = "live"
    """live (a frozen copy of the model), or cached (its log-probabilities are computed first and kept on disk)."""
    save_steps: int = 100
    logging_steps: int = 1
    report_to: str = "none"
    """A tracker by the name that transformers has for it: tensorboard, wandb, trackio, mlflow …"""
    lora: Lora | None = None

    def __post_init__(self) -> None:
        for name in ("batch", "micro_batch", "save_steps", "logging_steps", "max_completion_length", "pairs_per_group"):
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
        if self.reference_update_steps < 0 or not 0 < self.reference_update_weight <= 1:
            raise ValueError("reference_update_steps must be at least 0, reference_update_weight above 0 and at most 1")
        if self.epochs <= 0 or self.learning_rate < 0 or not 0 <= self.warmup < 1:
            raise ValueError("epochs must be above 0, learning_rate at least 0, warmup a share below 1")
        if self.schedule not in list(SchedulerType):
            raise ValueError(f"schedule {self.schedule!r} is none of {', '.join(SchedulerType)}")


def run(config: Config, files: RunFiles) -> None:
    """Trains, or goes on with a training that was killed, and saves the model to `checkpoints/<name>/model`.

    With torchrun or `accelerate launch`, every process calls it, and the first one writes.
    """
    first = os.environ.get("RANK", "0") == "0"
    check_tracker(config.report_to)
    folder = files.checkpoints(config.name)
    source: Shards[Any] = (
        files.demonstrations(config.demonstrations) if config.demonstrations else files.pairs(config.pairs)
    )
    fingerprint = _fingerprint(source.paths())
    if (folder / "model").exists():
        _refuse_changed_data(folder, fingerprint, source.folder)
        _drop_checkpoints(folder)
        say(f"{config.name}: trained already ({folder / 'model'})")
        return
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
    cached = config.reference == "cached" and not config.demonstrations and not config.reference_update_steps
    cache = files.reference(config.model) if cached else None
    unseen = Rows(held_out, roots) if held_out else None
    rows = Rows(records, roots, fingerprint)
    trainer = make_trainer(config, folder, model_path, processor, rows, cache, unseen)
    trainer.train(resume_from_checkpoint=True)
    _save(trainer, folder)
    say(f"{config.name}: {len(records)} records, {trainer.state.global_step} steps; model in {folder / 'model'}")


def make_trainer(
    config: Config,
    folder: Path,
    model_path: str,
    processor: Any,
    rows: Rows,
    cache: Path | None,
    held_out: Rows | None = None,
) -> MPOTrainer:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if config.batch % (config.micro_batch * processes):
        raise UserError(
            f"batch ({config.batch}) must be a multiple of micro_batch ({config.micro_batch}) times the processes "
            f"({processes})"
        )
    losses = config.objective
    if config.demonstrations:
        losses = replace(losses, preference_weight=0.0, quality_weight=0.0)
    objective = {item.name: getattr(losses, item.name) for item in fields(losses)}
    args = MPOConfig(
        output_dir=str(folder),
        seed=config.seed,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup,
        lr_scheduler_type=config.schedule,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=config.batch // (config.micro_batch * processes),
        weight_decay=config.weight_decay,
        adam_beta2=config.adam_beta2,
        max_grad_norm=config.max_grad_norm,
        layout=config.layout,
        reference_update_steps=config.reference_update_steps,
        reference_update_weight=config.reference_update_weight,
        pairs_per_group=config.pairs_per_group,
        row_tokens=config.row_tokens,
        reference_cache=None if cache is None else str(cache),
        save_steps=config.save_steps,
        eval_strategy="no" if held_out is None else "steps",
        eval_steps=config.save_steps,
        per_device_eval_batch_size=config.micro_batch,
        save_total_limit=2,
        logging_steps=config.logging_steps,
        logging_first_step=True,
        report_to=config.report_to,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        **objective,
    )
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


def _save(trainer: MPOTrainer, folder: Path) -> None:
    """The final model appears whole or not at all; the checkpoints for resuming are then deleted."""
    staged = folder / "model.staged"
    first = trainer.is_world_process_zero()
    if first:
        shutil.rmtree(staged, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    model: Any = trainer.model
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        trainer.save_model(str(staged))  # all processes take part: each has a share of the weights
        (staged / "training_args.bin").unlink(missing_ok=True)
    elif first:
        if hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload()
        model.save_pretrained(staged)
    if first:
        trainer.processing_class.save_pretrained(staged)
        staged.rename(folder / "model")
        _drop_checkpoints(folder)
    trainer.accelerator.wait_for_everyone()


def _drop_checkpoints(folder: Path) -> None:
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


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
