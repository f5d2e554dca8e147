"""TR-DPO: the reference follows the policy, and a resumed run has the reference of the uninterrupted one."""

import copy
import math

import pytest
import torch

from mixpo.errors import UserError
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer


def trained(folder, model, processor, rows, resume=None, **given):
    config = MPOConfig(
        output_dir=str(folder), per_device_train_batch_size=2, learning_rate=1e-3, warmup_steps=0, layout="shared",
        report_to="none", disable_tqdm=True, use_cpu=True, **{"save_strategy": "no", **given},
    )  # fmt: skip
    trainer = MPOTrainer(copy.deepcopy(model), args=config, train_dataset=rows[:6], processing_class=processor)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def losses(trainer):
    return [line["loss/preference"] for line in trainer.state.log_history if "loss" in line]


def test_a_hard_update_each_step_keeps_the_policy_at_its_reference(tmp_path, model, processor, rows):
    """alpha 1 after every step: rewards are 0 at each, so the preference loss is ln 2 at each of the three."""
    moving = trained(tmp_path, model, processor, rows, reference_update_steps=1, reference_update_weight=1.0)
    assert losses(moving) == pytest.approx([math.log(2)] * 3, abs=1e-5)
    assert losses(trained(tmp_path, model, processor, rows))[2] != pytest.approx(math.log(2), abs=1e-4)


def test_the_blend_by_hand(tmp_path, model, processor, rows):
    """Three steps, an update after the second: 0.25 of the policy there and 0.75 of the first weights."""
    given = {"reference_update_steps": 2, "reference_update_weight": 0.25, "save_strategy": "steps", "save_steps": 2}
    trainer = trained(tmp_path, model, processor, rows, **given)
    second = type(model).from_pretrained(tmp_path / "checkpoint-2")
    for reference, first, policy in zip(
        trainer.reference.model.parameters(), model.parameters(), second.parameters(), strict=True
    ):
        torch.testing.assert_close(reference, 0.75 * first + 0.25 * policy, rtol=1e-6, atol=1e-7)


def test_resume_equals_uninterrupted(tmp_path, model, processor, rows):
    given = {"reference_update_steps": 1, "reference_update_weight": 0.5, "save_strategy": "steps", "save_steps": 2}
    whole = trained(tmp_path, model, processor, rows, **given)
    resumed = trained(tmp_path, model, processor, rows, resume=str(tmp_path / "checkpoint-2"), **given)
    assert losses(resumed) == losses(whole)
    for left, right in zip(whole.reference.model.parameters(), resumed.reference.model.parameters(), strict=True):
        assert torch.equal(left, right)


def test_what_cannot_follow_is_a_sentence(tmp_path, model, processor, rows):
    with pytest.raises(UserError, match="needs a live reference"):
        trained(tmp_path, model, processor, rows, reference_update_steps=1, reference_cache=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="at most 1"):
        MPOConfig(output_dir=str(tmp_path), reference_update_weight=1.5, use_cpu=True)
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(r=2, target_modules=["q_proj"]))
    with pytest.raises(UserError, match="without adapter"):
        trained(tmp_path, adapted, processor, rows, reference_update_steps=1)
