"""Loading what is trained, and making it deterministic."""

import logging
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from mixpo.errors import UserError
from mixpo.model_inputs import AS_IS, ModelInputs
from mixpo.models.checked import loading, reason_of, refuse_crafted, refuse_missing
from mixpo.models.found import found
from mixpo.models.picture_limits import limit
from mixpo.models.template_options import set_options

log = logging.getLogger(__name__)


class Attention(StrEnum):
    AUTO = "auto"
    SDPA = "sdpa"
    """torch's scaled_dot_product_attention, by parts of a shared row."""
    FLASH = "flash_attention_2"
    """The package flash-attn; in the paired layout alone, since it takes no mask."""
    FLEX = "flex"
    """FlexAttention for the language model in shared rows; on a GPU, where the model takes it."""
    EAGER = "eager"
    """Plain products, for comparison."""


class Quantize(StrEnum):
    NONE = "none"
    FOUR = "4bit"
    """NF4 with double quantisation (QLoRA, arXiv 2305.14314)."""
    EIGHT = "8bit"
    """LLM.int8 (arXiv 2208.07339)."""


CHECKPOINT_DTYPE = "checkpoint_dtype"
"""The attribute of a loaded model that holds the torch.dtype of its checkpoint's weights: what to save it in, whatever
it is trained in. A copy of the model has it, too, and so has what peft makes of it."""


def load_model(
    path: str,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    attention: str = Attention.AUTO,
    quantize: str = Quantize.NONE,
    **more: Any,
) -> nn.Module:
    """A vision-language model from a folder or by hub name, its weights in `dtype`; "checkpoint": in the checkpoint's,
    by its config, "auto": by its weights where that says none. `more`: what `from_pretrained` is told besides.

    Quantised weights (of linear layers but the head) are bitsandbytes', multiplied in `dtype`. The model has one
    attribute more, `CHECKPOINT_DTYPE`. Raises UserError when it is none, is damaged, or does not know the attention.
    """
    from transformers import AutoModelForImageTextToText

    path = found(path)
    given: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if attention not in (Attention.AUTO, Attention.FLEX):  # FlexAttention is `models.attention.prepare`'s
        given["attn_implementation"] = attention
    own = checkpoint_dtype(path, trust_remote_code, more.get("revision"))
    with loading(path):
        numbers: Any = own if dtype == "checkpoint" else dtype if dtype == "auto" else getattr(torch, dtype)
        if quantize != Quantize.NONE:
            given["quantization_config"] = _bits(quantize, numbers)
        _refuse_lying(path, trust_remote_code)
        model, told = AutoModelForImageTextToText.from_pretrained(
            path, dtype=numbers, output_loading_info=True, **(given | more)
        )
    if missing := sorted(told["missing_keys"]):
        raise UserError(
            f"model {path!r} cannot be loaded: {len(missing)} of its weights are in none of its files (the first is "
            f"{missing[0]}); download it again"
        )
    for module in model.modules() if quantize == Quantize.FOUR else ():
        module.support_avx512bf16_for_cpu = False  # other products in eval mode, which some widths do not fit into
    setattr(model, CHECKPOINT_DTYPE, own)
    return model


def _refuse_lying(path: str, trust_remote_code: bool) -> None:
    """Raises UserError for a folder whose files hold far fewer weights than its config says (`refuse_missing`)."""
    from transformers.integrations import is_deepspeed_zero3_enabled

    # The hub's models are as it has them; and ZeRO-3 divides every model that is made, that on paper, too.
    if not Path(path).is_dir() or is_deepspeed_zero3_enabled():
        return
    config = load_config(path, trust_remote_code)
    model = model_on_paper(config, trust_remote_code)
    quantized = getattr(config, "quantization_config", None) is not None
    refuse_missing(sum(parameter.numel() for parameter in model.parameters()), path, quantized)


def model_on_paper(config: Any, trust_remote_code: bool = False) -> nn.Module:
    """The model of a config, its weights on torch's device "meta", which has no memory."""
    from transformers import AutoModelForImageTextToText
    from transformers.initialization import meta_device_safe_creation_ops

    # As in `from_pretrained`: a model's own code may compute with numbers while it is made (stochastic depth).
    with torch.device("meta"), meta_device_safe_creation_ops():
        return AutoModelForImageTextToText.from_config(config, trust_remote_code=trust_remote_code)


def checkpoint_dtype(path: str, trust_remote_code: bool = False, revision: str | None = None) -> torch.dtype:
    """The type of a checkpoint's weights, by its config; float32 where that says none. Raises UserError."""
    config = load_config(path, trust_remote_code, revision)
    return config.dtype or config.get_text_config().dtype or torch.float32


def load_config(path: str, trust_remote_code: bool = False, revision: str | None = None) -> Any:
    """A checkpoint's config. Raises UserError."""
    from transformers import AutoConfig

    path = found(path)
    refuse_crafted(path, trust_remote_code)
    with loading(path):
        return AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code, **_at(revision))


def context_of(config: Any) -> int | None:
    """Most tokens that a model has positions for, whatever windows its layers see; None where its config says none.

    Those that YaRN (arXiv 2309.00071) stretches count as it stretches them.
    """
    text = config.get_text_config()
    most = getattr(text, "max_position_embeddings", None)
    rope = getattr(text, "rope_parameters", None) or {}
    if most and rope.get("rope_type") == "yarn":
        most = max(most, round(rope.get("original_max_position_embeddings", most) * rope.get("factor", 1)))
    return most


