"""What a section says of precision, memory and devices: each word by a small training, or by what it stands for."""

import importlib
import json
import logging
import os
import re
import sys

import pytest
import torch

from mixpo.cli import main
from mixpo.errors import FieldError, MissingExtra, UserError
from mixpo.models.load import load_model
from mixpo.pipeline import resolve
from mixpo.recipe import load_recipe
from mixpo.training import machine, words
from mixpo.training.config import MPOConfig
from mixpo.training.section import Config, arguments
from mixpo.training.train import Lora, make_trainer, run
from mixpo.training.trainer import MPOTrainer

FEW = {"batch": 4, "micro_batch": 2, "epochs": 0.5, "learning_rate": 1e-3, "warmup": 0.0}
"""Two steps over half of the sixteen rows."""


@pytest.fixture
def halved(tmp_path, model, processor):
    """A checkpoint in bfloat16, as published ones are."""
    model.to(torch.bfloat16).save_pretrained(tmp_path / "halved")
    processor.save_pretrained(tmp_path / "halved")
    return str(tmp_path / "halved")


@pytest.fixture
def trained(tmp_path, processor, rows):
    """Trains a checkpoint as the words say; gives the trainer."""

    def train(path, **said):
        config = Config(**(FEW | said))
        trainer = make_trainer(config, arguments(config, tmp_path / "out"), path, processor, rows)
        trainer.train()
        return trainer

    return train


def lines(trainer):
    return [line for line in trainer.state.log_history if "loss" in line]


def losses(trainer):
    return [line["loss"] for line in lines(trainer)]


def moved(trainer, path):
    """Share of each parameter's numbers that the training changed."""
    before = load_model(path, "checkpoint").state_dict()
    after = trainer.model.named_parameters()
    return {name: (one != before[name].to(one.dtype)).float().mean().item() for name, one in after}


# -- trainings ---------------------------------------------------------------------------------------------------------


def test_precision_bf16_computes_in_bfloat16_and_trains_float32_weights(trained, checkpoint):
    plain = trained(checkpoint, layout="shared")
    low = trained(checkpoint, layout="shared", precision="bf16", learning_rate=5e-6, epochs=0.75)
    assert len(losses(low)) == 3
    assert losses(low)[0] == pytest.approx(losses(plain)[0], rel=5e-3)
    assert losses(low)[0] != losses(plain)[0]
    assert losses(low)[0] == pytest.approx(lines(low)[0]["expected_first_loss"], rel=1e-3)
    assert low.layout == "shared"
    assert {one.dtype for one in low.model.parameters()} == {torch.float32}
    shares = moved(low, checkpoint)
    assert sum(shares.values()) / len(shares) > 0.9  # the rest: rows of words that do not occur


def test_trained_weights_in_16_bits_are_warned_of(tmp_path, model, processor, rows, caplog):
    """At 5e-6 next to none of them moves."""
    args = MPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, max_steps=3, save_strategy="no", report_to="none",
        disable_tqdm=True, use_cpu=True, warmup_steps=0, lr_scheduler_type="constant", layout="shared", bf16=True,
    )  # fmt: skip
    coarse = model.to(torch.bfloat16)
    before = [one.detach().clone() for one in coarse.parameters()]
    with caplog.at_level(logging.WARNING):
        trainer = MPOTrainer(coarse, args=args, train_dataset=rows, processing_class=processor)
    assert "hardly change at a learning rate of 5e-06: load the model in float32" in caplog.text
    trainer.train()
    changed = [(one != old).sum().item() for one, old in zip(coarse.parameters(), before, strict=True)]
    assert sum(changed) < 0.05 * sum(one.numel() for one in before)
    caplog.clear()
    args.learning_rate = 1e-3
    with caplog.at_level(logging.WARNING):
        MPOTrainer(coarse, args=args, train_dataset=rows, processing_class=processor)
    assert "hardly change" not in caplog.text


