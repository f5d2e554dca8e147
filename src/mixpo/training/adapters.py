"""LoRA and other adapters, through peft."""

from typing import Any

from torch import nn

from mixpo.errors import MissingExtra


def with_adapter(model: nn.Module, peft_config: Any) -> nn.Module:
    """The model with a new adapter; only its weights are trained. Raises MissingExtra without peft."""
    try:
        from peft import get_peft_model
    except ImportError as error:
        raise MissingExtra("peft", "peft") from error
    return get_peft_model(model, peft_config)


def lora_config(*, r: int, alpha: int, target_modules: str) -> Any:
    """A LoRA configuration on the linear layers (LoRA, arXiv 2106.09685). Raises MissingExtra without peft."""
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtra("peft", "peft") from error
    return LoraConfig(r=r, lora_alpha=alpha, target_modules=target_modules, lora_dropout=0.0)
