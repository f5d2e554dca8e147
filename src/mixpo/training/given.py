"""What MPOTrainer is given, as TRL's DPOTrainer is: understood, loaded where it is a name, or refused in a sentence."""

import logging
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout
from mixpo.errors import UserError
from mixpo.models.attention import prepare
from mixpo.models.cpu_model import speed_up
from mixpo.models.load import Attention, load_model, load_processor, refuse_other_vocabulary
from mixpo.models.vision import take_single_tokens
from mixpo.training.choose_layout import refuse_without_flex
from mixpo.training.compiled import compile_layers
from mixpo.training.config import MPOConfig
from mixpo.training.recompute import manage_memory

log = logging.getLogger(__name__)

OPTIMIZER = "optimizer_cls_and_kwargs"
REFUSED = {
    "data_collator": "MPOTrainer encodes rows itself, as processing_class does; change the rows instead, with "
    "dataset.map or dataset.with_transform",
    "compute_metrics": "evaluation keeps no logits to compute it from; it logs losses, rewards, margins and "
    "accuracies, to which a callback's on_evaluate can add",
    "preprocess_logits_for_metrics": "evaluation keeps no logits",
    "compute_loss_func": "the loss is that of args (preference, quality, generation)",
    "model_init": "give model, or its name",
    "tokenizer": "give the model's processor as processing_class",
}
"""Arguments of DPOTrainer's, of this or an older version, that mean nothing here, and what to do."""


def arguments_of(args: Any, model: Any) -> MPOConfig:
    """The trainer's arguments: an MPOConfig as it is, another configuration as an MPOConfig, or the defaults.

    Raises UserError for what is none, and for what it says that is not done here.
    """
    if args is None:
        args = MPOConfig(output_dir=f"{_name(model).rstrip('/').split('/')[-1]}-MPO")
    if not isinstance(args, TrainingArguments):
        raise UserError(f"args must be an MPOConfig (or TRL's DPOConfig), not {type(args).__name__}")
    try:
        if not isinstance(args, MPOConfig):
            return MPOConfig.from_dpo(args)
        args.settle()  # what was set since it was made
    except ValueError as error:
        raise UserError(str(error)) from error
    return args


def passed_on(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those that Trainer understands. Raises UserError for one that is not None and means nothing here."""
    for name, value in arguments.items():
        if value is None or name == OPTIMIZER:
            continue
        if name in MPOConfig.__dataclass_fields__:
            raise UserError(f"MPOTrainer takes no {name!r}: say it in args, as MPOConfig({name}={value!r})")
        raise UserError(f"MPOTrainer takes no {name!r}: {REFUSED.get(name, 'leave it out')}")
    return {OPTIMIZER: arguments.get(OPTIMIZER)}


def models_of(model: Any, ref_model: Any, args: MPOConfig, quantization: Any) -> tuple[nn.Module, nn.Module | None]:
    """The policy and, where one is given, the reference; `quantization` is bitsandbytes' configuration of a model given
    by name.

    Raises UserError for what cannot be loaded, or is not to be.
    """
    if isinstance(ref_model, TrainingArguments):
        raise UserError("the second argument of MPOTrainer is ref_model, as in TRL; write args=MPOConfig(...)")
    if ref_model is model and not isinstance(model, str):
        raise UserError("model and ref_model are the same object, which training changes; leave ref_model out")
    if not isinstance(model, str):
        if quantization is not None:
            raise UserError("quantization_config is for a model given by name: load yours with it, or give its name")
        if args.model_init_kwargs:
            log.warning("model_init_kwargs are for a model given by name, and this one is loaded: they are not used")
    loaded = [_loaded(one, args, quantization) if isinstance(one, str) else one for one in (model, ref_model)]
    return loaded[0], loaded[1]


def _loaded(name: str, args: MPOConfig, quantization: Any) -> nn.Module:
    options = _options(args)
    if quantization is not None:
        if "quantization_config" in options:
            raise UserError("quantization_config is given to MPOTrainer and in model_init_kwargs; say it once")
        options["quantization_config"] = quantization
    dtype = options.pop("dtype", options.pop("torch_dtype", None)) or "float32"
    dtype = "checkpoint" if dtype == "auto" else str(dtype).removeprefix("torch.")
    if dtype != "checkpoint" and not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise UserError(f"model_init_kwargs: dtype {dtype!r} is none of auto, float32, bfloat16, float16")
    trust = options.pop("trust_remote_code", args.trust_remote_code)
    return load_model(name, dtype, trust, args.attention, **options)


def processor_of(given: Any, model: Any, args: MPOConfig) -> Any:
    """The processor given, or that of the folder or hub name that the model (or its name) came from.

    Raises UserError where there is none.
    """
    name = _name(model)
    if given is not None:
        return given
    if not name:
        raise UserError("MPOTrainer needs processing_class: the model's processor (AutoProcessor.from_pretrained)")
    options = _options(args)
    trust = options.get("trust_remote_code", args.trust_remote_code)
    return load_processor(name, trust, revision=options.get("revision"))


def encoder_for(model: nn.Module, args: MPOConfig, processor: Any) -> Encoder:
    """What makes a model's examples of rows, as the arguments say. Raises UserError for another model's processor."""
    encoder = Encoder(
        processor, args.max_completion_length, args.truncate_completions, args.needs_rejected, args.max_length
    )
    refuse_other_vocabulary(model, processor)
    encoder.fit(model.config)
    return encoder


def make_ready(model: nn.Module, head: Any, layout: Layout, args: MPOConfig) -> None:
    """Has a model compute as the arguments say. Raises UserError for an attention it does not take."""
    speed_up(model, but=head.module, device=args.device)
    take_single_tokens(model)
    if layout is not Layout.PAIRED:
        prepare(model, args.device, flex=args.attention != Attention.SDPA)
    refuse_without_flex(args.attention, model)
    manage_memory(model, args)
    if args.compile:
        compile_layers(model)


def _options(args: MPOConfig) -> dict[str, Any]:
    """`model_init_kwargs`, whose text on a command line is a JSON object. Raises UserError for another text."""
    if isinstance(args.model_init_kwargs, str):
        raise UserError(
            f"model_init_kwargs={args.model_init_kwargs!r} must be a dictionary, or JSON that begins with {{"
        )
    return dict(args.model_init_kwargs or {})


def _name(model: Any) -> str:
    return model if isinstance(model, str) else getattr(model.config, "_name_or_path", "")
