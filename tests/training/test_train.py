"""The step `train`: what a section says reaches the trainer, what it cannot say is refused before anything runs."""

import importlib.util
import json
from dataclasses import fields, replace

import pytest
import torch
from accelerate import PartialState

from mixpo.errors import RecipeError, UserError
from mixpo.losses.objective import Objective
from mixpo.model_inputs import ImagesConfig
from mixpo.models.chat import Chat
from mixpo.models.load import load_processor
from mixpo.pipeline import resolve
from mixpo.recipe import load_recipe
from mixpo.records import Demonstration
from mixpo.training.config import MPOConfig
from mixpo.training.train import Config, arguments, make_trainer, run

RECIPE = """\
steps:
  import: {{format: trl, path: pairs.parquet}}
  train:
    batch: 4
    micro_batch: 2
    {}
"""


def log(files, name="train"):
    path = files.checkpoints(name) / "log.jsonl"
    return [line for line in map(json.loads, path.read_text().splitlines()) if "loss" in line]


# -- what reaches the trainer ------------------------------------------------------------------------------------------

SECTION = {
    "seed": 7, "learning_rate": 0.125, "warmup": 0.25, "schedule": "linear", "epochs": 3.0, "batch": 12,
    "micro_batch": 3, "weight_decay": 0.5, "adam_beta2": 0.75, "max_grad_norm": 0.375, "layout": "paired",
    "pairs_per_group": 2, "row_tokens": 99, "held_out": 0.5, "save_steps": 6, "logging_steps": 2,
    "reference_update_steps": 5, "reference_update_weight": 0.875, "report_to": "tensorboard", "precision": "bf16",
    "gradient_checkpointing": "true", "attention": "eager", "compile": True, "optimizer": "sgd", "workers": 2,
}  # fmt: skip
ARGUMENTS = {
    "seed": 7, "learning_rate": 0.125, "warmup_steps": 0.25, "lr_scheduler_type": "linear", "num_train_epochs": 3.0,
    "per_device_train_batch_size": 3, "gradient_accumulation_steps": 4, "weight_decay": 0.5, "adam_beta2": 0.75,
    "max_grad_norm": 0.375, "layout": "paired", "pairs_per_group": 2, "row_tokens": 99, "eval_strategy": "steps",
    "eval_steps": 6, "per_device_eval_batch_size": 3, "save_steps": 6, "logging_steps": 2,
    "reference_update_steps": 5, "reference_update_weight": 0.875, "report_to": ["tensorboard"], "bf16": True,
    "gradient_checkpointing": True, "attention": "eager", "compile": True, "optim": "sgd",
    "dataloader_num_workers": 2,
}  # fmt: skip


def test_every_field_of_a_section_becomes_an_argument(tmp_path):
    default = arguments(Config(), tmp_path)
    args = arguments(Config(**SECTION), tmp_path)
    assert {name: getattr(args, name) for name in ARGUMENTS} == ARGUMENTS
    assert [name for name, value in ARGUMENTS.items() if getattr(default, name) == value] == []
    assert arguments(Config(), tmp_path, tmp_path / "cache").reference_cache == str(tmp_path / "cache")
    assert args.output_dir == str(tmp_path)
    untold = {field.name for field in fields(Config)} - SECTION.keys()
    assert untold == {
        "name", "model", "pairs", "demonstrations", "questions", "max_records", "objective", "max_completion_length",
        "read", "reference", "lora", "trainer", "freeze", "quantize", "shard", "offload", "images", "chat_template",
        "trust_remote_code",
    }  # fmt: skip


OBJECTIVE = {
    "preference": "cdpo", "quality": "kto", "generation": "sft_token_mean", "preference_weight": 0.5,
    "quality_weight": 0.25, "generation_weight": 2.0, "beta": 0.3, "preference_beta": 2.0, "label_smoothing": 0.125,
    "target_margin": 1.5, "desirable_weight": 3.0, "undesirable_weight": 4.0, "reward_shift": "ema",
    "reward_shift_decay": 0.625,
}  # fmt: skip