def test_gradient_checkpointing_changes_no_loss(trained, checkpoint):
    found = {}
    for word in ("auto", "true", "false"):
        trainer = trained(checkpoint, gradient_checkpointing=word)
        found[word] = losses(trainer)
        told = any(getattr(module, "gradient_checkpointing", False) for module in trainer.model.modules())
        assert told == trainer.args.gradient_checkpointing == (word == "true")
    assert found["true"] == pytest.approx(found["auto"], rel=1e-6)
    assert found["false"] == found["auto"]


def test_eager_attention_gives_the_loss_of_sdpa(trained, checkpoint):
    default, sdpa, eager = (trained(checkpoint, attention=word) for word in ("auto", "sdpa", "eager"))
    assert losses(sdpa) == losses(default)
    assert losses(eager) == pytest.approx(losses(sdpa), rel=1e-5)
    assert eager.model.get_decoder().config._attn_implementation == "eager"


@pytest.mark.parametrize("name", ["sgd", "adafactor", "adamw_8bit"])
def test_an_optimizer_by_its_name(trained, checkpoint, name):
    if name.endswith("8bit"):
        pytest.importorskip("bitsandbytes")
    trainer = trained(checkpoint, optimizer=name)
    kind = {"sgd": "SGD", "adafactor": "Adafactor", "adamw_8bit": "AdamW"}[name]
    assert type(trainer.optimizer.optimizer).__name__ == kind
    usual = trained(checkpoint).model.state_dict()
    assert not all(torch.equal(value, usual[key]) for key, value in trainer.model.state_dict().items())
    assert max(moved(trainer, checkpoint).values()) > 0.5


@pytest.mark.parametrize(
    ("frozen", "names"),
    [
        (("vision",), ("vision_tower",)),
        (("projector",), ("multi_modal_projector",)),
        (("language",), ("language_model", "lm_head")),
        (("vision", "language"), ("vision_tower", "language_model", "lm_head")),
    ],
)
def test_frozen_parts_stay_and_the_others_move(trained, checkpoint, frozen, names):
    trainer = trained(checkpoint, freeze=frozen)
    shares = moved(trainer, checkpoint)
    still = {name for name, share in shares.items() if share == 0}
    assert still == {name for name in shares if any(part in name for part in names)}
    in_optimizer = {id(one) for group in trainer.optimizer.param_groups for one in group["params"]}
    assert in_optimizer == {id(one) for name, one in trainer.model.named_parameters() if name not in still}


def test_the_matrices_of_frozen_parts_are_held_in_16_bits(trained, halved, tmp_path, processor):
    """Where the checkpoint has them so and products are taken so: every loss is the very same."""
    trainer = trained(halved, freeze=("language",), precision="bf16", layout="shared")
    dtypes = {name: one.dtype for name, one in trainer.model.named_parameters()}
    language = {name: dtype for name, dtype in dtypes.items() if "language_model" in name or "lm_head" in name}
    assert {dtype for name, dtype in dtypes.items() if name not in language} == {torch.float32}
    assert {name for name, dtype in language.items() if dtype == torch.bfloat16} == {
        name for name in language if name.endswith("proj.weight") or name == "lm_head.weight"
    }
    wide = str(tmp_path / "wide")
    load_model(halved).save_pretrained(wide)
    processor.save_pretrained(wide)
    other = trained(wide, freeze=("language",), precision="bf16", layout="shared")
    assert {one.dtype for one in other.model.parameters()} == {torch.float32}
    assert losses(trainer) == losses(other)


# -- adapters ----------------------------------------------------------------------------------------------------------


def adapted(trainer):
    found = {name.split(".lora_")[0] for name, _ in trainer.model.named_parameters() if ".lora_" in name}
    return {name.removeprefix("base_model.model.") for name in found}


