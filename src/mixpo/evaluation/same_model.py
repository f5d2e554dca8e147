"""Whether a model is still the one whose answers an evaluation keeps under its name."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from mixpo import notes
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.text_files import write_text

PROBE = 1 << 20
"""Bytes at either end of a model's file that tell it from another model's."""


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """Whose answers they are (`models/<name>.json`)."""

    model: str
    fingerprint: str


def refuse_changed_model(model: str, path: str, inner: RunFiles) -> None:
    """Raises UserError when the answers kept under this name were given by another model."""
    note = inner.json(f"models/{model}")
    now = {"model": path, "fingerprint": fingerprint(Path(path))}
    before = notes.read(note, AnsweredBy)
    if before is None:
        write_text(note, json.dumps(now) + "\n")
    elif before.fingerprint != now["fingerprint"]:
        raise UserError(
            f"{inner.root} holds answers of another model named {model!r}; delete that folder to evaluate anew, "
            "or give the model another name"
        )


def fingerprint(folder: Path) -> str:
    """A checksum of a checkpoint's file names, sizes, beginnings and ends; of the bare name for a hub model."""
    digest = hashlib.sha256()
    if not folder.is_dir():
        digest.update(str(folder).encode())
        return digest.hexdigest()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(PROBE))
            file.seek(max(0, size - PROBE))
            digest.update(file.read(PROBE))
    return digest.hexdigest()
