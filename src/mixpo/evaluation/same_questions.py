"""Whether a benchmark's name still means the file whose questions an evaluation keeps under it."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo import notes
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.questions.file import source_file
from mixpo.text_files import write_text


@dataclass(frozen=True, slots=True)
class AskedOf:
    """What was read of the file (`sources/<benchmark>.json`)."""

    path: str
    size: int
    digest: str


def refuse_changed_questions(benchmark: str, values: Mapping[str, Any], inner: RunFiles) -> None:
    """Raises UserError where the questions under this name are another file's, or what was read of it has changed.

    A file may grow at its end: what is new is answered then.
    """
    path = source_file(str(values["path"]))
    note = inner.json(f"sources/{benchmark}")
    begun = any(True for _ in inner.questions(benchmark))
    before = notes.read(note, AskedOf) if begun else None
    size = path.stat().st_size if path.is_file() else 0
    if before is not None and before.path != os.path.realpath(path):
        raise _changed(f"questions of {before.path}", benchmark, inner)
    if before is not None and (size < before.size or _digest(path, before.size) != before.digest):
        raise _changed(f"questions of {path} as it was before it changed,", benchmark, inner)
    now = {"path": os.path.realpath(path), "size": size, "digest": _digest(path, size)}
    write_text(note, json.dumps(now, ensure_ascii=False) + "\n")


def _changed(what: str, benchmark: str, inner: RunFiles) -> UserError:
    return UserError(
        f"{inner.root} holds {what} under the name {benchmark!r}; choose another run folder with --out, or give these "
        "questions another name"
    )


def _digest(path: Path, size: int) -> str:
    """Of a file's beginning; of a folder: nothing."""
    if not size:
        return ""
    with path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()
