"""The fields of TRL's DPOConfig in MPOConfig: translated to our own, accepted where they change nothing, or refused.

TRL 1.16, and what was common in older versions. A name of TRL's stands for what TRL computes under it: `sft` is a mean
over tokens there, `bco_pair` has no reward shift (`tests/losses/test_against_trl.py`).
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo.losses.objective import PREFERENCE

BY_ITS_FIELDS = {"loss_type", "beta", "precompute_ref_log_probs"}
"""A configuration that has them is a DPOConfig, whatever its class."""


@dataclass(kw_only=True)
class DPOFields:
    """TRL's fields, by TRL's names. After `translate` all but the first three are at their defaults again: not said.

    Those that are true or false have TRL's defaults, not None: a command line then takes `--sync_ref_model` alone.
    """

    max_length: int | None = None
    """Most tokens of prompt and completion together; the end of a longer completion is cut, a longer prompt refused."""
    model_init_kwargs: dict[str, Any] | str | None = None
    """For `from_pretrained`, where the model is given by name."""
    trust_remote_code: bool = False
    """Whether a model given by name may bring code of its own, which is run."""
    loss_type: list[str] | None = None
    loss_weights: list[float] | None = None
    rpo_alpha: float | None = None
    precompute_ref_log_probs: bool = False
    precompute_ref_batch_size: int | None = None
    sync_ref_model: bool = False
    ref_model_mixup_alpha: float | None = None
    ref_model_sync_steps: int | None = None
    dataset_num_proc: int | None = None
    padding_free: bool = False
    pad_to_multiple_of: int | str | None = None
    disable_dropout: bool = True
    truncation_mode: str | None = None
    max_prompt_length: int | None = None
    pad_token: str | None = None
    ld_alpha: float | None = None
    f_divergence_type: str | None = None
    f_alpha_divergence_coef: float | None = None
    discopop_tau: float | None = None
    use_weighting: bool = False
    reference_free: bool = False
    activation_offloading: bool = False
    router_aux_loss_coef: float | None = None
    generate_during_eval: bool = False


FIELDS = tuple(DPOFields.__dataclass_fields__)
KEPT = FIELDS[:3]
"""Fields that are ours, too."""
HIDDEN = "<PAD_TOKEN>"
"""What `TrainingArguments.to_dict` writes for a `pad_token`, be it None: it takes names in `_token` for secrets."""

ONLY: dict[str, tuple[Any, str]] = {
    "disable_dropout": (True, "dropout is off in policy and reference, whose log-probabilities are compared"),
    "truncation_mode": ("keep_start", "max_length cuts the end of a completion; images are at the start"),
    "max_prompt_length": (None, "a prompt holds its images' tokens and is not cut: drop the rows with longer ones"),
    "pad_token": (None, "set processing_class.tokenizer.pad_token instead"),
    "ld_alpha": (1.0, "LD-DPO's weights of tokens are not computed here"),
    "f_divergence_type": ("reverse_kl", "other divergences are not computed here"),
    "use_weighting": (False, "WPO's weights of pairs are not computed here"),
    "reference_free": (False, "losses without a reference are preference='simpo' and preference='orpo'"),
    "activation_offloading": (False, "gradient_checkpointing=True, row_tokens and smaller batches save memory"),
    "router_aux_loss_coef": (0.0, "the load-balancing loss of mixtures of experts is not computed here"),
    "generate_during_eval": (False, "have the trained model answer with `mixpo evaluate`"),
}  # fmt: skip
"""The one value of a field that says what is done here (None: there is none), and why no other, or what to do."""

TERMS = {
    "sigmoid": "dpo",
    "hinge": "rso_hinge",
    "ipo": "ipo_mean",
    "exo_pair": "exo",
    "nca_pair": "nca",
    "robust": "robust_dpo",
    "sppo_hard": "sppo",
    "aot": "aot",
    "apo_zero": "apo_zero",
    "apo_down": "apo_down",
}
"""TRL's preference losses, and what they are called in `mixpo.losses.objective`."""


def translate(args: Any) -> None:
    """Says in an MPOConfig's own fields what TRL's say, and unsays those: a copy of it is not translated twice.

    Raises ValueError, one sentence that names the field, for what is not computed here, and for what is said twice.
    """
    if args.pad_token == HIDDEN:
        args.pad_token = None
    said = {name: value for name in FIELDS if name not in KEPT and (value := getattr(args, name)) is not None}
    for name, (accepted, reason) in ONLY.items():
        value = said.get(name)
        if value is not None and getattr(value, "value", value) != accepted:
            leave = f"leave it out, or say {accepted!r}" if accepted is not None else "leave it out"
            raise ValueError(f"{name}={value!r}: {reason}; {leave}")
    meant = _loss(said) | _reference(said, args)
    for name, value in meant.items():
        own, usual = getattr(args, name), type(args).__dataclass_fields__[name].default
        if own not in (usual, value):
            words = " and ".join(f"{word}={said[word]!r}" for word in said if word in ("loss_type", "rpo_alpha"))
            raise ValueError(f"{name}={own!r} and {words or 'sync_ref_model=True'} say two things; say one of them")
        setattr(args, name, value)
    for name in said:
        setattr(args, name, DPOFields.__dataclass_fields__[name].default)


