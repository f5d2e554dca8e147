"""Files written whole or not at all."""

import difflib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, UserError

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

    lines = path.read_bytes().splitlines() if lines is None else lines
    number = next((number for number, line in enumerate(lines, 1) if not is_text(line)), 1)
    return DataError(f"{path}:{number}: the text is not UTF-8; save the file in that encoding")


def like(path: Path) -> str:
    """`did you mean 'recipes/nlvr.yaml'?`: what is there and has a path like one that is not; empty: nothing has."""
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    try:
        beside = sorted(entry.name for entry in missing.parent.iterdir())
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
    """What a JSON file of the run holds; None when it is not there. Raises DataError for one that is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error}); delete it, then run again") from error
