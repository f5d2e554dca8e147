"""TRL's fields in MPOConfig: what they mean here, what is refused, and a DPOConfig taken as it is."""

from dataclasses import dataclass, field, fields

import pytest
import torch
from transformers import HfArgumentParser, TrainingArguments

from mixpo import MPOConfig
from mixpo.losses.mix import Terms, mix
from mixpo.training.trl_arguments import FIELDS, KEPT, ONLY, TERMS

TERMS_OF_TWO = Terms(
    chosen_logps=torch.tensor([-3.0, -8.0]), rejected_logps=torch.tensor([-4.0, -6.0]),
    ref_chosen_logps=torch.tensor([-5.0, -5.0]), ref_rejected_logps=torch.tensor([-3.0, -9.0]),
    chosen_lengths=torch.tensor([2.0, 8.0]), rejected_lengths=torch.tensor([4.0, 3.0]),
)  # fmt: skip
"""Log-ratios 2 and -1, -3 and 3: margins 3 and -6."""


def config(**given):
    return MPOConfig(**{"output_dir": "out", "use_cpu": True, "report_to": "none", **given})


def loss(**given):
    """The mean over the two pairs after a step whose rewards had the mean 1."""
    args = config(**given)
    shift = 0.0 if args.reward_shift == "none" else 1.0
    return mix(TERMS_OF_TWO, args, shift=shift, mean_length=5.0).total.mean().item()


def softplus(value):
    return torch.nn.functional.softplus(torch.tensor(value, dtype=torch.float64)).item()


def test_without_a_word_of_trls_the_loss_is_the_papers():
    """0.8 L_p + 0.2 L_q + L_g, the shift taken, each completion by its own length."""
    preference = (softplus(-0.3) + softplus(0.6)) / 2
    quality = (softplus(1 - 0.2) + softplus(-0.1 - 1) + softplus(1 + 0.3) + softplus(0.3 - 1)) / 2
    assert loss() == pytest.approx(0.8 * preference + 0.2 * quality + (3 / 2 + 8 / 8) / 2, rel=1e-6)


def test_trls_mpo_is_what_trl_computes():
    """No shift, and all tokens alike: 11 nats over 10 tokens."""
    preference = (softplus(-0.3) + softplus(0.6)) / 2
    quality = (softplus(-0.2) + softplus(-0.1) + softplus(0.3) + softplus(0.3)) / 2
    mpo = {"loss_type": ["sigmoid", "bco_pair", "sft"]}
    wanted = 0.5 * preference + 0.25 * quality + 2 * 11 / 10
    assert loss(**mpo, loss_weights=[0.5, 0.25, 2.0]) == pytest.approx(wanted, rel=1e-6)
    assert loss(**mpo) == pytest.approx(preference + quality + 11 / 10, rel=1e-6)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"loss_type": "sigmoid"}, (softplus(-0.3) + softplus(0.6)) / 2),
        ({"loss_type": ["sigmoid"], "loss_weights": [3.0]}, 3 * (softplus(-0.3) + softplus(0.6)) / 2),
        ({"loss_type": ["hinge"]}, (0.7 + 1.6) / 2),
        ({"loss_type": ["ipo"]}, ((2 / 2 + 1 / 4 - 5) ** 2 + (-3 / 8 - 3 / 3 - 5) ** 2) / 2),
        ({"loss_type": ["sppo_hard"]}, ((2 - 5) ** 2 + (-1 + 5) ** 2 + (-3 - 5) ** 2 + (3 + 5) ** 2) / 2),
        (
            {"loss_type": ["robust"], "label_smoothing": 0.25},
            (0.75 * (softplus(-0.3) + softplus(0.6)) - 0.25 * (softplus(0.3) + softplus(-0.6))) / 0.5 / 2,
        ),
        ({"loss_type": "sft"}, 11 / 10),
        ({"loss_type": "sigmoid", "rpo_alpha": 0.5}, (softplus(-0.3) + softplus(0.6)) / 2 + 0.5 * 11 / 10),
        ({"loss_type": ["sigmoid"], "beta": 1.0}, (softplus(-3.0) + softplus(6.0)) / 2),
    ],
    ids=str,
)
def test_losses_by_trls_names(given, wanted):
    assert loss(**given) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("name", [*TERMS, "bco_pair", "sft"])
def test_every_loss_that_is_understood_can_be_computed(name):
    smoothing = {"label_smoothing": 0.1} if name in ("exo_pair", "robust", "aot") else {}
    assert loss(loss_type=[name], **smoothing) != 0