def _at(revision: str | None) -> dict[str, str]:
    return {} if revision is None else {"revision": revision}


def _bits(quantize: str, dtype: torch.dtype) -> Any:
    """Bits are stored in numbers of `dtype`, too: FSDP and ZeRO-3 divide weights of one type only (peft's advice)."""
    from transformers import BitsAndBytesConfig

    if quantize == Quantize.EIGHT:
        # It says at every product that its input is rounded, which is what was asked for.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=dtype,
    )


def refuse_other_kinds(model: Any) -> None:
    """Raises UserError for a model whose answer does not go on after its prompt token by token, whatever its name."""
    configs = (model.config, model.config.get_text_config())
    if any(getattr(config, "is_encoder_decoder", False) for config in configs):
        kind = "reads the prompt in an encoder of its own (encoder-decoder)"
    elif not model.can_generate():
        kind = "does not write token by token"
    else:
        return
    raise UserError(
        f"{type(model).__name__} {kind}: mixpo samples and trains models that go on after the prompt; choose another "
        "model, or sample it where it is served (backend: openai_server)"
    )


def refuse_other_processor(config: Any, image_tokens: frozenset[int]) -> None:
    """Raises UserError where the tokens that stand for images are others in a model's config than in its processor."""
    names = ("image_token_id", "image_token_index")
    wanted = {value for name in names if isinstance(value := getattr(config, name, None), int)}
    if wanted and image_tokens and not wanted & image_tokens:
        raise UserError(
            f"the processor is another model's: its image token is {min(image_tokens)}, this model's {min(wanted)}; "
            "load it from the model's own folder or name (AutoProcessor.from_pretrained)"
        )


def refuse_other_vocabulary(model: Any, processor: Any) -> None:
    """Raises UserError for a tokenizer whose tokens go beyond the model's embeddings: some prompts would have no
    meaning, and end a run in its middle."""
    table = model.get_input_embeddings()
    last = max(getattr(processor, "tokenizer", processor).get_vocab().values(), default=-1)
    if isinstance(table, nn.Embedding) and last >= table.num_embeddings:
        raise UserError(
            f"the tokenizer is another model's: its last token is {last:,}, this model has {table.num_embeddings:,}; "
            "take tokenizer.json and the weights from one place"
        )


class UncheckedGenerationConfig(GenerationConfig):
    """The checkpoint's own, saved with whatever it says."""

    def validate(self, strict: bool = False) -> None:
        pass


def keep_generation_config(model: Any) -> None:
    """Has a generation config saved that transformers loads with a warning and refuses to save, in the middle of a
    training: `temperature` without `do_sample`, as some checkpoints have it (and vLLM heeds it)."""
    config = getattr(model, "generation_config", None)
    try:
        if config is not None:
            config.validate(strict=True)
    except ValueError:
        config.__class__ = UncheckedGenerationConfig


def load_processor(
    path: str, trust_remote_code: bool = False, inputs: ModelInputs = AS_IS, revision: str | None = None
) -> Any:
    """Its processor: tokenizer, chat template and image preprocessing, with the limits and options of `inputs`; code
    that comes with the model is run where `trust_remote_code` or `inputs` say so.

    Raises UserError when there is none, or none with a chat template, and for what of `inputs` has no meaning for it;
    where those are for several models (`InputsOfSeveral`), that is a warning.
    """
    from transformers import AutoProcessor

    path = found(path)
    trusted = trust_remote_code or inputs.trust_remote_code
    refuse_crafted(path, trusted)
    try:
        with loading(path):
            processor = AutoProcessor.from_pretrained(path, trust_remote_code=trusted, **_at(revision))
    except UserError as error:
        reason = _lacking(Path(path)) or reason_of(error.__cause__ or error)
        raise UserError(f"model {path!r}: its processor cannot be loaded ({reason}); {AS_PUBLISHED}") from error
    if not getattr(processor, "chat_template", None):
        raise UserError(
            f"model {path!r} has no chat template (chat_template.jinja); {AS_PUBLISHED}, or take a model that chats"
        )
    apply(processor, inputs, path)
    return processor


AS_PUBLISHED = "put the file, as its publisher has it, into the model's folder"
FILES = {
    "tokenizer": ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json"),
    "processor": ("processor_config.json", "preprocessor_config.json"),
}


def _lacking(folder: Path) -> str:
    """Which part of a processor a model's folder has no file of; empty: none, or it is no folder."""
    for part, files in FILES.items():
        if folder.is_dir() and not any((folder / file).is_file() for file in files):
            return f"it has no {part}: {' or '.join(files[:2])}"
    return ""


def apply(processor: Any, inputs: ModelInputs, name: str) -> None:
    """Has a processor, of the model called `name`, do as `inputs` say; raises and warns as `load_processor`."""
    for change in (partial(limit, images=inputs.images), partial(set_options, options=inputs.chat_template)):
        try:
            change(processor)
        except UserError as error:
            if inputs.strict:
                raise UserError(f"model {name!r}: {error}") from error
            log.warning("model %r: %s; it is asked without", name, error)


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
