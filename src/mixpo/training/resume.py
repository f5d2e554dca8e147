"""A Trainer whose resumed run equals the uninterrupted one, step by step, killed at any moment."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import Trainer
from transformers.integrations.deepspeed import deepspeed_load_checkpoint
from transformers.trainer_utils import rotate_checkpoints

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
        """As Trainer's; True means the last complete checkpoint, if there is one (torn ones are removed).

        Raises UserError when no weight has changed, unless the learning rate is 0, which says so.
        """
        if resume_from_checkpoint is True:
            if self.is_world_process_zero():
                checkpoints.remove_torn(Path(self.args.output_dir))
            self.accelerator.wait_for_everyone()
            resume_from_checkpoint = checkpoints.last_complete(Path(self.args.output_dir))
        if resume_from_checkpoint:
            checkpoint = Path(resume_from_checkpoint)
            self.load_own_state(checkpoints.load_state(checkpoint), checkpoint)
        if not self.sharding.engine:
            self._remember()
        result = super().train(resume_from_checkpoint=resume_from_checkpoint or None, **kwargs)
        if self.args.learning_rate:
            refuse_unmoved(self, self.begun_with)
        return result

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
        if self._has_plain_weights(self.model):
            checkpoints.load_weights(self.model, self.state.best_model_checkpoint)
        else:
            super()._load_best_model()

    def _has_plain_weights(self, model: Any) -> bool:
        return not (hasattr(model, "disable_adapter") or self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As Trainer's, then the own state, whose presence says that the checkpoint is whole; only then are older
        ones deleted."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
            checkpoints.save_state(folder, self.own_state(folder))
            rotate_checkpoints(
                output_dir=str(folder.parent),
                save_total_limit=limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=False,
            )