def test_layers_to_adapt_are_named_as_peft_does(trained, checkpoint):
    pytest.importorskip("peft")
    heads = adapted(trained(checkpoint, lora=Lora(r=2, target_modules=("q_proj", "v_proj"))))
    assert heads == {name for name in heads if name.endswith(("q_proj", "v_proj"))}
    assert {name.split(".")[1] for name in heads} == {"language_model", "vision_tower"}
    assert adapted(trained(checkpoint, lora=Lora(r=2, target_modules=(r".*language_model.*q_proj",)))) == {
        name for name in heads if name.endswith("q_proj") and "language" in name
    }
    one = adapted(trained(checkpoint, lora=Lora(r=2, target_modules=("q_proj",))))
    assert one == {name for name in heads if name.endswith("q_proj")}
    with pytest.raises(UserError, match=r"lora: .*nowhere.* not found"):
        trained(checkpoint, lora=Lora(r=2, target_modules=("nowhere",)))
    with pytest.raises(UserError, match=r"lora: target_modules: 'nowhere' is not found"):
        trained(checkpoint, lora=Lora(r=2, target_modules=("q_proj", "nowhere")))


def test_frozen_parts_get_no_adapter(trained, checkpoint):
    pytest.importorskip("peft")
    trainer = trained(checkpoint, lora=Lora(r=2), freeze=("vision", "projector"))
    assert adapted(trainer)
    assert {name.split(".")[1] for name in adapted(trainer)} == {"language_model"}


@pytest.mark.parametrize("quantize", ["none", "4bit", "8bit"])
def test_an_adapter_is_float32_on_a_16_bit_base_and_merged_into_the_checkpoint(
    run_folder, halved, quantize, monkeypatch
):
    """The saved model is a normal one, in the checkpoint's precision; only what was adapted differs, and not much."""
    pytest.importorskip("peft")
    if quantize != "none":
        pytest.importorskip("bitsandbytes")
    seen = {}
    from mixpo.training import train

    def watched(*given):
        seen["trainer"] = trainer = make_trainer(*given)
        seen["trained"] = {one.dtype for one in trainer.model.parameters() if one.requires_grad}
        return trainer

    monkeypatch.setattr(train, "make_trainer", watched)
    config = Config(
        model=halved, batch=1, micro_batch=1, learning_rate=1e-2, warmup=0.0, precision="bf16", quantize=quantize,
        lora=Lora(r=4, target_modules=("q_proj", "v_proj")), layout="shared",
    )  # fmt: skip
    run(config, run_folder)
    trainer = seen["trainer"]
    assert losses(trainer)[0] == pytest.approx(lines(trainer)[0]["expected_first_loss"], rel=5e-3)
    assert seen["trained"] == {torch.float32}
    saved = load_model(str(run_folder.checkpoints("train") / "model"), "checkpoint")
    assert {one.dtype for one in saved.parameters()} == {torch.bfloat16}
    assert not getattr(saved, "is_quantized", False)
    before = load_model(halved, "checkpoint").state_dict()
    after = saved.state_dict()
    assert after.keys() == before.keys()
    differ = {name for name, one in after.items() if not one.equal(before[name])}
    assert differ == {name for name in after if name.endswith(("q_proj.weight", "v_proj.weight"))}
    for name in differ:
        change = (after[name].float() - before[name].float()).norm() / before[name].float().norm()
        assert 0.001 < change < 0.5, name


def test_the_adapter_itself_is_float32(trained, halved):
    pytest.importorskip("peft")
    trainer = trained(halved, lora=Lora(r=2), precision="bf16", layout="shared")
    dtypes = {one.requires_grad: one.dtype for one in trainer.model.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}
    plain = trained(halved, lora=Lora(r=2), layout="shared")
    assert {one.dtype for one in plain.model.parameters()} == {torch.float32}
    assert losses(trainer) == pytest.approx(losses(plain), rel=1e-2)


# -- what the words stand for ------------------------------------------------------------------------------------------


