"""The ready-made configurations for accelerate say what they are meant to."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

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
