"""Freed memory stays with the process (the next tensor of the size causes no page faults) or goes back."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource, sys
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: where the system gives huge pages there are few faults
import torch
from mixpo.models.cpu_memory import keep_freed_memory, return_freed_memory
if sys.argv[1] != "default":
    keep_freed_memory()
if sys.argv[1] == "return":
    return_freed_memory()
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
    for how in ("keep", "default", "return"):
        done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["keep"] < 34_180
    assert faults["default"] > 300_000
    assert faults["return"] > 300_000


GROWING = """
import sys
from pathlib import Path
import torch
from mixpo.models.cpu_memory import keep_freed_memory, return_freed_memory
(keep_freed_memory if sys.argv[1] == "keep" else return_freed_memory)()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
before = resident()
slabs = [torch.zeros(1, 16, 5_000) for _ in range(8)]
for columns in range(2, 100):  # 8 x 31 MB in the end
    for number, slab in enumerate(slabs):
        grown = torch.zeros(columns, 16, 5_000)
        grown[: len(slab)] = slab
        slabs[number] = grown
del slabs, slab, grown
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_what_has_grown_goes_back_to_the_system():
    """Of 240 MiB crumbs are left (slabs below 4 MiB); kept, it stays, and holes with it."""
    left = {}
    for how in ("keep", "return"):
        done = subprocess.run([sys.executable, "-c", GROWING, how], capture_output=True, text=True, check=True)
        left[how] = int(done.stdout)
    assert left["keep"] > 240
    assert left["return"] < 120  # how many crumbs depends on the run: once 66 were seen
