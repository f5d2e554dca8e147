"""A Trainer whose resumed run equals the uninterrupted one, step by step, killed at any moment."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from mixpo.training import checkpoints


class ResumableTrainer(Trainer):
    """transformers' Trainer with strict weights, whole checkpoints, and a state of its own beside the weights."""

    def own_state(self, checkpoint: Path) -> dict[str, Any]:
        """What a subclass must have back on resume (JSON); it may write files of its own to the checkpoint's folder."""
        raise NotImplementedError

    def load_own_state(self, state: dict[str, Any], checkpoint: Path) -> None:
        raise NotImplementedError

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As Trainer's; True means the last complete checkpoint, if there is one (torn ones are removed)."""
        if resume_from_checkpoint is True:
            if self.is_world_process_zero():
                checkpoints.remove_torn(Path(self.args.output_dir))
            self.accelerator.wait_for_everyone()
            resume_from_checkpoint = checkpoints.last_complete(Path(self.args.output_dir))
        if resume_from_checkpoint:
            checkpoint = Path(resume_from_checkpoint)
            self.load_own_state(checkpoints.load_state(checkpoint), checkpoint)
        return super().train(resume_from_checkpoint=resume_from_checkpoint or None, **kwargs)

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
