"""Freed memory stays with the process: the next tensor of the size causes no page faults."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from mixpo.cpu.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for number in range(30):
    if number == 20:  # malloc has settled
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [torch.ones(20_000_000), torch.ones(15_000_000)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_tensors_reuse_the_pages_of_those_before():
    """140 MB are 34,180 pages of 4 KiB; ten times over that is 341,797 faults if each is mapped anew."""
    faults = {}
    for how in ("keep", "default"):
        done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["keep"] < 34_180
    assert faults["default"] > 300_000
