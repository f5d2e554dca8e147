"""What the embedded backend asks of a GPU, counted on the null GPU at InternVL3-8B's shape: 64 rows on two prompts."""

from devices.null_gpu import SCRIPTS

LAUNCHES = 693
"""A step; a third of what it took before steps were recorded (2,080, with 4 waits)."""


def test_recorded_steps_are_one_launch_and_one_wait(on_null_gpu):
    found = on_null_gpu(SCRIPTS / "decode_steps.py")
    assert found["recorded"]
    first, second = found["first"], found["second"]
    assert first["steps"] == second["steps"] == 64
    # A step of every new shape is launched kernel by kernel, and one is recorded; shared by the 64 it makes 34.
    assert first["launches"] + first["gemms"] < 50 < LAUNCHES
    assert (second["launches"], second["graphs"], second["gemms"]) == (1, 1, 0)
    assert sum(first["waits"].values()) == sum(second["waits"].values()) == 1
    # 7 waits before; those left are transformers', which looks whether a prompt is padded.
    assert sum(found["prefill"]["waits"].values()) <= 3
    assert sum(found["join"]["waits"].values()) == 0
    # 80 GiB, 14.8 of them weights, 56 KiB a token: 65,536 before.
    assert 900_000 < found["budget"] < (80 * 2**30 - found["weights"]) / (56 * 2**10)


def test_steps_that_cannot_be_recorded_are_done_one_by_one(on_null_gpu):
    """A hook in the model looks at a value, so the host waits within the step."""
    found = on_null_gpu(SCRIPTS / "decode_steps.py", "--layers", "1", "--spoil", "--logps")
    assert not found["recorded"]
    assert found["second"]["steps"] == 64
    assert found["second"]["graphs"] == 0
    assert found["second"]["launches"] > 100
    assert sum(found["second"]["waits"].values()) == 2
