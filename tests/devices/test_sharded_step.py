"""A training as `accelerate launch` starts it on GPUs, in bf16 with a live reference: one rank on the null GPU."""

import pytest

from devices.null_gpu import SCRIPTS


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_the_first_steps_run(on_null_gpu, kind):
    """The yaml says bf16: the arguments follow. Weights are trained in float32; the reference's are held in 16 bits,
    under FSDP2 a half of them. No layer waits for the lengths of a shared row, which both would move to the GPU.
    """
    found = on_null_gpu(SCRIPTS / "sharded_step.py", kind, devices=2)
    assert found["steps"] == (2 if kind == "fsdp2" else 1)
    assert found["bf16"]
    assert found["attention"] == "mixpo_shared_prefix"
    assert not [place for place in found["waits"] if "mixpo/models" in place or "scoring" in place]
    assert found["policy"] == "torch.float32"
    assert found["wrapped"].startswith("FSDP" if kind == "fsdp2" else "DistributedDataParallel")
    assert found["reference"] == ["torch.bfloat16", "cuda:0", [150 if kind == "fsdp2" else 300, 128]]