def test_every_field_of_the_objective_reaches_the_trainer(tmp_path, checkpoint, processor, rows):
    """And is declared once: a recipe's objective is the one that the trainer's arguments inherit."""
    names = {field.name for field in fields(Objective)}
    assert names == OBJECTIVE.keys()
    assert not names & MPOConfig.__annotations__.keys()
    config = Config(objective=Objective(**OBJECTIVE), batch=2, micro_batch=2)
    trainer = make_trainer(config, arguments(config, tmp_path), checkpoint, processor, rows)
    assert {name: getattr(trainer.objective, name) for name in names} == OBJECTIVE
    assert (trainer.shift.kind, trainer.shift.decay) == ("ema", 0.625)
    default = arguments(Config(), tmp_path)
    assert {name: getattr(default, name) for name in names} == {name: getattr(Objective(), name) for name in names}


def test_what_trainer_is_given_reaches_it(tmp_path, checkpoint, processor, rows):
    """Checkpointing changes no gradient, the learning rate stays, weights decay; a checkpoint keeps what was said."""
    common = {"batch": 4, "micro_batch": 4, "learning_rate": 1e-3, "warmup": 0.0, "save_steps": 2, "epochs": 0.5}
    lines = {}
    for name, given in (("plain", {}), ("checkpointing", {"gradient_checkpointing": True})):
        given |= {"weight_decay": "1e-1", "lr_scheduler_type": "constant", "adam_epsilon": "1e-7"}
        config = Config(**common, trainer=given)
        trainer = make_trainer(config, arguments(config, tmp_path / name), checkpoint, processor, rows)
        trainer.train()
        lines[name] = log_of = [line for line in trainer.state.log_history if "loss" in line]
        assert [line["learning_rate"] for line in log_of] == [1e-3, 1e-3]
        assert {group["weight_decay"] for group in trainer.optimizer.param_groups} == {0.1, 0.0}
        saved = torch.load(tmp_path / name / "checkpoint-2" / "training_args.bin", weights_only=False)
        assert (saved.weight_decay, saved.adam_epsilon, saved.lr_scheduler_type) == (0.1, 1e-7, "constant")
        told = any(getattr(module, "gradient_checkpointing", False) for module in trainer.model.modules())
        assert bool(saved.gradient_checkpointing) == told == (name == "checkpointing")
    for plain, other in zip(lines["plain"], lines["checkpointing"], strict=True):
        assert other["loss"] == pytest.approx(plain["loss"], rel=1e-6)
        assert other["grad_norm"] == pytest.approx(plain["grad_norm"], rel=1e-4)


def test_images_are_prepared_in_other_processes_alike(tmp_path, checkpoint, processor, rows):
    losses = []
    for workers in (0, 2):
        config = Config(
            batch=4, micro_batch=2, learning_rate=1e-3, epochs=0.5, trainer={"dataloader_num_workers": workers}
        )
        trainer = make_trainer(config, arguments(config, tmp_path / str(workers)), checkpoint, processor, rows)
        trainer.train()
        losses.append([line["loss"] for line in trainer.state.log_history if "loss" in line])
    assert losses[0] == losses[1]
    assert len(losses[0]) == 2


