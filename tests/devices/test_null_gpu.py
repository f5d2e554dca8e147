"""The null GPU itself."""

from devices.null_gpu import SCRIPTS


def test_counts_products_and_waits(on_null_gpu):
    assert on_null_gpu(SCRIPTS / "counts.py", memory=2e9) == {"gemms": 1, "waits": [1], "memory": 2_000_000_000}
