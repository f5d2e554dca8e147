"""Models on disk: written whole or not at all, and looked at before they are taken for whole. No weight is read."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mixpo.errors import UserError, first_line
from mixpo.text_files import staged, sync, sync_tree

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
REASONS = (r"([\w ,-]+) \(os error \d+\)", r"\[Errno \d+\] ([\w ,-]+)")
"""How the libraries that write weights (safetensors, tokenizers; torch's of shards) say what the system has said."""
TORCH = ("inline_container", "PytorchStreamWriter", "basic_ios")
"""What stands in the errors of torch.save, which does not say why a write failed."""


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Raises UserError when the disk is full, or refuses, with whichever library `path` is written."""
    try:
        yield
    except UserError:
        raise
    except BaseException as error:  # torch.distributed.checkpoint's is no Exception
        if not (reason := _refusal(error)):
            raise
        raise UserError(
            f"{path} cannot be written ({reason}); make room or choose another place, then run again"
        ) from error


def _refusal(error: BaseException) -> str:
    """What the system said to a write, where the error is one of that; else empty."""
    if isinstance(error, OSError):
        return error.strerror or ""
    text = str(error)
    for form in REASONS:
        if said := re.search(form, text):
            return said[1].strip()
    return "torch could not write to its end" if any(word in text for word in TORCH) else ""


@contextmanager
def new_model(folder: Path) -> Iterator[Path]:
    """A place for a model's files; it takes the name `folder` when the block ends well and all of it is on the disk.

    Raises UserError when it cannot be written.
    """
    with saving(folder), staged(folder) as place:
        yield place
        sync_tree(place)
    sync(folder.parent)


def open_weights(file: Path, framework: str = "pt") -> Any:
    """A safetensors file, of which the header is read, and compared with the file's size. Raises ValueError."""
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, framework=framework)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file.name} is torn or no safetensors file ({first_line(error)})") from error


def weight_names(folder: Path) -> list[str]:
    """Names of a model's files of weights, by transformers' order. Raises ValueError for an index that is none, or
    leads out of the folder."""
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).exists():
        return [WEIGHTS]
    told = _json(folder / INDEX)
    named = told.get("weight_map") if isinstance(told, dict) else None
    names = set(map(str, named.values())) if isinstance(named, dict) else set()
    if not names or any(Path(name).name != name for name in names):
        raise ValueError(f"{INDEX} has no weight_map of files in its folder")
    return sorted(names)


def refuse_damaged(folder: Path) -> None:
    """Raises UserError for a model whose config or weights are not there, or are torn."""
    try:
        _json(folder / "config.json")
        for name in weight_names(folder):
            file = folder / name
            if not file.is_file():
                raise ValueError(f"{file.name} is missing")
            with open_weights(file, "np"):
                pass
    except (OSError, ValueError) as error:
        raise UserError(
            f"the model in {folder} is damaged: {first_line(error)}; delete that folder and run again to make it anew"
        ) from error


def _json(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no JSON ({first_line(error)})") from error
