"""The plan's memory beside torch's allocator, on a small model with the parts of a large one."""

import json

import pytest

from devices.cases import prompts_of, setup_from, shape_named
from devices.null_gpu import SCRIPTS
from mixpo.training.memory import device_bytes

LIVE = {"reference": "live", "gradient_checkpointing": True}
CASES = [
    ({}, {}),
    ({"precision": "bf16"}, {}),
    ({"precision": "bf16", "gradient_checkpointing": True}, {"questions": 2}),
    ({"precision": "bf16", "layout": "paired"}, {}),
    ({"precision": "bf16", "lora": 16, "frozen_bytes": 2}, {}),
    ({"precision": "bf16", "freeze": ["vision"], "optimizer": "sgd"}, {}),
    ({"precision": "bf16", "reference_bytes": 2, **LIVE}, {}),
    ({"shard": "fsdp2", "devices": 8, "reference_sharded": True, **LIVE}, {}),
    ({"precision": "bf16", "shard": "fsdp2", "devices": 8}, {}),
]


def test_the_plan_is_within_a_tenth_of_the_allocators_peak(on_null_gpu, tmp_path):
    cases = [{"model": "small", "setup": setup, "pairs": {"tiles": 2, **pairs}} for setup, pairs in CASES]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    found = on_null_gpu(SCRIPTS / "step_memory.py", str(tmp_path / "cases.json"))
    for case, phases in zip(cases, found, strict=True):
        prompts = prompts_of("small", **case["pairs"])
        planned = device_bytes(shape_named("small"), prompts, setup_from(case["setup"]))
        assert planned.total == pytest.approx(phases["peak"], rel=0.1), case
