"""The small run, made once for all processes of the suite."""

import fcntl
import shutil

import pytest

from mixpo.files import RunFiles
from mixpo.pairs.export import export, format_of
from robustness import small_run


@pytest.fixture(scope="session")
def masters(tmp_path_factory, worker_id):
    """A folder with the finished run, `run`, and its pairs as MMPR's, `inputs/mmpr`."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "robustness"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        masters = shared / "masters"
        if not (shared / "made").exists():
            shutil.rmtree(masters, ignore_errors=True)
            masters.mkdir()
            small_run.make(masters)
            export(RunFiles(masters / "run"), format_of("mmpr"), masters / "inputs" / "mmpr")
            (shared / "made").touch()
    return masters


@pytest.fixture(scope="session")
def worker_id(request):
    """As of pytest-xdist; without it there is one process."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")