@pytest.fixture
def on_a_gpu(monkeypatch):
    """A machine that has a GPU, as far as the choice of arguments asks."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(machine, "knows_bf16", lambda: True)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def test_what_is_left_to_a_gpu(on_a_gpu, monkeypatch):
    checkpointed = machine.chosen(Config())
    assert checkpointed == {"activation_checkpointing": True, "dataloader_num_workers": 4, "bf16": True}
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert machine.chosen(Config())["dataloader_num_workers"] == 2
    monkeypatch.setattr(machine, "knows_bf16", lambda: False)
    assert "bf16" not in machine.chosen(Config())
    assert "bf16" not in machine.chosen(Config(trainer={"fp16": True}))
    on_cpu = {"activation_checkpointing": False, "dataloader_num_workers": 0}
    assert machine.chosen(Config(trainer={"use_cpu": True})) == on_cpu


def test_accelerates_own_configuration_is_followed(monkeypatch, tmp_path):
    """`accelerate launch --mixed_precision bf16`: what the engine does and what the arguments say is one thing."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert arguments(Config(), tmp_path).bf16 is True
    with pytest.raises(FieldError, match="precision: accelerate's configuration says `mixed_precision: bf16`"):
        arguments(Config(precision="float32"), tmp_path)


def test_nothing_changes_on_a_cpu(tmp_path):
    args, usual = arguments(Config(), tmp_path), MPOConfig(output_dir=str(tmp_path))
    for name in ("bf16", "fp16", "optim", "gradient_checkpointing", "dataloader_num_workers", "fsdp", "deepspeed"):
        assert getattr(args, name) == getattr(usual, name), name
    assert args.mixed_precision == "no"


def unplaced(tmp_path, **said):
    return arguments(Config(**said), tmp_path, on_the_machine=False)


