"""What a `train` section leaves to the machine, on a GPU."""

import os

from devices.null_gpu import SCRIPTS


def test_a_section_that_says_nothing_trains_in_bfloat16_on_a_gpu(on_null_gpu):
    """With checkpointing, and processes that encode images; frozen weights have 16 bits, trained ones 32."""
    found = on_null_gpu(SCRIPTS / "train_words.py", memory=8e9)
    assert found["arguments"] == {
        "bf16": True, "fp16": False, "gradient_checkpointing": True, "dataloader_pin_memory": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False}, "optim": "adamw_torch_fused",
    }  # fmt: skip
    assert found["workers"] == min(4, len(os.sched_getaffinity(0)))
    assert found["persistent"] is True
    common = {"steps": 1, "trained": ["torch.float32"], "devices": ["cuda"]}
    assert found["frozen"] == {**common, "held": ["torch.bfloat16", "torch.float32"]}
    assert found["adapted"] == {**common, "held": ["torch.bfloat16"]}