def _loss(said: dict[str, Any]) -> dict[str, Any]:
    """`loss_type`, `loss_weights` and `rpo_alpha` as fields of the objective."""
    types, weights, alpha = (said.get(name) for name in ("loss_type", "loss_weights", "rpo_alpha"))
    if types is None:
        if weights is not None:
            raise ValueError(f"loss_weights={weights!r} need a loss_type, whose losses they weigh; say both or neither")
        return {} if alpha is None else {"generation": "sft_token_mean", "generation_weight": float(alpha)}
    types = [types] if isinstance(types, str) else list(types)
    weights = [1.0] * len(types) if weights is None else list(weights)
    if len(weights) != len(types):
        raise ValueError(f"loss_weights={weights!r} must be as many as the losses of loss_type={types!r}")
    if alpha is not None:
        types, weights = [*types, "sft"], [*weights, alpha]
    found: dict[str, Any] = {"preference_weight": 0.0, "quality_weight": 0.0, "generation_weight": 0.0}
    places: dict[str, str] = {}
    for name, weight in zip(types, weights, strict=True):
        term = {"bco_pair": "quality", "sft": "generation"}.get(name, "preference")
        if term == "preference" and name not in TERMS:
            known = ", ".join([*TERMS, "bco_pair", "sft"])
            others = ", ".join(sorted(set(PREFERENCE) - set(TERMS.values())))
            raise ValueError(f"loss_type {name!r} is none of {known}; `preference` has these, too: {others}")
        if term in places:
            raise ValueError(f"loss_type {places[term]!r} and {name!r} cannot be mixed: one loss of a kind; drop one")
        places[term] = name
        found[f"{term}_weight"] = float(weight)
    if "preference" in places:
        found |= {"preference": TERMS[places["preference"]]}
    if "quality" in places:
        found |= {"quality": "bco", "reward_shift": "none"}
    if "generation" in places:
        found |= {"generation": "sft_token_mean"}
    return found


def _reference(said: dict[str, Any], args: Any) -> dict[str, Any]:
    """`sync_ref_model` and `precompute_ref_log_probs` as fields of the reference."""
    found: dict[str, Any] = {}
    if said.get("sync_ref_model"):
        found["reference_update_steps"] = said.get("ref_model_sync_steps", 512)
        found["reference_update_weight"] = said.get("ref_model_mixup_alpha", 0.6)
    if said.get("precompute_ref_log_probs") and not args.reference_cache:
        found["reference_cache"] = str(Path(args.output_dir) / "reference")
    return found


def as_ours(config: Any, cls: type) -> Any:
    """Another TrainingArguments as an MPOConfig (`cls`) that is not checked yet: what it has set up stays as it is.

    A DPOConfig says all it says, its defaults included. Of a plain TrainingArguments, what is at its default gives way
    to the paper's. Raises ValueError for a field of TRL's that nothing here stands for, and for another method's.
    """
    theirs, fields = type(config).__dataclass_fields__, cls.__dataclass_fields__  # type: ignore[attr-defined]
    given = dict(vars(config))
    is_dpo = given.keys() >= BY_ITS_FIELDS
    if not is_dpo and any(_of_trl(one) for one in type(config).__mro__):
        raise ValueError(f"{type(config).__name__} is for another training of TRL's; give an MPOConfig, or a DPOConfig")
    for name, field in theirs.items():
        usual = given.get(name) == field.default
        if name not in fields:
            if not usual and _is_trls(type(config), name):
                raise ValueError(
                    f"{type(config).__name__} says {name}={given[name]!r}, which means nothing here; leave it out"
                )
        elif usual and (name in ONLY or name == "logging_nan_inf_filter" or not is_dpo):
            given.pop(name)
    if is_dpo and given.get("max_completion_length") is not None:
        given["truncate_completions"] = True  # as TRL does
    args: Any = object.__new__(cls)
    defaults = {name: _default(field) for name, field in fields.items()}
    vars(args).update(defaults | given)
    return args


def _default(field: Any) -> Any:
    return field.default_factory() if field.default is dataclasses.MISSING else field.default


def _is_trls(cls: type, name: str) -> bool:
    """Whether a field is declared by a class of TRL's (and not by a script's own)."""
    owner = next(one for one in cls.__mro__ if name in vars(one).get("__annotations__", {}))
    return _of_trl(owner)


def _of_trl(cls: type) -> bool:
    return cls.__module__.split(".")[0] == "trl"
