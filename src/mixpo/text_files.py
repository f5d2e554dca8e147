"""Files written whole or not at all; files read that anybody may have damaged: plain ones only, and only so much."""

import difflib
import errno
import json
import math
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mixpo.errors import DataError, UserError, first_line

LARGEST = 64 << 20
"""Bytes of a file that is read whole: what a run notes of itself takes thousands."""
WHOLE = 1 << 63
"""Below it are whole numbers in a small file of the run: what is beyond is no number to C, nor to what divides it."""
LINKED = (Path("/dev"), Path("/proc"))
"""Where a pipe has a path because a shell made it (`<(…)`, /dev/stdin)."""


def opened(path: Path) -> IO[bytes]:
    """A file, to be read. Raises OSError, at once, for what is none: a pipe that lies somewhere would be waited for
    without end, and a device has no end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a null byte in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    kind = os.fstat(descriptor).st_mode
    piped = stat.S_ISFIFO(kind) and any(path.absolute().is_relative_to(place) for place in LINKED)
    if not stat.S_ISREG(kind) and not piped:
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe" if stat.S_ISFIFO(kind) else "a device"
        raise OSError(errno.EINVAL, f"it is {what}, no file", str(path))
    os.set_blocking(descriptor, True)
    return open(descriptor, "rb")


def appended(path: Path) -> IO[bytes]:
    """A file, to be added to; it may be new. Raises OSError, at once, for what is none, as `opened` does."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return open(descriptor, "ab")


def size_of(path: Path) -> int:
    """Bytes of a file. Raises DataError when there is none: a link that leads nowhere, perhaps."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise damaged(path, error) from error


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """The content of a file of at most so many bytes. Raises OSError."""
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def count_lines(path: Path) -> int:
    """Raises DataError when the file cannot be read."""
    try:
        with opened(path) as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except OSError as error:
        raise damaged(path, error) from error


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a file lies in a folder, links followed. In the hub's cache a data set's files are links to `blobs`,
    which lie beside the folder of its `snapshots`: these count, too."""
    # realpath: of links in a circle it is the first, which opening then says.
    root, real = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    blobs = [one.parents[1] / "blobs" for one in (root, *root.parents) if one.parent.name == "snapshots"]
    return any(real.is_relative_to(one) for one in (root, *blobs))


STAGED = ".mixpo-staged"
"""How a name ends that nobody but mixpo gives: what bears it may be removed."""


def not_utf8(path: Path, lines: Iterable[bytes] | None = None) -> DataError:
    """Names the first line of a file that is not UTF-8. `lines`: the file's, where they have to be unpacked."""

    def is_text(line: bytes) -> bool:
        try:
            line.decode()
        except UnicodeDecodeError:
            return False
        return True

    lines = read_bytes(path).splitlines() if lines is None else lines
    number = next((number for number, line in enumerate(lines, 1) if not is_text(line)), 1)
    return DataError(f"{path}:{number}: the text is not UTF-8; save the file in that encoding")


def like(path: Path) -> str:
    """`did you mean 'recipes/nlvr.yaml'?`: what is there and has a path like one that is not; empty: nothing has."""
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    try:
        beside = sorted(entry.name for entry in missing.parent.iterdir() if entry.name != missing.name)
    except OSError:
        return ""
    close = difflib.get_close_matches(missing.name, beside, 1)
    found = missing.with_name(close[0]) / path.relative_to(missing) if close else None
    return f"did you mean {str(found)!r}?" if found and found.exists() else ""


def cut_torn_line(path: Path) -> None:
    """Cuts what follows the last newline: the record that was being written when the process died."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        position = size
        while position > 0:
            step = min(65536, position)
            file.seek(position - step)
            newline = file.read(step).rfind(b"\n")
            if newline >= 0:
                end = position - step + newline + 1
                if end < size:
                    file.truncate(end)
                return
            position -= step
        file.truncate(0)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises UserError instead of OSError: the disk is full, or the place cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); make room or choose another place, then run again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes a small file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    with staged(path) as place:
        place.write_bytes(content)


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A place beside `path` for a file or a folder: it takes the path's name when the block ends well, else it is gone.

    What `path` is before is replaced (a folder only when it is empty). Raises UserError when it cannot be written.
    """
    place = path.with_name(f".{path.name}{STAGED}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(place)  # a killed process left it
        try:
            yield place
            place.replace(path)
        except BaseException:
            _remove(place)
            raise


def _remove(place: Path) -> None:
    """A file or a folder; of a link, the link alone."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Has a file's content, or a folder's list of names, on the disk: it is there after a power failure, too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems have no such thing for folders
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """As `sync`, of a folder and all that is in it."""
    for path in folder.rglob("*"):
        if path.is_file() or path.is_dir():
            sync(path)
    sync(folder)


def read_json(path: Path) -> Any:
    """What a JSON file of the run holds; None when it is not there. Raises DataError, with the line, for one that is
    damaged."""
    try:
        return parse_json(read_bytes(path).decode()) if os.path.lexists(path) else None
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def parse_json(text: str) -> Any:
    """The value of a small JSON text. Raises ValueError, also for what is nested too deeply and for numbers beyond all
    that is counted or measured (which break what is computed with them, later)."""

    def number(token: str) -> float:
        value = float(token)
        if not math.isfinite(value) or (abs(value) >= WHOLE and token.lstrip("-").isdecimal()):
            raise json.JSONDecodeError("a number that is too large", text, text.find(token))
        return int(token) if token.lstrip("-").isdecimal() else value

    try:
        return json.loads(text, parse_int=number, parse_float=number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def damaged(path: Path, error: Exception, advice: str = "delete it, then run again") -> DataError:
    """What to say of a file of the run that cannot be read: the line where there is one, and why."""
    line, reason = None, getattr(error, "strerror", None) or first_line(error)
    if isinstance(error, json.JSONDecodeError):
        line, reason = error.lineno, error.msg
    elif isinstance(error, UnicodeDecodeError):
        line, reason = error.object.count(b"\n", 0, error.start) + 1, "the text is not UTF-8"
    return DataError(f"{path}{f':{line}' if line else ''} cannot be read ({reason}); {advice}")
