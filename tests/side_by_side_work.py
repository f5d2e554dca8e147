"""What tests/test_side_by_side.py has other processes do: they import it by this name."""

import os
import signal
import time
from pathlib import Path

from mixpo.errors import UserError


def write_pid(path: Path) -> None:
    path.write_text(str(os.getpid()))


def wait_for(path: Path, other: Path) -> None:
    """Ends only if `other` is written by a process that runs at the same time."""
    write_pid(path)
    until = time.monotonic() + 60
    while not other.exists() and time.monotonic() < until:
        time.sleep(0.01)
    if not other.exists():
        raise UserError("nobody runs beside me")


def refuse(_: Path) -> None:
    raise UserError("the pairs are missing; run `mixpo pair`")


def die(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_long(path: Path) -> None:
    write_pid(path)
    time.sleep(600)
