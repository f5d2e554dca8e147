"""Checkpoints that survive SIGKILL, a full disk and damage: each lists what it holds, and is compared with its list."""

import hashlib
import json
import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mixpo.errors import UserError, first_line
from mixpo.models.weight_files import open_weights
from mixpo.text_files import opened, staged, sync, sync_tree

STATE_FILE = "mpo_state.json"
"""Written last, when all else is on the disk: MPO's own state, and size and SHA-256 of every other file."""
UNFINISHED = "mpo_unfinished"
"""An empty file in a folder that is being written or deleted: without `STATE_FILE`, the rest is worth nothing."""
FILES, DIGEST = "files", "sha256"
"""Keys of `STATE_FILE`: name -> [bytes, SHA-256], and the SHA-256 of the state with that. Earlier versions: neither."""
WEIGHTS = ("model*.safetensors", "adapter_model.safetensors", "pytorch_model_fsdp*", "global_step*")
NEEDED = (("trainer_state.json",), ("optimizer*", "global_step*"), ("scheduler.pt", "global_step*"), WEIGHTS)
"""What a training goes on from, by the names that Trainer has for it in one process and with each engine."""
TORN = (ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError)
"""What reading weights, JSON and archives raises of torn ones: of an archive, also that it asks for a password.
OSError without a number is bz2's."""


def numbered(folder: Path) -> list[Path]:
    """The checkpoints' folders, the newest first."""
    found = [path for path in folder.glob("checkpoint-*") if step_of(path) and path.is_dir()]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """The optimizer steps behind a checkpoint, by its name; 0: it is named otherwise."""
    number = checkpoint.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else 0


# -- what is whole -----------------------------------------------------------------------------------------------------


def fault(checkpoint: Path) -> str:
    """Why no training can go on from a checkpoint, in a clause; empty: it can."""
    if found := damage(checkpoint):
        return found
    absent = [names[0] for names in NEEDED if not any(any(checkpoint.glob(name)) for name in names)]
    return f"it has no {absent[0]}" if absent else ""


def damage(checkpoint: Path) -> str:
    """How a checkpoint differs from what was written, in a clause; empty: in nothing.

    Of an earlier version's, which has no list, what its files themselves tell is looked at.
    """
    if not checkpoint.is_dir():
        return "there is no such folder"
    if not (checkpoint / STATE_FILE).exists():
        return "it was not written to its end" if _unfinished(checkpoint) else f"it has no {STATE_FILE}"
    try:
        state = _state(checkpoint)
        return _differing(checkpoint, state[FILES]) if FILES in state else _torn(checkpoint)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"{Path(error.filename or checkpoint).name} cannot be read ({error.strerror})"