def test_fsdp2_stands_for_transformers_arguments(tmp_path):
    args = unplaced(tmp_path, shard="fsdp2", precision="bf16", gradient_checkpointing="true")
    assert args.fsdp is True
    assert args.deepspeed is None
    plugin = MPOConfig(output_dir=str(tmp_path), use_cpu=True, fsdp=True, fsdp_config=args.fsdp_config).fsdp_plugin_args
    wanted = {"fsdp_version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "reshard_after_forward": True}
    assert wanted.items() <= plugin.items()
    assert "cpu_offload" not in plugin
    offloaded = unplaced(tmp_path, shard="fsdp2", offload="all").fsdp_config
    config = MPOConfig(output_dir=str(tmp_path), use_cpu=True, fsdp=True, fsdp_config=offloaded)
    assert config.fsdp_plugin_args["cpu_offload"] is True
    more = {"fsdp_config": {"transformer_layer_cls_to_wrap": ["Layer"]}}
    given = unplaced(tmp_path, shard="fsdp2", trainer=more).fsdp_config
    assert given == {**words.fsdp_config("none"), "transformer_layer_cls_to_wrap": ["Layer"]}


@pytest.mark.parametrize(("shard", "stage"), [("zero2", 2), ("zero3", 3)])
def test_zero_stands_for_deepspeeds_configuration(tmp_path, shard, stage):
    """transformers fills every "auto" in from the same arguments."""
    pytest.importorskip("deepspeed")
    from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig

    common = {"precision": "bf16", "batch": 8, "micro_batch": 2}
    given = unplaced(tmp_path, shard=shard, offload="optimizer", **common)
    filled = HfTrainerDeepSpeedConfig(given.deepspeed)
    filled.trainer_config_process(arguments(Config(**common), tmp_path))
    assert filled.mismatches == []
    assert filled.config["bf16"] == {"enabled": True}
    assert filled.config["fp16"] == {"enabled": False}
    sizes = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    assert [filled.config[name] for name in sizes] == [8, 2, 4, 1.0]
    zero = filled.config["zero_optimization"]
    assert zero["stage"] == stage
    assert zero["offload_optimizer"]["device"] == "cpu"
    assert "offload_param" not in zero
    assert filled.config["zero_force_ds_cpu_optimizer"] is False
    if shard == "zero3":
        assert unplaced(tmp_path, shard=shard, offload="all").deepspeed["zero_optimization"]["offload_param"]


def test_one_process_on_a_gpu_is_a_group_of_its_own(on_a_gpu, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    machine.begin_alone(Config())
    assert "RANK" not in os.environ
    machine.begin_alone(Config(shard="fsdp2"))
    assert (os.environ["RANK"], os.environ["WORLD_SIZE"]) == ("0", "1")


def test_what_a_training_says_in_the_environment_ends_with_it(run_folder, monkeypatch):
    """Else the next section of a recipe, with `shard: none`, would be trained under FSDP."""
    from mixpo.training import train

    def arguments(*_):
        os.environ.update(ACCELERATE_USE_FSDP="true", OMP_NUM_THREADS="7")
        raise FieldError(["shard"], "not today")

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)
    monkeypatch.setattr(train, "arguments", arguments)
    with pytest.raises(FieldError, match="not today"):
        run(Config(), run_folder)
    assert "ACCELERATE_USE_FSDP" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_flash_attention_takes_the_paired_layout(tmp_path):
    assert unplaced(tmp_path, attention="flash_attention_2").layout == "paired"


# -- what is refused ---------------------------------------------------------------------------------------------------

RECIPE = """\
steps:
  import: {{format: trl, path: pairs.parquet}}
  train: {}
"""
REFUSED = [
    ("{precision: bf8}", "train.precision: 'bf8' is none of auto, bf16, fp16, float32"),
    ("{gradient_checkpointing: sometimes}", "gradient_checkpointing: 'sometimes' is none of auto, true, false"),
    ("{attention: flash_attn}", "attention: 'flash_attn' is none of .* did you mean 'flash_attention_2'"),
    ("{optimizer: adamw_torch_fusd}", "train.optimizer: .* did you mean 'adamw_torch_fused'"),
    ("{freeze: [visoin]}", "freeze.0: 'visoin' is none of vision, projector, language; did you mean 'vision'"),
    ("{freeze: [vision, projector, language]}", "train.freeze: .* nothing is left to train"),
    ("{quantize: 4bit}", "train.quantize: 4bit weights cannot be trained themselves: say `lora: {}` too"),
    ("{quantize: 8bit, lora: {}, shard: zero3}", "train.quantize: .* 8bit weights under zero3 cannot be gathered"),
    ("{quantize: 4bit, lora: {}, shard: fsdp2}", "train.quantize: .* 4bit weights under fsdp2 cannot be gathered"),
    ("{shard: zero1}", "train.shard: 'zero1' is none of none, fsdp2, zero2, zero3"),
    ("{offload: all}", "train.offload: `shard: none` has no `offload: all`: say `shard: fsdp2 or zero3`"),
    ("{shard: zero2, offload: all}", "train.offload: `shard: zero2` has no"),
    ("{shard: fsdp2, offload: optimizer}", "train.offload: .*: say `shard: zero2 or zero3`"),
    ("{workers: many}", "train.workers: must be a whole number or auto, not 'many'"),
    ("{workers: -1}", "train.workers: must be at least 0"),
    ("{attention: flash_attention_2, layout: shared}", "train.layout: shared rows need a mask"),
    ("{attention: flash_attention_2, precision: float32}", "train.attention: flash_attention_2 knows bf16 and fp16"),
    ("{lora: {target_modules: []}}", "train.lora: target_modules names no layer"),
    ("{lora: {target_modules: ['.*(']}}", "train.lora.target_modules: '.*(' is no regular expression: missing )"),
    ("{lora: {target_modules: [all-linear, q_proj]}}", "train.lora.target_modules: 'all-linear' stands alone"),
    ("{lora: {target_modules: [q_proj, '.*v_proj']}}", "train.lora.target_modules: '.*v_proj' stands alone"),
    ("{lora: {}, reference_update_steps: 4}", "train.reference_update_steps: needs a live copy of the whole model: no"),
    ("{reference: cached, reference_update_steps: 4}", "train.reference_update_steps: needs a live copy"),
    ("{precision: fp16, trainer: {bf16: true}}", "trainer.bf16: the section says `precision: fp16` as well; say it"),
    ("{gradient_checkpointing: false, trainer: {gradient_checkpointing: true}}", "trainer.gradient_checkpointing: the"),
    ("{optimizer: sgd, trainer: {optim: adafactor}}", "trainer.optim: the section says `optimizer: sgd` as well"),
    ("{workers: 2, trainer: {dataloader_num_workers: 3}}", "the section says `workers: 2` as well"),
    ("{shard: zero3, trainer: {deepspeed: mine.json}}", "the section says `shard: zero3` as well"),
    ("{shard: fsdp2, trainer: {fsdp_config: {version: 1}}}", "the section says `shard: fsdp2` as well"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_cannot_be_is_refused_when_the_recipe_is_resolved(tmp_path, text, message):
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(text))
    with pytest.raises(UserError, match=f"recipe.yaml:3: .*{message}"):
        resolve(load_recipe(tmp_path / "recipe.yaml"))


def test_what_is_said_twice_alike_is_taken(tmp_path):
    text = (
        "{precision: bf16, gradient_checkpointing: true, optimizer: sgd, workers: 2, freeze: vision,"
        " lora: {target_modules: [q_proj, v_proj]},"
        " trainer: {bf16: true, activation_checkpointing: true, optim: sgd, dataloader_num_workers: 2}}"
    )
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(text))
    config = resolve(load_recipe(tmp_path / "recipe.yaml"))["train"]
    args = arguments(config, tmp_path)
    assert (args.bf16, args.gradient_checkpointing, args.optim, args.dataloader_num_workers) == (True, True, "sgd", 2)
    assert config.freeze == ("vision",)
    assert config.lora.target_modules == ("q_proj", "v_proj")
    old = "{trainer: {bf16: true, gradient_checkpointing: true, optim: adafactor, dataloader_num_workers: 1}}"
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(old))
    args = arguments(resolve(load_recipe(tmp_path / "recipe.yaml"))["train"], tmp_path)
    assert (args.bf16, args.gradient_checkpointing, args.optim) == (True, True, "adafactor")
    assert args.dataloader_num_workers == 1


