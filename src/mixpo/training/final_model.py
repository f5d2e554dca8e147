"""The trained model on its way to disk: whole, its adapter merged, in the precision of the checkpoint it came from."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mixpo.errors import UserError
from mixpo.models.load import CHECKPOINT_DTYPE, keep_generation_config
from mixpo.models.weight_files import new_model
from mixpo.training.adapters import merged_quantized
from mixpo.training.checkpoints import drop_checkpoints
from mixpo.training.sharding import Sharding, skeleton


class FinalModel:
    """What is saved of a model that is trained in float32, and perhaps in shares."""

    def __init__(self, model: Any, sharding: Sharding):
        """`model` is not prepared yet. Raises UserError for quantised weights that an engine divides: before they are
        trained, since what is learned on them could not be saved."""
        keep_generation_config(model)
        self.dtype: torch.dtype = getattr(model, CHECKPOINT_DTYPE, None) or model.dtype
        """Of the weights on disk (`load_model`); of a model that was given, of its weights as they are."""
        if _quantized(model) and sharding.engine:
            raise UserError("quantised weights cannot be gathered from an engine: train them in one process or DDP")
        self._frame: Any = None if _quantized(model) else skeleton(model)

    def of(self, model: nn.Module, sharding: Sharding) -> Any:
        """The whole model on the first process's CPU, an adapter beside its weights; None on the others.

        All processes take part. Weights are gathered one at a time on the device; the first process needs CPU memory
        for all of them in the checkpoint's precision, the others for none. An adapter's own weights stay as they are.
        """
        if self._frame is None:
            return model if sharding.accelerator.is_main_process else None
        adapted = hasattr(model, "peft_config")
        weights = {}
        for name, value in sharding.whole(model):
            if sharding.accelerator.is_main_process:
                keeps = not value.is_floating_point() or (adapted and name in self._trained)
                weights[name] = value.to("cpu", value.dtype if keeps else self.dtype)
        if not sharding.accelerator.is_main_process:
            return None
        self._frame.load_state_dict(weights, strict=False, assign=True)
        self._frame.tie_weights()
        left = [name for name, weight in self._frame.named_parameters() if weight.is_meta]
        assert not left, f"the engine gave no value for {left[0]}"
        return self._frame

    @property
    def _trained(self) -> set[str]:
        return {name for name, weight in self._frame.named_parameters() if weight.requires_grad}

    def merged(self, model: Any) -> Any:
        """Without its adapter, which is added to each layer's weights in float32, and then rounded once."""
        if not hasattr(model, "merge_and_unload"):
            return model
        if _quantized(model):
            return merged_quantized(model)
        from peft.tuners.tuners_utils import BaseTunerLayer

        for layer in model.modules():
            if isinstance(layer, BaseTunerLayer):
                layer.float()
                layer.merge()
                layer.to(self.dtype)
        return model.unload().to(self.dtype)


def _quantized(model: Any) -> bool:
    return getattr(model, "quantization_method", None) is not None


def save_model(trainer: Any, folder: Path) -> None:
    """The final model appears whole or not at all; the checkpoints for resuming are then deleted."""
    model = trainer.final.of(trainer.model, trainer.sharding)
    if model is not None:
        with new_model(folder / "model") as place:
            trainer.final.merged(model).save_pretrained(place)
            trainer.processing_class.save_pretrained(place)
        drop_checkpoints(folder)
    trainer.accelerator.wait_for_everyone()
