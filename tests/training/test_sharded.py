"""Two processes (gloo) under FSDP2, ZeRO-2 and ZeRO-3 compute what one does, with either reference, with and without
LoRA; stopped and resumed they go on as if nothing had happened, and what they save is one process's model."""

import copy
import importlib.util
import os

import pytest
import torch

from fixtures.engines import ENGINES, given_by
from fixtures.pairs_run import SMALL
from fixtures.processes import two_processes
from mixpo.errors import UserError
from mixpo.models.base_model import make_model
from mixpo.models.load import load_model, load_processor
from mixpo.training.config import MPOConfig
from mixpo.training.final_model import save_model
from mixpo.training.scoring import plain
from mixpo.training.sharding import numel
from mixpo.training.trainer import MPOTrainer

CASES = {
    "live, full": {"row_tokens": 200},
    "live, lora": {"lora": ["q_proj", "down_proj", "lm_head"]},
    "cached, lora": {"lora": "all-linear", "cache": True, "row_tokens": 200},
    "tied embeddings": {"tied": True, "gradient_checkpointing": True},
}
HALF = {"live": {}, "cached": {"cache": True}, "lora": {"lora": "all-linear"}}
"""Computed in bfloat16, for a step."""


def make(folder, base, rows, engine, *, cache=False, lora=None, tied=False, **given):
    """A trainer on a few pairs a step, of which the second rank's may have no image; 16 tokens a chunk: the ranks have
    different numbers of chunks, and of rows."""
    base = f"{base}/{'tied' if tied else 'untied'}"
    told = given_by(engine, folder)
    if tied and engine == "fsdp2":
        told["fsdp_config"]["state_dict_type"] = "SHARDED_STATE_DICT"
    config = MPOConfig(
        output_dir=str(folder), per_device_train_batch_size=2, gradient_accumulation_steps=2 if engine else 4,
        train_sampling_strategy="sequential", report_to="none", disable_tqdm=True, use_cpu=True, score_chunk=16,
        learning_rate=1e-2, adam_epsilon=1e-2, warmup_steps=0, num_train_epochs=3, save_strategy="steps", save_steps=2,
        layout="shared", reference_cache=str(folder / "cache") if cache else None, optim="adamw_torch", **given, **told,
    )  # fmt: skip
    peft_config = None
    if lora:
        from peft import LoraConfig

        peft_config = LoraConfig(r=4, lora_alpha=8, target_modules=lora)
        torch.manual_seed(0)
    model = load_model(base)
    return MPOTrainer(
        model, args=config, train_dataset=rows, processing_class=load_processor(base), peft_config=peft_config
    )


def lines(trainer):
    return [
        {name: value for name, value in line.items() if name not in ("tokens", "epoch") and "runtime" not in name}
        for line in trainer.state.log_history
        if "loss" in line
    ]


def share(model):
    """Part of a model's elements that this process holds between two steps."""
    whole = held = 0
    for weight in model.parameters():
        whole += numel(weight)
        shard = weight.ds_tensor if hasattr(weight, "ds_id") else weight
        held += (weight.to_local() if hasattr(weight, "to_local") else shard).numel()
        if hasattr(weight, "ds_id"):
            assert weight.numel() == 0, "gathered, and not let go"
    return held / whole