MISSING = [
    ({"shard": "zero2"}, "deepspeed", r"shard: zero2 .* pip install 'mixpo\[deepspeed\]'"),
    ({"quantize": "4bit", "lora": Lora()}, "bitsandbytes", r"quantize: .* pip install 'mixpo\[quantize\]'"),
    ({"lora": Lora()}, "peft", r"lora: .* pip install 'mixpo\[peft\]'"),
    (
        {"attention": "flash_attention_2"},
        "flash_attn",
        "attention: flash-attn is not installed: pip install",
    ),
]


@pytest.mark.parametrize(("said", "module", "message"), MISSING, ids=[module for _, module, _ in MISSING])
def test_a_missing_library_is_a_sentence(tmp_path, monkeypatch, said, module, message):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else found(name))
    with pytest.raises((FieldError, MissingExtra), match=message):
        arguments(Config(**said), tmp_path)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"precision": "fp16"}, "precision: fp16 needs a GPU"),
        ({"trainer": {"fp16": True}}, "trainer.fp16: fp16 needs a GPU"),
        ({"attention": "flex"}, "attention: FlexAttention has no backward pass on a CPU"),
        ({"shard": "fsdp2"}, "shard: fsdp2 needs GPUs: on CPUs accelerate would take DDP"),
        ({"shard": "zero2"}, "shard: zero2 divides a model among processes, and here is one"),
    ],
)
def test_what_a_cpu_cannot_do_is_a_sentence(tmp_path, said, message):
    with pytest.raises(FieldError, match=message):
        arguments(Config(**said), tmp_path)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_what_is_said_of_workers_holds_where_there_are_some(tmp_path):
    """A recipe for a GPU runs on a CPU, where `workers: auto` is none."""
    given = {"dataloader_persistent_workers": True, "dataloader_prefetch_factor": 4}
    none = arguments(Config(trainer=given), tmp_path)
    assert (none.dataloader_num_workers, none.dataloader_persistent_workers) == (0, False)
    two = arguments(Config(workers=2, trainer=given), tmp_path)
    assert (two.dataloader_persistent_workers, two.dataloader_prefetch_factor) == (True, 4)


