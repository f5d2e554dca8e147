"""Loading what is trained, and making it deterministic."""

from typing import Any

import torch
from torch import nn

from mixpo.errors import UserError, first_line


def load_model(path: str, dtype: str = "float32", trust_remote_code: bool = False) -> nn.Module:
    """A vision-language model from a folder or by hub name. Raises UserError when it is none.

    Its `checkpoint_dtype` is the one that the checkpoint's config names, None where it names none: a model that is
    trained in another is saved in that.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
        own = config.dtype
        model = AutoModelForImageTextToText.from_pretrained(
            path, config=config, dtype=getattr(torch, dtype), trust_remote_code=trust_remote_code
        )
        model.checkpoint_dtype = own
        return model
    except (OSError, ValueError) as error:
        raise UserError(f"model {path!r} cannot be loaded as a vision-language model: {first_line(error)}") from error


def load_processor(path: str, trust_remote_code: bool = False) -> Any:
    """Its processor: tokenizer, chat template and image preprocessing."""
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(path, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise UserError(f"model {path!r} has no processor that can be loaded: {first_line(error)}") from error


def switch_dropout_off(model: nn.Module) -> None:
    """Sets every dropout and stochastic-depth rate to 0: log-probabilities of policy and reference must be comparable.

    Rates live in `nn.Dropout` modules and in attributes such as `attention_dropout`, `layerdrop`, `drop_path`.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