def test_the_reference_by_trls_names(tmp_path):
    folder = str(tmp_path / "out")
    args = config(output_dir=folder, precompute_ref_log_probs=True, precompute_ref_batch_size=4)
    assert args.reference_cache == f"{folder}/reference"
    assert config(precompute_ref_log_probs=True, reference_cache="mine").reference_cache == "mine"
    moving = config(sync_ref_model=True, ref_model_mixup_alpha=0.5)
    assert (moving.reference_update_steps, moving.reference_update_weight) == (512, 0.5)
    still = config(sync_ref_model=False, ref_model_mixup_alpha=0.5, ref_model_sync_steps=4)
    assert still.reference_update_steps == 0


def test_a_copy_is_not_translated_twice():
    args = config(loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5], f_divergence_type="reverse_kl")
    usual = config()
    assert [name for name in FIELDS if name not in KEPT and getattr(args, name) != getattr(usual, name)] == []
    args.settle()
    assert (args.preference_weight, args.quality_weight, args.generation_weight) == (1.0, 0.0, 0.5)


REFUSED = [
    ({"loss_type": ["discopop"]}, "'discopop'.*cdpo"),
    ({"loss_type": ["sigmoid", "hinge"]}, "'sigmoid' and 'hinge'"),
    ({"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0]}, "as many"),
    ({"loss_weights": [0.8, 0.2, 1.0]}, "need a loss_type"),
    ({"loss_type": ["sigmoid"], "preference": "ipo"}, "preference='ipo' and loss_type"),
    ({"loss_type": ["sigmoid"], "quality_weight": 0.5}, "quality_weight=0.5 and loss_type"),
    ({"loss_type": ["sft"], "rpo_alpha": 1.0}, "'sft' and 'sft'"),
    ({"label_smoothing": 0.1}, "does nothing to preference 'dpo'.*cdpo"),
    ({"loss_type": ["sigmoid"], "label_smoothing": 0.1}, "does nothing to preference 'dpo'.*cdpo"),
    ({"max_length": 0}, "max_length must be"),
    ({"disable_dropout": False}, "disable_dropout=False"),
    ({"truncation_mode": "keep_end"}, "truncation_mode='keep_end'.*max_length"),
    ({"max_prompt_length": 512}, "max_prompt_length=512"),
    ({"pad_token": "<pad>"}, "processing_class.tokenizer.pad_token"),
    ({"ld_alpha": 0.5}, "ld_alpha=0.5"),
    ({"f_divergence_type": "js_divergence"}, "f_divergence_type='js_divergence'"),
    ({"use_weighting": True}, "use_weighting=True"),
    ({"reference_free": True}, "reference_free=True.*simpo"),
    ({"activation_offloading": True}, "activation_offloading=True.*gradient_checkpointing"),
    ({"router_aux_loss_coef": 0.01}, "router_aux_loss_coef=0.01"),
    ({"generate_during_eval": True}, "generate_during_eval=True"),
    ({"neftune_noise_alpha": 5}, "neftune_noise_alpha=5"),
    ({"label_smoothing_factor": 0.1}, "label_smoothing_factor=0.1.*cdpo"),
    ({"include_for_metrics": ["loss"]}, "include_for_metrics.*compute_metrics"),
    ({"include_num_input_tokens_seen": True}, "tokens"),
    ({"group_by_length": True}, "no field 'group_by_length'.*leave it out"),
    ({"save_safetensors": False}, "no field 'save_safetensors'"),
    ({"logging_dir": "runs"}, "TENSORBOARD_LOGGING_DIR"),
    ({"learning_rat": 1e-6}, "no field 'learning_rat'.*'learning_rate'"),
    ({"layout": "foo"}, "layout must be one of shared, paired, auto, not 'foo'"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED, ids=[str(given) for given, _ in REFUSED])
def test_the_rest_is_a_sentence(given, words):
    with pytest.raises(ValueError, match=words) as raised:
        config(**given)
    assert "\n" not in str(raised.value)


ACCEPTED = {
    "dataset_num_proc": 4, "padding_free": True, "pad_to_multiple_of": 8, "f_alpha_divergence_coef": 0.5,
    "discopop_tau": 0.05, "ld_alpha": None, "overwrite_output_dir": True, "save_safetensors": True,
    "group_by_length": False, "label_names": ["labels"], "remove_unused_columns": True,
    **{name: accepted for name, (accepted, _) in ONLY.items()},
}  # fmt: skip


def test_what_says_what_is_done_anyhow_changes_nothing():
    def values(args):
        return {item.name: getattr(args, item.name) for item in fields(MPOConfig) if item.name != "label_names"}

    usual, given = values(config()), values(config(**ACCEPTED))
    differing = {name for name, value in usual.items() if value != given[name]}
    assert differing <= {"accelerator_config"}  # an object of its own each time


def test_names_that_transformers_changed():
    args = config(warmup_ratio=0.1, evaluation_strategy="steps", eval_steps=2, no_cuda=True, warmup_steps=0)
    assert (args.warmup_steps, args.eval_strategy, args.use_cpu) == (0.1, "steps", True)
    assert config(warmup_ratio=0.1, warmup_steps=7).warmup_steps == 7


def test_the_command_line_of_a_script_knows_the_fields():
    (args,) = HfArgumentParser((MPOConfig,)).parse_args_into_dataclasses(
        "--output_dir out --use_cpu true --loss_type sigmoid sft --loss_weights 1.0 0.5 --max_length 512 "
        '--sync_ref_model true --model_init_kwargs {"dtype":"bfloat16"} --beta 0.3'.split()
    )
    assert (args.generation_weight, args.max_length, args.reference_update_steps) == (0.5, 512, 512)
    assert (args.model_init_kwargs, args.beta) == ({"dtype": "bfloat16"}, 0.3)


def test_a_flag_of_trls_needs_no_value():
    (args,) = HfArgumentParser((MPOConfig,)).parse_args_into_dataclasses(
        "--output_dir out --use_cpu --sync_ref_model --padding_free --disable_dropout".split()
    )
    assert args.reference_update_steps == 512
    (args,) = HfArgumentParser((MPOConfig,)).parse_args_into_dataclasses(
        "--output_dir out --use_cpu --precompute_ref_log_probs".split()
    )
    assert args.reference_cache == "out/reference"


def test_what_was_written_as_a_dictionary_is_read_again():
    """`to_dict` writes "<PAD_TOKEN>" for a `pad_token` that is None."""
    args = config(loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5], max_length=77, sync_ref_model=True)
    again = MPOConfig(**args.to_dict())
    differing = {item.name for item in fields(MPOConfig) if getattr(args, item.name) != getattr(again, item.name)}
    assert differing <= {"accelerator_config", "hub_token"}  # Trainer's own


def test_the_arguments_of_another_method_are_no_mpo():
    other = dataclass(type("ORPOConfig", (TrainingArguments,), {"__module__": "trl.experimental.orpo.orpo_config"}))
    with pytest.raises(ValueError, match="ORPOConfig is for another training of TRL's"):
        MPOConfig.from_dpo(other("out", use_cpu=True, report_to="none"))


@dataclass
class Alike(TrainingArguments):
    """As TRL's DPOConfig: some of its fields, its defaults, and a field of a script's own."""

    learning_rate: float = 1e-6
    logging_steps: float = 10
    gradient_checkpointing: bool = True
    loss_type: list[str] = field(default_factory=lambda: ["sigmoid"])
    loss_weights: list[float] | None = None
    beta: float = 0.1
    label_smoothing: float = 0.0
    max_length: int | None = 1024
    max_prompt_length: int | None = 512
    max_completion_length: int | None = None
    precompute_ref_log_probs: bool = False
    disable_dropout: bool = True
    truncation_mode: str = "keep_start"
    data_path: str = ""


def test_a_dpo_configuration_is_taken_with_its_defaults():
    theirs = Alike(
        output_dir="out", use_cpu=True, report_to="none", beta=0.3, data_path="mine", max_completion_length=9
    )
    args = MPOConfig.from_dpo(theirs)
    assert (args.preference, args.preference_weight, args.quality_weight, args.generation_weight) == ("dpo", 1, 0, 0)
    assert (args.learning_rate, args.lr_scheduler_type, args.num_train_epochs) == (1e-6, "linear", 3)
    assert (args.beta, args.max_length, args.gradient_checkpointing, args.logging_steps) == (0.3, 1024, True, 10)
    assert (args.remove_unused_columns, args.logging_nan_inf_filter, args.truncate_completions) == (False, False, True)
    assert args.device.type == "cpu"
    assert theirs.loss_type == ["sigmoid"]
    with pytest.raises(ValueError, match="disable_dropout=False"):
        MPOConfig.from_dpo(Alike(output_dir="out", use_cpu=True, report_to="none", disable_dropout=False))


def test_plain_training_arguments_leave_the_papers_defaults():
    args = MPOConfig.from_dpo(TrainingArguments("out", use_cpu=True, report_to="none", weight_decay=0.5, seed=7))
    usual = config(weight_decay=0.5, seed=7)
    names = [item.name for item in fields(MPOConfig) if item.name != "accelerator_config"]
    assert [name for name in names if getattr(args, name) != getattr(usual, name)] == []


def test_trls_own_configuration_is_taken():
    trl = pytest.importorskip("trl", reason="TRL is not installed: pip install 'mixpo[bench]'")
    known = {item.name for item in fields(MPOConfig)}
    assert [item.name for item in fields(trl.DPOConfig) if item.name not in known] == []
    theirs = trl.DPOConfig("out", use_cpu=True, report_to="none", loss_type=["sigmoid", "sft"])
    assert MPOConfig.from_dpo(theirs).generation_weight == 1.0