def test_sections_that_compute_the_cached_reference_differently_train_in_one_run(run_folder, halved):
    few = {"model": halved, "batch": 1, "micro_batch": 1, "reference": "cached", "learning_rate": 1e-3}
    words = {
        "plain": {}, "adapted": {"lora": Lora(r=2)}, "low": {"precision": "bf16"}, "same": {"precision": "bf16"},
        "both": {"precision": "bf16", "lora": Lora(r=2)}, "frozen": {"precision": "bf16", "freeze": ("vision",)},
    }  # fmt: skip
    for name, said in words.items():
        run(Config(name=name, **few, **said), run_folder)
        assert (run_folder.checkpoints(name) / "model").is_dir()
    folder = run_folder.reference(halved)
    made = {path.name.removeprefix(folder.name) for path in folder.parent.iterdir()}
    assert made == {"", "@bf16", "@bf16-lora", "@bf16-vision"}


def test_an_optimizer_without_its_library_or_gpu_is_a_sentence(run_folder, checkpoint, monkeypatch):
    from transformers import trainer_optimizer

    monkeypatch.setattr(trainer_optimizer, "is_bitsandbytes_available", lambda: False)
    with pytest.raises(UserError, match="optimizer: .*pip install -U bitsandbytes"):
        run(Config(model=checkpoint, batch=1, micro_batch=1, optimizer="adamw_8bit"), run_folder)
    monkeypatch.undo()
    if not torch.cuda.is_available():
        pytest.importorskip("bitsandbytes")
        with pytest.raises(UserError, match="optimizer: paged_adamw_8bit pages its state out of a GPU"):
            run(Config(model=checkpoint, batch=1, micro_batch=1, optimizer="paged_adamw_8bit"), run_folder)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{freeze: [visions]}", "steps.train.freeze.0: .* did you mean 'vision'"),
        ("{shard: fsdp2}", "mixpo: train.shard: .*GPUs"),
    ],
)
def test_the_command_says_it_in_a_sentence(tmp_path, monkeypatch, capsys, given, message):
    """Exit status 2, no traceback: what is wrong in the recipe, and what this machine cannot do."""
    row = {"prompt": [{"role": "user", "content": "What is there?"}], "chosen": "One.", "rejected": "Two."}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row))
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(given).replace("parquet", "jsonl"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mixpo", "run", "recipe.yaml"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert re.search(message, " ".join(capsys.readouterr().err.split()))


def test_the_first_weights_of_an_adapter_follow_from_the_seed_alone(tmp_path, checkpoint, processor, rows):
    """Whatever the process drew before: a training that was killed at its beginning begins as the same one."""

    def first(seed):
        torch.rand(3)
        config = Config(**FEW, lora=Lora(r=2), seed=seed)
        trainer = make_trainer(config, arguments(config, tmp_path), checkpoint, processor, rows)
        return torch.cat([one.flatten() for name, one in trainer.model.named_parameters() if ".lora_A" in name])

    one = first(1)
    assert torch.equal(one, first(1))
    assert not torch.equal(one, first(2))