# -- what is refused when a recipe is resolved -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row_tokens: 0", ":3: steps.train: row_tokens must be at least 1, not 0"),
        ("pairs_per_group: 0", ":3: steps.train: pairs_per_group must be at least 1, not 0"),
        ("reference_update_weight: 2", ":3: steps.train: reference_update_steps must be at least 0"),
        ("report_to: tensorbord", ":3: steps.train: report_to 'tensorbord' is none of none, all"),
        ("trainer: {gradient_checkpoint: true}", ":6: .*gradient_checkpoint: unknown .* 'gradient_checkpointing'"),
        ("trainer:\n      bf16: true\n      seed: 3", ":8: steps.train.trainer.seed: .* use `seed` of the section"),
        ("trainer: {learning_rate: 1e-4}", ":6: .*trainer.learning_rate: .* use `learning_rate` of the section"),
        ("trainer: {max_grad_norm: 2}", "use `max_grad_norm` of the section"),
        ("trainer: {num_train_epochs: 2}", "use `epochs`"),
        ("trainer: {warmup_steps: 0.1}", "use `warmup`"),
        ("trainer: {warmup_ratio: 0.1}", "use `warmup`"),
        ("trainer: {per_device_train_batch_size: 2}", "use `micro_batch`"),
        ("trainer: {gradient_accumulation_steps: 2}", "use `batch`"),
        ("trainer: {output_dir: elsewhere}", "use `run` of the recipe"),
        ("trainer: {beta: 0.2}", "use `objective.beta`"),
        ("trainer: {loss_type: [sigmoid]}", "trainer.loss_type: is TRL's; .* docs/migrating.md"),
        ("trainer: {bf16: maybe}", ":6: steps.train.trainer.bf16: must be true or false, not 'maybe'"),
        ("trainer: {weight_decay: much}", "weight_decay: must be a number, not 'much'"),
        ("trainer: {optim: adamx}", "'adamx' is none of adamw_torch"),
        ("trainer: {bf16: true, fp16: true}", "two precisions are asked for, bf16: true and fp16: true"),
        ("trainer: {accelerator_config: {nope: 1}}", "unexpected keyword argument 'nope'"),
        ("trainer: {deepspeed: a.json}\n    reference_update_steps: 4", "whole weights on each process: no FSDP"),
        ("schedule: linear\n    trainer: {lr_scheduler_type: constant}", "says `schedule: linear` as well"),
    ],
)
def test_what_cannot_be_trained_is_refused_when_the_recipe_is_resolved(tmp_path, text, message):
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(text))
    with pytest.raises(RecipeError, match=rf"recipe.yaml{message if message[0] == ':' else '.*' + message}"):
        resolve(load_recipe(tmp_path / "recipe.yaml"))


def test_resolving_sets_no_device_up(tmp_path, monkeypatch):
    """What needs a GPU is not refused on a machine without, and what is global to torch stays as it is."""
    monkeypatch.setattr(PartialState, "_shared_state", {})
    precision = torch.get_float32_matmul_precision()
    text = "trainer: {tf32: true, bf16: true, torch_compile: true, deepspeed: zero3.json, save_strategy: no}"
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(text))
    config = resolve(load_recipe(tmp_path / "recipe.yaml"))["train"]
    assert PartialState._shared_state == {}
    assert torch.get_float32_matmul_precision() == precision
    if not torch.cuda.is_available():
        with pytest.raises(RecipeError, match="tf32|bf16"):
            arguments(config, tmp_path)


# -- whole runs --------------------------------------------------------------------------------------------------------


def test_demonstrations_are_trained_on_with_the_generation_loss_alone(run_folder, checkpoint, rows):
    """Whatever weights the objective gives to the others."""
    run_folder.demonstrations("shown").replace(
        Demonstration(id=f"q{number}", question_id="q", prompt="What is there?", text=rows[number]["chosen"])
        for number in range(6)
    )
    config = Config(
        name="sft", model=checkpoint, demonstrations="shown", batch=2, micro_batch=2, learning_rate=3e-3, epochs=4,
        warmup=0.0, objective=Objective(preference_weight=3.0, quality_weight=5.0),
    )  # fmt: skip
    run(config, run_folder)
    lines = log(run_folder, "sft")
    assert len(lines) == 12
    assert [line["loss"] for line in lines] == pytest.approx([line["loss/generation"] for line in lines], rel=1e-5)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert not {"loss/preference", "loss/quality", "rewards/margins", "reward_shift"} & lines[0].keys()
    assert (run_folder.checkpoints("sft") / "model" / "model.safetensors").is_file()
    assert list(run_folder.checkpoints("sft").glob("checkpoint-*")) == []


def test_what_is_left_out_of_training_is_said(run_folder, checkpoint, capsys):
    pairs = list(run_folder.pairs("pair"))
    run_folder.pairs("pair").replace([replace(pairs[0], rejected=""), *pairs[1:]])
    run(Config(model=checkpoint, batch=2, micro_batch=2), run_folder)
    said = " ".join(capsys.readouterr().err.split())
    assert "train: 1 pair left out because a completion is " in said
    assert "train: 2 pairs, 1 step, loss " in said
    assert "% of chosen above rejected 0 -> 0; model in" in said
    run(Config(model=checkpoint, batch=2, micro_batch=2), run_folder)
    assert "train: trained already, loss " in " ".join(capsys.readouterr().err.split())
    assert [record.id for record in run_folder.dropped("train")] == [pairs[0].id]
    assert len(log(run_folder)) == 1


