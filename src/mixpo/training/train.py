"""The step `train`: preference pairs (MPO) or demonstrations (SFT) -> checkpoint."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import IntervalStrategy, PrinterCallback

from mixpo import notes
from mixpo.batches.encode import Encoder
from mixpo.errors import DataError, FieldError, UserError
from mixpo.files import RunFiles, Shards
from mixpo.ids import at_most
from mixpo.images import ImageRoots
from mixpo.left_out import LeftOut, counted
from mixpo.models.attention import cross_attends
from mixpo.models.load import load_config, load_processor
from mixpo.models.picture_limits import same_tiles
from mixpo.models.weight_files import refuse_damaged
from mixpo.progress import say, track
from mixpo.records import Dropped
from mixpo.references import Output
from mixpo.text_files import damaged, opened, write_text
from mixpo.training import few_records
from mixpo.training.adapters import lora_config, refuse_absent
from mixpo.training.arguments import CHECKPOINTING
from mixpo.training.callbacks import LogFile, ProgressBar, course
from mixpo.training.checkpoints import drop_checkpoints
from mixpo.training.config import MPOConfig
from mixpo.training.final_model import save_model
from mixpo.training.machine import begin_alone, own_environment, refuse_optimizer
from mixpo.training.policy import load_policy, modules_of
from mixpo.training.reading import pictures_apart
from mixpo.training.rows import RowDataset
from mixpo.training.section import Config, arguments, processes
from mixpo.training.selection import spelled, split_held_out, usable
from mixpo.training.setup import checkpoints, computed_as
from mixpo.training.tracking import check_installed
from mixpo.training.trainer import MPOTrainer
from mixpo.training.warning_signs import Watch
from mixpo.training.words import Lora

__all__ = ["Config", "Lora", "arguments", "make_trainer", "run"]

WRITES = (Output.MODEL,)


Fits = Callable[[Config, str, Any, RowDataset], bool | None]
"""Asked with the section, its model, its processor and its rows, before the model is loaded: whether layers must be
checkpointed to fit the GPU's memory; None where that is not known. Raises UserError where they do not fit even so."""


@own_environment()
def run(config: Config, files: RunFiles, fits: Fits | None = None) -> None:
    """Trains, or goes on with a training that was killed, and saves the model to `checkpoints/<name>/model`.

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
        _leave_done(config, folder)
        return
    begin_alone(config)
    args = _arguments(config, files)
    if args.layout != config.layout and first:
        why = "what is read are rows" if config.read else f"{config.attention} takes no mask"
        say(f"{config.name}: layout: {args.layout}, since {why}")
    model_path = files.model(config.model)
    processor = load_processor(model_path, inputs=config.inputs)
    dropped: list[Dropped] = []
    roots = ImageRoots.load(files.image_roots_file(config.questions))
    encoder = Encoder(processor, config.max_completion_length)
    encoder.fit(model_config := load_config(model_path, config.trust_remote_code))
    records = usable(track(source, f"{config.name}: check"), encoder, roots, config.name, dropped)
    speller = None
    if config.read and records:
        records, speller = spelled(records, encoder, roots, model_config, config.name, dropped)
    if first:
        files.dropped(config.name).replace(dropped)
    what = "demonstration" if config.demonstrations else "pair"
    left_out = _left_out(config, what, dropped, files)
    if not records:
        raise left_out.nothing_left(f"{source.folder} holds nothing to train on")
    left_out.tell()
    records, held_out = split_held_out(records, config.held_out)
    records = at_most(records, config.max_records, config.seed)
    if not records:
        raise DataError(f"{config.name}: held_out: {config.held_out:g} takes all {len(held_out)} records; say less")
    _refuse_changed_data(folder, fingerprint, source.folder)
    used = few_records.used(config, len(records), processes(), folder)
    if first:
        told = {"sha256": fingerprint, "records": len(records), "batch": used.batch}
        write_text(folder / "data.json", json.dumps(told))
    if said := few_records.note(config, used, len(records)):
        say(f"note: {said}")
    if used != config:
        config, args = used, _arguments(used, files)
    rows = RowDataset(records, roots, fingerprint)
    if fits is not None and fits(config, model_path, processor, rows) is False and checkpoints(config) is None:
        setattr(args, CHECKPOINTING, False)
    trainer = make_trainer(config, args, model_path, processor, rows, RowDataset(held_out, roots) if held_out else None)
    trainer.scored_by = speller or trainer.scored_by
    trainer.train(resume_from_checkpoint=True)
    save_model(trainer, folder)
    done = f"{counted(len(records), what)}, {counted(trainer.state.global_step, 'step')}"
    say(f"{config.name}: {done}{course(trainer.state.log_history)}; model in {folder / 'model'}")


def _left_out(config: Config, what: str, dropped: list[Dropped], files: RunFiles) -> LeftOut:
    left_out = LeftOut(config.name, what, place=files.dropped(config.name).folder)
    for entry in dropped:
        left_out.drop(entry)
    return left_out


def _leave_done(config: Config, folder: Path) -> None:
    refuse_damaged(folder / "model")
    drop_checkpoints(folder)
    lines = list(notes.logged(folder / "log.jsonl"))
    say(f"{config.name}: trained already{course(lines)}; model in {folder / 'model'}")


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
    model = load_policy(model_path, config, args)
    same_tiles(model, processor)
    if config.read and cross_attends(model):
        raise UserError(pictures_apart(type(model).__name__))
    adapter = None
    if config.lora is not None:
        refuse_absent(model, config.lora.target_modules)
        adapter = lora_config(**vars(config.lora), frozen=modules_of(model, config.freeze))
    trainer = MPOTrainer(
        model,
        args=args,
        train_dataset=rows,
        eval_dataset=held_out,
        processing_class=processor,
        peft_config=adapter,
        callbacks=[LogFile(folder / "log.jsonl"), ProgressBar(config.name), Watch(config.name, folder)],
    )
    trainer.remove_callback(PrinterCallback)  # the bar shows the loss, the file holds every line
    return trainer


def _arguments(config: Config, files: RunFiles) -> MPOConfig:
    """Raises FieldError with the section's name for what only this machine can tell."""
    cached = config.reference == "cached" and not config.demonstrations and not config.reference_update_steps
    try:
        args = arguments(config, files.checkpoints(config.name), files.reference(config.model) if cached else None)
    except FieldError as error:
        raise FieldError((config.name, *error.path), error.sentence) from error
    args.trust_remote_code = config.trust_remote_code
    check_installed(args.report_to)
    refuse_optimizer(args)
    if cached:
        args.reference_cache = str(_cache(config, files, args))
    return args


def _cache(config: Config, files: RunFiles, args: MPOConfig) -> Path:
    """Folder of the cached reference: one for all sections that start from a model and compute it in the same way."""
    folder = files.reference(config.model)
    how = computed_as(config, args.mixed_precision)
    if stated := config.stated():
        digest = hashlib.blake2b(json.dumps(stated, sort_keys=True).encode(), digest_size=4).hexdigest()
        how = "-".join(filter(None, (how, f"inputs-{digest}")))
    return folder.with_name(f"{folder.name}@{how}") if how else folder


def _fingerprint(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            with opened(path) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise damaged(path, error) from error
    return digest.hexdigest()


def _refuse_changed_data(folder: Path, fingerprint: str, source: Path) -> None:
    before = notes.read(folder / "data.json", notes.TrainedOn)
    if before is not None and before.sha256 != fingerprint:
        raise UserError(
            f"{source} has changed since {folder} was trained on it; delete {folder} or use another run folder"
        )