def _state(checkpoint: Path) -> dict[str, Any]:
    """Raises ValueError where it is not what was written."""
    try:
        with opened(checkpoint / STATE_FILE) as file:
            state = json.loads(file.read().decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{STATE_FILE} is no JSON ({first_line(error)})") from error
    listed = isinstance(state, dict) and (FILES in state or DIGEST in state)
    if not isinstance(state, dict) or (listed and state.pop(DIGEST, None) != _digest_of(state)):
        raise ValueError(f"{STATE_FILE} is not what was written")
    return state


def _digest_of(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _differing(checkpoint: Path, listed: dict[str, Any]) -> str:
    """Sizes first: they cost nothing."""
    paths = [checkpoint / name for name in listed]
    for path, (size, _) in zip(paths, listed.values(), strict=True):
        if not path.is_file():
            return f"{path.relative_to(checkpoint)} is missing"
        if (found := path.stat().st_size) != size:
            return f"{path.relative_to(checkpoint)} has {found:,} bytes of {size:,}"
    for (name, (_, written)), found_ in zip(listed.items(), _digests(paths), strict=True):
        if found_ != written:
            return f"{name} is not what was written (its checksum differs)"
    return ""


def _torn(checkpoint: Path) -> str:
    for path in _files(checkpoint):
        try:
            if path.suffix == ".safetensors":
                open_weights(path)
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix in (".pt", ".pth"):  # torch's files are archives with a CRC-32 of each entry
                with zipfile.ZipFile(path) as archive:
                    if (entry := archive.testzip()) is not None:
                        raise ValueError(f"{entry} has another checksum")
        except TORN as error:
            if getattr(error, "errno", None):
                raise
            return f"{path.relative_to(checkpoint)} is torn ({first_line(error)})"
    return ""


def _files(checkpoint: Path) -> list[Path]:
    own = (checkpoint / STATE_FILE, checkpoint / UNFINISHED)
    return sorted(path for path in checkpoint.rglob("*") if path.is_file() and path not in own)


def _digests(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of each; several at a time, since hashing waits neither for Python nor for one core."""

    def digest(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        return list(threads.map(digest, paths))


def load_state(checkpoint: Path) -> dict[str, Any]:
    """MPO's own state of a checkpoint without `damage`."""
    return _state(checkpoint)


def told(left: Sequence[tuple[Path, str]], chosen: Path | None) -> str:
    """What is said of the checkpoints that were left, and of what is made again."""
    which = "; ".join(f"{path} is left: {why}" for path, why in left)
    goes = f"training goes on from {chosen.name}" if chosen else "there is no whole one, training begins anew"
    return f"note: {which}; {goes}: steps from {step_of(chosen) + 1 if chosen else 1} on are made again"


# -- writing and deleting ----------------------------------------------------------------------------------------------


def begin(checkpoint: Path) -> None:
    """Before anything is written to a checkpoint's folder: a training's earlier one of this step goes, and what another
    program has there is moved aside."""
    if is_ours(checkpoint):
        discard(checkpoint)
    elif checkpoint.is_symlink() or checkpoint.is_file() or (checkpoint.is_dir() and any(checkpoint.iterdir())):
        aside = checkpoint.with_name(f"other-{checkpoint.name}")
        while os.path.lexists(aside):
            aside = aside.with_name(f"other-{aside.name}")
        checkpoint.rename(aside)
    checkpoint.mkdir(parents=True, exist_ok=True)
    try:
        (checkpoint / UNFINISHED).touch()
    except OSError:
        checkpoint.rmdir()  # else it would be taken for another program's
        raise


def seal(checkpoint: Path, state: dict[str, Any]) -> None:
    """Makes a checkpoint of which all files are written a whole one, with MPO's own `state` (JSON)."""
    paths = _files(checkpoint)
    names = [path.relative_to(checkpoint).as_posix() for path in paths]
    sizes = [path.stat().st_size for path in paths]
    listed = {name: [size, digest] for name, size, digest in zip(names, sizes, _digests(paths), strict=True)}
    sync_tree(checkpoint)
    whole = {**state, FILES: listed}
    with staged(checkpoint / STATE_FILE) as place:
        place.write_text(json.dumps({**whole, DIGEST: _digest_of(whole)}), encoding="utf-8")
        sync(place)
    (checkpoint / UNFINISHED).unlink(missing_ok=True)
    sync(checkpoint)
    sync(checkpoint.parent)


def is_ours(checkpoint: Path) -> bool:
    """Whether a training of ours has written, or begun, a checkpoint here: nothing else is deleted."""
    return any((checkpoint / name).exists() for name in (STATE_FILE, UNFINISHED)) and not checkpoint.is_symlink()


def _unfinished(checkpoint: Path) -> bool:
    return (checkpoint / UNFINISHED).exists() and not (checkpoint / STATE_FILE).exists()


def discard(checkpoint: Path) -> None:
    """Deletes it; killed in the middle, what is left is no whole checkpoint, and still ours."""
    with suppress(OSError):  # a full disk
        (checkpoint / UNFINISHED).touch()
    (checkpoint / STATE_FILE).unlink(missing_ok=True)
    for path in checkpoint.iterdir():  # the mark is the last to go
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != UNFINISHED:
            path.unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    for checkpoint in filter(_unfinished, numbered(folder)):
        discard(checkpoint)


def rotate(newest: Path, limit: int | None, best: str | None) -> None:
    """Deletes the oldest of our checkpoints beside the `newest` until there are `limit` (none, or 0: any number), but
    not the `best`; those of later steps are an earlier training's, and stay."""
    keep = {newest.absolute(), *([Path(best).absolute()] if best else [])}
    ours = [path for path in numbered(newest.parent) if is_ours(path) and step_of(path) <= step_of(newest)]
    spare = [path for path in reversed(ours) if path.absolute() not in keep]
    for checkpoint in spare[: max(0, len(ours) - max(limit, len(keep)))] if limit and limit > 0 else ():
        discard(checkpoint)


def drop_checkpoints(folder: Path) -> None:
    for checkpoint in filter(is_ours, numbered(folder)):
        discard(checkpoint)


# -- weights -----------------------------------------------------------------------------------------------------------


def load_weights(model: Any, checkpoint: str) -> None:
    """Copies a checkpoint's weights into the model.

    `save_pretrained` may write the hub's older key names; only `from_pretrained` maps them back. It fills gaps with
    random weights, though: any key missing, left over or of another shape raises UserError.
    """
    dtypes = {parameter.dtype for parameter in model.parameters()}
    dtype = torch.float32 if torch.float32 in dtypes else dtypes.pop()
    try:
        loaded, found = type(model).from_pretrained(checkpoint, dtype=dtype, output_loading_info=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{checkpoint} cannot be loaded ({first_line(error)}); delete it to go on from the checkpoint before"
        ) from error
    wrong = [str(key) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in found[kind]]
    if wrong:
        raise UserError(
            f"{checkpoint} does not hold this model's weights ({len(wrong)} keys differ, the first is {wrong[0]}); "
            "delete it to go on from the checkpoint before, or train in another folder"
        )
    model.load_state_dict(loaded.state_dict(), strict=True)