def trained(folder, base, rows, engine, **given):
    """A whole training, one that goes on from its second step, and the model saved by that."""
    trainer = make(folder, base, rows, engine, **given)
    trainer.train()
    found = {"whole": lines(trainer), "wrapped": type(trainer.model_wrapped).__name__}
    models = [trainer.model, getattr(trainer.reference, "model", None)]
    found["share"] = [share(model) for model in models if model is not None]
    if engine:
        trainer.accelerator.wait_for_everyone()
        if trainer.is_world_process_zero():
            # A part of what both processes wrote is torn: all go on from the checkpoint before.
            largest = max((folder / "checkpoint-3").rglob("*"), key=lambda path: path.stat().st_size)
            os.truncate(largest, largest.stat().st_size // 2)
        trainer.accelerator.wait_for_everyone()
        trainer = make(folder, base, rows, engine, **given)
        trainer.train(resume_from_checkpoint=True)
        found["resumed"] = lines(trainer)
    save_model(trainer, folder)
    return found


def all_cases(folder, base, rows, engine):
    found = {name: trained(folder / name, base, rows, engine, **copy.deepcopy(case)) for name, case in CASES.items()}
    if engine:
        with pytest.raises(UserError, match="whole weights on each process"):
            make(folder / "refused", base, rows, engine, reference_update_steps=1)
    for name, case in HALF.items():
        trainer = make(folder / f"half, {name}", base, rows, engine, bf16=True, max_steps=1, **copy.deepcopy(case))
        trainer.train()
        reference = getattr(trainer.reference, "model", None)
        bits = None if reference is None else plain(reference).lm_head.weight.dtype.itemsize * 8
        found[f"half, {name}"] = {"whole": lines(trainer), "bits": bits}
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory, processor):
    folder = tmp_path_factory.mktemp("base")
    model = make_model(processor.tokenizer, seed=0, shape=SMALL)
    for name in ("untied", "tied"):
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
        model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
        model.tie_weights()
    return str(folder)


@pytest.fixture(scope="module")
def mixed(rows):
    alone = {**rows[4], "images": []}
    return [rows[0], rows[1], rows[14], rows[15], rows[2], rows[3], alone]


@pytest.fixture(scope="module")
def one(tmp_path_factory, base, mixed):
    folder = tmp_path_factory.mktemp("one")
    return folder, all_cases(folder, base, mixed, None)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_trains_as_one_process_does(tmp_path, base, mixed, one, engine):
    if engine != "fsdp2" and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("deepspeed is not installed")
    folder, alone = one
    two = two_processes(tmp_path, all_cases, tmp_path, base, mixed, engine)
    for case in HALF:
        (line,), (expected,) = two[f"half, {case}"]["whole"], alone[f"half, {case}"]["whole"]
        # The reference says what the policy says, in the same precision; neither is rounded to it on its way out.
        assert line["loss"] == pytest.approx(line["expected_first_loss"], abs=1e-5), case
        assert line["rewards/chosen"] == pytest.approx(0, abs=1e-5), case
        assert line["logps/chosen"] == pytest.approx(expected["logps/chosen"], rel=2e-3), case
        assert line["logps/chosen"] * 7 % 1 > 1e-3, "a mean over 7 pairs of whole nats"
        assert two[f"half, {case}"]["bits"] == {"live": 16}.get(case), case
    for case in CASES:
        found, wanted = two[case], alone[case]
        start = load_model(f"{base}/{'tied' if CASES[case].get('tied') else 'untied'}").state_dict()
        assert found["wrapped"].startswith("FSDP" if engine == "fsdp2" else "DeepSpeedEngine"), case
        assert found["share"] == pytest.approx([1 if engine == "zero2" else 0.5] * len(found["share"]), abs=0.01), case
        assert len(found["share"]) == 1 + (case in ("live, full", "tied embeddings"))
        for line, expected in zip(found["whole"], wanted["whole"], strict=True):
            assert line == pytest.approx(expected, rel=1e-5, abs=1e-5), case
        assert found["resumed"] == found["whole"], case
        same = load_model(str(folder / case / "model")).state_dict()
        moved = max((same[name] - start[name]).abs().max() for name in same)
        for name, value in load_model(str(tmp_path / case / "model")).state_dict().items():
            assert (value - same[name]).abs().max() <= 1e-4 * moved, f"{case}: {name}"


def test_an_engine_that_accelerate_has_not_taken_is_a_sentence(tmp_path, model, processor, rows):
    """On CPUs accelerate takes DDP, or nothing, without a word."""
    config = MPOConfig(output_dir=str(tmp_path), fsdp=True, report_to="none", use_cpu=True)
    with pytest.raises(UserError, match="FSDP was asked for, but accelerate does not use it here"):
        MPOTrainer(model, args=config, train_dataset=rows, processing_class=processor)