def test_a_model_is_saved_with_the_limits_and_options_that_it_was_trained_with(run_folder, checkpoint, rows):
    """And the cached reference of a training without them is another one's."""
    processor = load_processor(checkpoint)
    processor.chat_template += "{% if terse is defined and terse %}{{ '!' }}{% endif %}"
    processor.save_pretrained(checkpoint)
    config = Config(model=checkpoint, batch=1, micro_batch=1, epochs=1, reference="cached")
    inputs = {"images": ImagesConfig(max_pixels=900, max_tiles=4), "chat_template": {"terse": True}}
    run(config, run_folder)
    run(replace(config, name="limited", **inputs), run_folder)
    run(replace(config, name="enlarged", images=ImagesConfig(min_pixels=50_000)), run_folder)
    trained, whole = (load_processor(str(run_folder.checkpoints(name) / "model")) for name in ("limited", "train"))
    assert (trained.image_processor.max_patches, whole.image_processor.max_patches) == (
        1, processor.image_processor.max_patches,
    )  # fmt: skip
    assert Chat(trained).render("?") == Chat(whole).render("?") + "!"
    caches = run_folder.reference(checkpoint).parent.glob(f"{run_folder.reference(checkpoint).name}*")
    described = [json.loads((folder / "cache.json").read_text()) for folder in caches]
    assert len({cache["processor"] for cache in described}) == 3
    assert len({cache["template"] for cache in described}) == 2


def test_what_has_no_meaning_for_the_model_is_refused_before_it_is_loaded(run_folder, checkpoint):
    with pytest.raises(UserError, match="does not ask for enable_thinking"):
        run(Config(model=checkpoint, batch=1, micro_batch=1, chat_template={"enable_thinking": False}), run_folder)


def test_data_that_changed_since_is_refused(run_folder, checkpoint):
    """After the training, and in the midst of it."""
    config = Config(model=checkpoint, batch=1, micro_batch=1, learning_rate=1e-3, epochs=1)
    run(config, run_folder)
    model = run_folder.checkpoints("train") / "model"
    weights = (model / "model.safetensors").read_bytes()
    run(config, run_folder)  # the same pairs: trained already
    pairs = list(run_folder.pairs("pair"))
    run_folder.pairs("pair").replace([replace(pairs[0], chosen="something else"), *pairs[1:]])
    with pytest.raises(UserError, match="has changed since .* was trained on it; delete"):
        run(config, run_folder)
    model.rename(model.with_name("elsewhere"))
    with pytest.raises(UserError, match="has changed since"):
        run(config, run_folder)
    run_folder.pairs("pair").replace(pairs)
    run(config, run_folder)
    assert (model / "model.safetensors").read_bytes() == weights


def test_an_optimizer_that_is_not_installed_is_a_sentence(run_folder, checkpoint):
    if importlib.util.find_spec("galore_torch"):
        pytest.skip("galore_torch is installed")
    given = {"optim": "galore_adamw", "optim_target_modules": ["attn"]}
    with pytest.raises(UserError, match="optimizer: .*galore_torch"):
        run(Config(model=checkpoint, batch=1, micro_batch=1, trainer=given), run_folder)


def test_a_share_held_out_that_is_no_question_trains_without(run_folder, checkpoint):
    config = Config(model=checkpoint, batch=1, micro_batch=1, epochs=1, held_out=0.0001)
    run(config, run_folder)
    assert len(log(run_folder)) == 3


def test_held_out_pairs_are_told_apart(tmp_path, checkpoint, processor, rows):
    config = Config(batch=4, micro_batch=4, epochs=0.5, held_out=0.2, save_steps=1)
    trainer = make_trainer(config, arguments(config, tmp_path), checkpoint, processor, rows[:8], rows[8:12])
    trainer.train()
    assert [line["step"] for line in trainer.state.log_history if "eval_loss" in line] == [1]
