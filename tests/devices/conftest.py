"""Tests of what runs on a GPU, without one."""

import pytest

from devices import null_gpu


@pytest.fixture(scope="session")
def on_null_gpu():
    """`run` of `devices.null_gpu`; skips, saying why, where the null GPU cannot be built."""
    if reason := null_gpu.missing():
        pytest.skip(reason)
    return null_gpu.run
