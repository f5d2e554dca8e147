"""LoRA and other adapters, through peft."""

import copy
import re
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from mixpo.errors import MissingExtra, UserError, first_line
from mixpo.models.load import load_model


def with_adapter(model: nn.Module, peft_config: Any) -> nn.Module:
    """The model with a new adapter, in float32 whatever the model is in; only its weights are trained.

    Raises MissingExtra without peft; UserError where it finds no layer to adapt, for a model that has an adapter
    already (as TRL does: which of them would be trained?), and for one of which nothing is trained.
    """
    if peft_config is None:
        if not any(weight.requires_grad for weight in model.parameters()):
            raise UserError(
                "no weight of the model is to be trained (requires_grad is False for all of them); load an adapter "
                "with is_trainable=True, or give a peft_config"
            )
        return model
    if hasattr(model, "peft_config"):
        raise UserError(
            "the model has an adapter already, and peft_config asks for another; leave peft_config out to go on "
            "training the adapter, or merge it first (model = model.merge_and_unload())"
        )
    try:
        from peft import get_peft_model
    except ImportError as error:
        raise MissingExtra("peft", "peft") from error
    try:
        return get_peft_model(model, peft_config, autocast_adapter_dtype=True)
    except ValueError as error:
        raise UserError(f"lora: {first_line(error)}") from error


def lora_config(*, r: int, alpha: int, target_modules: str | Sequence[str], frozen: Iterable[str] = ()) -> Any:
    """A LoRA configuration on linear layers (LoRA, arXiv 2106.09685), none of them among the modules `frozen`.

    Raises MissingExtra without peft.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtra("peft", "peft") from error
    names = [target_modules] if isinstance(target_modules, str) else list(target_modules)
    # peft takes a text alone for a pattern of whole names, and the entries of a list for ends of names.
    pattern = len(names) == 1 and not is_end(names[0])
    return LoraConfig(
        r=r,
        lora_alpha=alpha,
        target_modules=names[0] if pattern else names,
        exclude_modules=list(frozen) or None,
        lora_dropout=0.0,
    )


def is_end(name: str) -> bool:
    """Whether one of the `target_modules` is the end of layers' names: neither `all-linear` nor a pattern."""
    return re.fullmatch(r"[\w.]+", name) is not None


def refuse_absent(model: nn.Module, target_modules: str | Sequence[str]) -> None:
    """Raises UserError for an end of names that no layer has: peft says nothing as long as another one is found."""
    names = [target_modules] if isinstance(target_modules, str) else list(target_modules)
    layers = [f".{name}" for name, _ in model.named_modules()]
    for name in names:
        if is_end(name) and not any(layer.endswith(f".{name}") for layer in layers):
            raise UserError(f"lora: target_modules: {name!r} is not found at the end of any layer's name")


def merged_quantized(policy: Any) -> nn.Module:
    """The trained model without its adapter, which quantised weights cannot take in: the checkpoint, read again in its
    own precision, with what was learned."""
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    own_code = not type(policy.get_base_model()).__module__.startswith("transformers.")  # which has run already
    whole = load_model(policy.name_or_path, "checkpoint", own_code)
    whole = get_peft_model(whole, copy.deepcopy(policy.active_peft_config))
    set_peft_model_state_dict(whole, get_peft_model_state_dict(policy))
    return whole.merge_and_unload()
