"""A GPU that computes nothing: torch's own CUDA code runs on the host, no kernel does, everything reads as zeros.

`nullcuda/nullcuda.c` takes the place of the CUDA runtime (LD_PRELOAD). Real are device checks, autocast, the caching
allocator and its peak, launches, host-device waits, Triton's compiler; not the values. A script of `tests/devices` runs
on it in a process of its own, and prints what it found as JSON in its last line:

    found = run(SCRIPTS / "train_step.py", "--layout", "shared")
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
SOURCES = (HERE.parents[1] / "src", HERE.parent, HERE.parents[1] / "benchmarks")


def missing() -> str:
    """Why there is no null GPU here; empty when there is one."""
    if sys.platform != "linux":
        return "the null GPU is for Linux"
    if shutil.which("gcc") is None:
        return "the null GPU is built with gcc, which is not installed"
    return "" if _headers() else "the null GPU needs the headers of nvidia-cuda-runtime, which torch's CPU build lacks"


def _headers() -> Path | None:
    try:
        import nvidia.cu13 as cuda
    except ImportError:
        return None
    found = [Path(place) / "include" for place in cuda.__path__]
    return next((place for place in found if (place / "cuda_runtime_api.h").exists()), None)


@functools.cache
def library() -> Path:
    """The built library; made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="nullcuda-"))
    made = folder / "libnullcuda.so"
    source = HERE / "nullcuda"
    include = [f"-I{source}", f"-I{_headers()}"]
    command = ["gcc", "-shared", "-fPIC", "-O1", "-w", *include, "-o", made, source / "nullcuda.c", "-lpthread"]
    subprocess.run(command, check=True)
    (folder / "libcuda.so.1").symlink_to(made)
    return made


def environment(devices: int = 1, memory: float = 80 * 2**30) -> dict[str, str]:
    """What a process needs to see `devices` null GPUs of `memory` bytes each."""
    made = library()
    paths = [str(made.parent), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        **os.environ,
        "LD_PRELOAD": str(made),
        "LD_LIBRARY_PATH": ":".join(filter(None, paths)),
        "NULLCUDA_DEVICES": str(devices),
        "NULLCUDA_MEMORY": str(int(memory)),
        "TRANSFORMERS_DISABLE_TORCH_CHECK": "1",  # it multiplies, and looks at the result
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": ":".join(map(str, SOURCES)),
    }


def run(script: Path, *given: str, timeout: float = 600, **machine: Any) -> Any:
    """What the script printed in its last line, as JSON. Raises AssertionError with its errors when it fails."""
    command = [sys.executable, str(script), *given]
    done = subprocess.run(command, env=environment(**machine), capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])
