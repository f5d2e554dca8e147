"""A Trainer whose resumed run equals the uninterrupted one, step by step, killed at any moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list, gather_object
from torch import nn
from transformers import Trainer
from transformers.integrations.deepspeed import deepspeed_load_checkpoint

from mixpo.errors import UserError
from mixpo.models.weight_files import saving
from mixpo.progress import say
from mixpo.training import checkpoints
from mixpo.training.final_model import FinalModel
from mixpo.training.moved import checksums, refuse_unmoved
from mixpo.training.sharding import Sharding


class ResumableTrainer(Trainer):
    """transformers' Trainer with strict weights, whole checkpoints, and a state of its own beside the weights."""

    sharding: Sharding
    final: FinalModel
    begun_with: list[int]
    """`checksums` of what is trained, before anything is: at the first call of `train`."""
    whole: Path | None = None
    """The checkpoint that holds the training as it is at its step: the one that it went on from, or wrote last."""

    def own_state(self, checkpoint: Path) -> dict[str, Any]:
        """What a subclass must have back on resume (JSON); it may write files of its own to the checkpoint's folder."""
        raise NotImplementedError

    def load_own_state(self, state: dict[str, Any], checkpoint: Path) -> None:
        raise NotImplementedError

    def create_model_card(
        self, model_name: str | None = None, dataset_name: str | None = None, tags: Any = None, **more: Any
    ) -> None:
        """As Trainer's, with the names and the order of TRL's; `push_to_hub(dataset_name=...)` ends here."""
        more = more if dataset_name is None else {"dataset": dataset_name, **more}
        super().create_model_card(model_name=model_name, tags=tags, **more)

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As Trainer's; True means the newest whole checkpoint, or to begin anew where there is none, and what was left
        is said; a path means that one.

        Raises UserError for a path to a damaged one, and when no weight has changed, unless the learning rate is 0,
        which says so.
        """
        if resume_from_checkpoint is True:
            resume_from_checkpoint = self._newest_whole()
        elif resume_from_checkpoint and (why := self._anywhere(checkpoints.fault, Path(resume_from_checkpoint))):
            raise UserError(
                f"{resume_from_checkpoint} is no whole checkpoint of an MPO training: {why}; choose another, or let "
                "resume_from_checkpoint=True take the newest whole one"
            )
        self.whole = Path(resume_from_checkpoint).resolve() if resume_from_checkpoint else None
        if self.whole is not None:
            self._load_own(self.whole)
        if not self.sharding.engine:
            self._remember()
        result = super().train(resume_from_checkpoint=resume_from_checkpoint or None, **kwargs)
        if self.args.learning_rate:
            refuse_unmoved(self, self.begun_with)
        return result

    def _newest_whole(self) -> str | None:
        """The same on all processes; also deletes what a killed process was writing."""
        folder = Path(self.args.output_dir)
        found: list[Path] = broadcast_object_list([checkpoints.numbered(folder)])[0]
        left: list[tuple[Path, str]] = []
        chosen = None
        for checkpoint in found:
            if not (why := self._anywhere(checkpoints.fault, checkpoint)):
                chosen = checkpoint
                break
            left.append((checkpoint, why))
        if left and self.is_world_process_zero():
            say(checkpoints.told(left, chosen))
        if self.args.should_save:
            checkpoints.remove_unfinished(folder)
        self.accelerator.wait_for_everyone()
        return str(chosen) if chosen else None

    def _anywhere(self, look: Callable[[Path], str], checkpoint: Path) -> str:
        """What any of the processes that write checkpoints finds wrong with one; all processes ask together."""
        return next(filter(None, gather_object([look(checkpoint) if self.args.should_save else ""])), "")

    def _load_own(self, checkpoint: Path) -> None:
        try:
            self.load_own_state(checkpoints.load_state(checkpoint), checkpoint)
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{checkpoint / checkpoints.STATE_FILE} does not fit this training ({error}); delete {checkpoint} to "
                "go on from the one before, or train in another folder"
            ) from error

    def _remember(self) -> None:
        if not hasattr(self, "begun_with"):
            self.begun_with = list(checksums(self.model, self.sharding))

    def before_loading(self) -> None:
        """What is to be done with the first weights once an engine has them, before a checkpoint's take their place."""

    def create_accelerator_and_postprocess(self) -> None:
        """Raises UserError for arguments with which what accelerate was told cannot work."""
        super().create_accelerator_and_postprocess()
        self.sharding = Sharding(self.accelerator)
        self.sharding.settle(self.args)

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: Any) -> Any:
        if not self.sharding.engine:
            return super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        prepared = super()._prepare_for_training(max_steps, train_dataloader, None)
        self._remember()
        self.before_loading()
        if resume_from_checkpoint is not None:
            self._load_prepared(resume_from_checkpoint)
        return prepared

    def _load_prepared(self, checkpoint: str) -> None:
        """What Trainer loads after an engine has taken the model over."""
        if self.is_deepspeed_enabled:
            deepspeed_load_checkpoint(
                self.model_wrapped, checkpoint, load_module_strict=not hasattr(self.model, "peft_config")
            )
        else:
            self._load_from_checkpoint(checkpoint, self.model_wrapped)
        self._load_optimizer_and_scheduler(checkpoint)
        self._load_scaler(checkpoint)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As Trainer's, in the precision of the checkpoint that the model was loaded from, and whole.

        A checkpoint of an engine (`_internal_call`) holds the engine's own files alone: whole weights beside them would
        be gathered and written at every `save_steps`, and nothing reads them.
        """
        if _internal_call and self.sharding.engine:
            return
        as_it_is = hasattr(self.model, "peft_config") or self.final.dtype == self.model.dtype
        if _internal_call or (as_it_is and not self.sharding.engine):
            super().save_model(output_dir, _internal_call)
            return
        model = self.final.of(self.model, self.sharding)
        if model is not None:
            folder = output_dir or self.args.output_dir
            model.save_pretrained(folder)
            self.processing_class.save_pretrained(folder)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Strictly, through `from_pretrained`: Trainer's own way skips renamed keys and goes on from other weights."""
        target = model if model is not None else self.model
        if self._has_plain_weights(target):
            checkpoints.load_weights(target, resume_from_checkpoint)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        """Raises UserError where the best checkpoint is damaged."""
        best = Path(self.state.best_model_checkpoint)
        if why := self._anywhere(checkpoints.damage, best):
            raise UserError(f"{best}, the best one, is damaged: {why}; load_best_model_at_end=False keeps the last")
        if self._has_plain_weights(self.model):
            checkpoints.load_weights(self.model, str(best))
        else:
            super()._load_best_model()

    def _has_plain_weights(self, model: Any) -> bool:
        return not (hasattr(model, "disable_adapter") or self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As Trainer's, then the own state, whose presence says that the checkpoint is whole; only then are older
        ones deleted. Raises UserError when the disk is full: older ones stay, and what was written of this one goes."""
        folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
        if folder.resolve() == self.whole:
            return
        try:
            with saving(folder):
                self._write_checkpoint(model, trial, folder)
        except UserError:
            if self.args.should_save and checkpoints.is_ours(folder):
                checkpoints.discard(folder)
            raise
        self.whole = folder.resolve()

    def _write_checkpoint(self, model: nn.Module, trial: Any, folder: Path) -> None:
        if self.args.should_save:
            checkpoints.begin(folder)
        self.accelerator.wait_for_everyone()
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            checkpoints.seal(folder, self.own_state(folder))
            checkpoints.rotate(folder, limit, self.state.best_model_checkpoint)
