"""Names that older versions of transformers and TRL had for training arguments."""

import functools
from typing import Any

from mixpo.validation import closest

RENAMED = {
    "warmup_ratio": "warmup_steps",
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "no_cuda": "use_cpu",
    "push_to_hub_token": "hub_token",
    "push_to_hub_model_id": "hub_model_id",
}
"""Names before, and since; the values are the same."""
DONE = {
    "overwrite_output_dir": (True, False),
    "save_safetensors": (True,),
    "use_mps_device": (True, False),
    "group_by_length": (False,),
}
"""Fields that are gone, with the values that say what is done anyhow."""
INSTEAD = {
    "save_safetensors": "weights are saved as safetensors",
    "logging_dir": "set the environment variable TENSORBOARD_LOGGING_DIR instead",
    "group_by_length": "rows of like length are put together within a step anyhow; leave it out",
    "fp16_backend": "leave it out",
    "half_precision_backend": "leave it out",
    "adafactor": "set optim='adafactor' instead",
    "max_target_length": "set max_completion_length and truncate_completions=True instead",
    "is_encoder_decoder": "models that read the prompt in an encoder of its own are not trained here; leave it out",
    "model_adapter_name": "adapters are given as peft_config, or with the model; leave it out",
    "ref_adapter_name": "the reference is the model as it is before the first step; leave it out",
    "force_use_ref_model": "a ref_model that is given is used; leave it out",
    "ref_model_init_kwargs": "load the reference yourself, and give it as ref_model",
    "label_pad_token_id": "completions are scored by their lengths; leave it out",
    "padding_value": "completions are scored by their lengths; leave it out",
    "use_logits_to_keep": "only completions are scored anyhow; leave it out",
    "use_num_logits_to_keep": "only completions are scored anyhow; leave it out",
    "use_liger_loss": "completions are scored in chunks anyhow (score_chunk); leave it out",
    "tools": "put what the model is told of tools into the prompts",
}
"""What to do about a field that is gone."""


def understands_older_names(cls: type) -> Any:
    """Decorates a dataclass of training arguments: names that were changed are understood, others refused.

    `__init__` then raises ValueError, a sentence, where it raised TypeError.
    """
    made = cls.__init__  # type: ignore[misc]

    @functools.wraps(made)
    def __init__(self: Any, *args: Any, **given: Any) -> None:
        made(self, *args, **_known(given, list(cls.__dataclass_fields__), cls.__name__))  # type: ignore[attr-defined]

    cls.__init__ = __init__  # type: ignore[misc]
    return cls


def _known(given: dict[str, Any], names: list[str], where: str) -> dict[str, Any]:
    found = {name: value for name, value in given.items() if name in names}
    for name, value in given.items():
        if name in names or value in DONE.get(name, ()) or (value is None and name in {*RENAMED, *DONE, *INSTEAD}):
            continue
        if name not in RENAMED:
            hint = INSTEAD.get(name) or closest(name, names) or "leave it out"
            raise ValueError(f"{where} has no field {name!r} (given: {value!r}): {hint}")
        if not found.get(RENAMED[name]):  # warmup_steps went before warmup_ratio
            found[RENAMED[name]] = value
    return found
