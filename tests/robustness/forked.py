"""Commands of mixpo, each in a process forked from this one, which has imported what they need.

A forked process that is killed is a killed process: the kernel takes its memory, its locks and its files away. This one
has one thread and runs nothing of mixpo, so that every command begins in the same state, in milliseconds.
"""

import atexit
import contextlib
import faulthandler
import gc
import importlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SECONDS = 20.0
"""Of a processor, which a command may take."""
IDLE = 8.0
"""By the clock on the wall, in which it may take nothing of a processor: it waits for what does not come."""
PATIENCE = 1.0
"""How many times `SECONDS`; ten times that by the clock: other processes may run."""
MEMORY = 2 * 2**30
"""Bytes in memory."""
ADDRESSES = 8 * 2**30
"""Bytes of addresses on top of those of this process: what would be taken at once is refused."""
FILE = 256 * 2**20
"""Bytes of a file."""
SHOWN = 400_000
"""Bytes kept of what a command prints, its beginning and its end."""
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    """-N: by signal N."""
    output: str
    seconds: float
    """Of a processor."""
    peak: int
    """Bytes in memory."""
    over: str = ""
    """The limit that it went over: time, memory."""
    left: int = 0
    """Processes that it left behind."""


def one_thread() -> None:
    """Begins this program anew, if need be, with libraries that start no threads: only one thread can be forked."""
    if not os.environ.items() >= ONE_THREAD.items():
        os.environ.update(ONE_THREAD)
        os.execv(sys.executable, sys.orig_argv)


@contextlib.contextmanager
def place(name: str) -> Iterator[Path]:
    """A folder that is gone in the end. Not tempfile's own: a forked process would remove it when it ends."""
    made = Path(tempfile.mkdtemp(prefix=f"mixpo-{name}-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SystemExit would be a failing case to hypothesis
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def prepare(folder: Path, work: Callable[[], None]) -> None:
    """Imports what `work` imports, done once in a process of its own; `folder`: for a list of it."""
    listed = folder / "modules"

    def look() -> int:
        before = set(sys.modules)
        work()
        found = [name for name in sys.modules if name not in before and not name.startswith(("__", "torch._dynamo"))]
        listed.write_text("\n".join(found))
        return 0

    ended = forked(look, folder / "prepared.txt", patience=6)
    if ended.status or ended.over:
        raise RuntimeError(f"the small run cannot be made: {ended}")
    with _silence():  # of the file, not of `sys.stderr`, which loggers keep
        for name in listed.read_text().split():
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # a child does not copy all objects only to look at them
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise RuntimeError(f"{threads} threads in the process that is forked")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    kept = [os.dup(number) for number in (1, 2)]
    with open(os.devnull, "w") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in enumerate(kept, start=1):
            os.dup2(before, number)
            os.close(before)


def mixpo(*arguments: str) -> Callable[[], int]:
    """The command, as `mixpo` itself begins it."""

    def work() -> int:
        sys.argv = ["mixpo", *arguments]
        from mixpo import cli

        cli.main()

    return work


def forked(
    work: Callable[[], int | None],
    output: Path,
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    patience: float = PATIENCE,
) -> Ended:
    """Does `work` in a process of its own and waits for it. `output`: a file for what it prints."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        _child(work, output, folder, environment)
    try:
        return _awaited(process, output, patience)
    except BaseException:
        _kill(process)
        raise


def _awaited(process: int, output: Path, patience: float) -> Ended:
    seconds, peak, over = 0.0, 0, ""
    begun = worked = time.monotonic()
    pause = 0.002
    status, usage = 0, None
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            break
        with contextlib.suppress(OSError, ValueError):
            used, memory = _used(process)
            peak = max(peak, memory)
            worked = time.monotonic() if used != seconds else worked
            seconds = used
        late = time.monotonic() - begun > 10 * SECONDS * patience or time.monotonic() - worked > IDLE * patience
        over = "time" if late or seconds > SECONDS * patience else "memory" if peak > MEMORY else ""
        if over:
            os.kill(process, signal.SIGUSR1)  # prints where it is
            time.sleep(0.3)
            _kill(process)
            _, status, usage = os.wait4(process, 0)
            break
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    left = _end_group(process)
    return Ended(
        status=os.waitstatus_to_exitcode(status), output=_text(output), left=left, over=over,
        seconds=usage.ru_utime + usage.ru_stime, peak=max(peak, usage.ru_maxrss * 1024),
    )  # fmt: skip


def _kill(process: int) -> None:
    """With all that it has started."""
    for kill in (os.killpg, os.kill):  # it may not have its own group yet
        with contextlib.suppress(OSError):
            kill(process, signal.SIGKILL)


def _child(
    work: Callable[[], int | None], output: Path, folder: Path | None, environment: dict[str, str] | None
) -> None:
    status: int = 1
    try:
        os.setsid()
        if folder is not None:
            os.chdir(folder)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        tempfile.tempdir = None  # looked up again
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, target in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(number, target)
        # What the test or the program before it put in their place.
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, 1, "utf-8") for n, mode in enumerate("rww"))
        addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        faulthandler.enable(sys.stderr, all_threads=False)
        faulthandler.register(signal.SIGUSR1, sys.stderr, all_threads=False)
        main = sys.modules["__main__"]  # what `spawn` would import again
        main.__spec__ = None
        main.__dict__.pop("__file__", None)
        try:
            status = work() or 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does when it ends
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        os._exit(status)


def _used(process: int) -> tuple[float, int]:
    """Seconds of a processor, and bytes in memory, of a process and of those that it started."""
    seconds, memory = 0.0, 0
    for one in (process, *_group(process)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        memory += int(fields[21]) * resource.getpagesize()
    return seconds, memory


def _group(process: int) -> Iterator[int]:
    """The processes that a process has started."""
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            yield int(each)


def _end_group(process: int) -> int:
    """Ends what is still there of the process's group, and says how many they were."""
    left = 0
    for _ in range(20):  # a helper ends when it reads that the command is gone
        left = sum(_grouped(process))
        if not left:
            return 0
        time.sleep(0.02)
    with contextlib.suppress(OSError):
        os.killpg(process, signal.SIGKILL)
    return left


def _grouped(group: int) -> Iterator[bool]:
    try:
        os.killpg(group, 0)
    except OSError:
        return
    for one in os.listdir("/proc"):
        if one.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
                yield int(fields[2]) == group and fields[0] != "Z"


def _text(output: Path) -> str:
    with output.open("rb") as file:
        begin = file.read(SHOWN // 2)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(len(begin), size - SHOWN // 2))
        return (begin + file.read()).decode("utf-8", "surrogateescape")
