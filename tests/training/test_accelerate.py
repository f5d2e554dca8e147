"""The ready-made configurations for accelerate say what they are meant to."""

import re
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

from mixpo.training.config import MPOConfig

FOLDER = Path(__file__).parents[2] / "recipes" / "accelerate"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ddp", "MULTI_GPU"), ("fsdp2", "FSDP"), ("zero2", "DEEPSPEED"), ("zero3", "DEEPSPEED")],
)
def test_accelerate_reads_the_configuration(name, kind):
    """A key that it does not know would raise ValueError."""
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert config.distributed_type == DistributedType(kind)
    assert (config.num_processes, config.mixed_precision, config.use_cpu) == (8, "bf16", False)


def test_fsdp_is_version_2_and_saves_whole_weights(monkeypatch):
    from accelerate.utils import FullyShardedDataParallelPlugin

    for key, value in load_config_from_file(str(FOLDER / "fsdp2.yaml")).fsdp_config.items():
        monkeypatch.setenv(key.upper(), str(value))
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert "FULL_STATE_DICT" in str(plugin.state_dict_type)
    assert plugin.cpu_offload is None or not getattr(plugin.cpu_offload, "offload_params", False)


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_builds_the_stage(stage):
    pytest.importorskip("deepspeed", reason="deepspeed is not installed")
    from accelerate.utils import DeepSpeedPlugin

    given = load_config_from_file(str(FOLDER / f"zero{stage}.yaml")).deepspeed_config
    plugin = DeepSpeedPlugin(zero_stage=given["zero_stage"], zero3_init_flag=given["zero3_init_flag"])
    assert plugin.deepspeed_config["zero_optimization"]["stage"] == stage


@pytest.mark.parametrize("said", ["arguments", "accelerate", "both"])
def test_the_precision_is_said_in_one_place(tmp_path, monkeypatch, said):
    if said != "arguments":
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    args = MPOConfig(output_dir=str(tmp_path), use_cpu=True, **({} if said == "accelerate" else {"bf16": True}))
    assert (args.bf16, args.mixed_precision) == (True, "bf16")


@pytest.mark.parametrize(
    ("launched", "given", "sentence"),
    [
        ("bf16", {"fp16": True}, "two precisions are asked for, fp16: true and `mixed_precision: bf16` of accelerate"),
        ("no", {"fp16": True, "deepspeed": {"bf16": {"enabled": True}}}, "fp16: true and `bf16` of DeepSpeed"),
        ("bf16", {"deepspeed": {"bf16": {"enabled": False}}}, "DeepSpeed's configuration switches bf16 off"),
    ],
)
def test_two_precisions_are_a_sentence(tmp_path, monkeypatch, launched, given, sentence):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        MPOConfig(output_dir=str(tmp_path), use_cpu=True, **given)


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_launched_in_bf16_agrees_with_the_arguments(tmp_path, monkeypatch, stage):
    """As `accelerate launch` says it: DeepSpeed's own configuration then has what transformers compares with."""
    pytest.importorskip("deepspeed", reason="deepspeed is not installed")
    from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig, unset_hf_deepspeed_config

    recipe = load_config_from_file(str(FOLDER / f"zero{stage}.yaml"))
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", recipe.mixed_precision)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", str(stage))
    try:
        args = MPOConfig(output_dir=str(tmp_path), use_cpu=True)
        config = HfTrainerDeepSpeedConfig(args.deepspeed_plugin.deepspeed_config)
        config.trainer_config_process(args)
    finally:
        unset_hf_deepspeed_config()
    assert config.mismatches == []
    assert config.dtype() == torch.bfloat16
