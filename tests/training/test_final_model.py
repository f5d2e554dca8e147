"""What is saved: the precision of the checkpoint that training began with, from one process or from an adapter."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from mixpo.errors import UserError
from mixpo.models.load import load_model
from mixpo.training.config import MPOConfig
from mixpo.training.final_model import FinalModel, save_model
from mixpo.training.trainer import MPOTrainer


def trained(folder, base, processor, rows, peft_config=None):
    config = MPOConfig(
        output_dir=str(folder), per_device_train_batch_size=2, max_steps=2, save_strategy="steps", save_steps=2,
        learning_rate=1e-2, warmup_steps=0, report_to="none", disable_tqdm=True, use_cpu=True, layout="shared",
    )  # fmt: skip
    trainer = MPOTrainer(
        load_model(base), args=config, train_dataset=rows[:4], processing_class=processor, peft_config=peft_config
    )
    trainer.train()
    return trainer


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_model_is_saved_in_the_precision_of_its_base(tmp_path, model, processor, rows, dtype):
    """Training is float32, and so is a checkpoint for resuming; the final model opens as its base does."""
    base = str(tmp_path / "base")
    model.to(getattr(torch, dtype)).save_pretrained(base)
    trainer = trained(tmp_path / "run", base, processor, rows)
    exact = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert {value.dtype for value in exact.values()} == {torch.float32}
    assert {value.dtype for value in load_file(tmp_path / "run/checkpoint-2/model.safetensors").values()} == {
        torch.float32
    }
    trainer.save_model(str(tmp_path / "asked"))
    save_model(trainer, tmp_path / "run")
    for folder in (tmp_path / "run" / "model", tmp_path / "asked"):
        assert json.loads((folder / "config.json").read_text())["dtype"] == dtype
        saved = type(model).from_pretrained(folder, dtype="auto").state_dict()
        for name, value in saved.items():
            assert torch.equal(value, exact[name].to(getattr(torch, dtype))), name
    if dtype == "float32":
        trainer.model.save_pretrained(tmp_path / "plain")
        for file in ("model.safetensors", "config.json", "generation_config.json"):
            assert (tmp_path / "run" / "model" / file).read_bytes() == (tmp_path / "plain" / file).read_bytes(), file


def test_an_adapter_is_merged_in_float32_and_rounded_once(tmp_path, model, processor, rows):
    peft = pytest.importorskip("peft", reason="peft is not installed: pip install 'mixpo[peft]'")
    base = str(tmp_path / "base")
    model.to(torch.bfloat16).save_pretrained(base)
    lora = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "lm_head"])
    trainer = trained(tmp_path / "run", base, processor, rows, lora)
    head = trainer.model.base_model.model.lm_head
    wanted = head.base_layer.weight + head.get_delta_weight("default")
    save_model(trainer, tmp_path / "run")
    saved = type(model).from_pretrained(tmp_path / "run" / "model", dtype="auto").lm_head.weight
    assert torch.equal(saved, wanted.to(torch.bfloat16))
    assert not torch.equal(saved, model.lm_head.weight)


def test_weights_that_autocast_would_cast_are_cast_once(tmp_path, model, processor, rows):
    """The reference of a bf16 run: linear layers in 16 bits, the rest as it is, and the very numbers of the policy."""
    base = str(tmp_path / "base")
    model.save_pretrained(base)
    config = MPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, max_steps=1, save_strategy="no", report_to="none",
        disable_tqdm=True, use_cpu=True, layout="shared", bf16=True,
    )  # fmt: skip
    trainer = MPOTrainer(load_model(base), args=config, train_dataset=rows[:4], processing_class=processor)
    reference = trainer.reference.model
    assert reference.lm_head.weight.dtype == torch.bfloat16
    assert reference.get_input_embeddings().weight.dtype == torch.float32
    assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float32}
    trainer.train()
    assert trainer.state.log_history[0]["rewards/chosen"] == trainer.state.log_history[0]["rewards/rejected"] == 0


def test_what_could_not_be_saved_is_refused_before_it_is_trained(model):
    model.quantization_method = "bitsandbytes"
    FinalModel(model, SimpleNamespace(engine=False))
    with pytest.raises(UserError, match="cannot be gathered from an engine"):
        FinalModel(model, SimpleNamespace(engine=True))


def test_several_end_tokens_and_a_generation_config_that_is_not_valid_are_saved_again(tmp_path, model, processor, rows):
    """`temperature` without `do_sample`, as some checkpoints have it; transformers refuses to save that by itself."""
    base = tmp_path / "base"
    model.save_pretrained(base)
    file = base / "generation_config.json"
    own = json.loads(file.read_text())["eos_token_id"]
    file.write_text(json.dumps({"eos_token_id": [own, 5], "temperature": 0.6, "top_p": 0.9}))
    trainer = trained(tmp_path / "run", str(base), processor, rows)
    save_model(trainer, tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "model" / "generation_config.json").read_text())
    assert (saved["temperature"], saved["top_p"], "do_sample" in saved) == (0.6, 0.9, False)
    assert load_model(str(tmp_path / "run" / "model")).generation_config.eos_token_id == [own, 5]
