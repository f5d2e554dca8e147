"""Checkpoints that survive SIGKILL: whole ones are told from torn ones, and weights are loaded strictly."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from mixpo.errors import UserError
from mixpo.text_files import write_text

STATE_FILE = "mpo_state.json"
"""Written last: a checkpoint folder without it was being written when the process died."""


def _numbered(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def last_complete(folder: Path) -> str | None:
    whole = [path for path in _numbered(folder) if (path / STATE_FILE).exists()]
    return str(whole[-1]) if whole else None


def remove_torn(folder: Path) -> None:
    for path in _numbered(folder):
        if not (path / STATE_FILE).exists():
            shutil.rmtree(path)


def save_state(checkpoint: Path, state: dict[str, Any]) -> None:
    write_text(checkpoint / STATE_FILE, json.dumps(state))


def load_state(checkpoint: Path) -> dict[str, Any]:
    """MPO's own state. Raises UserError for a folder that is no whole checkpoint."""
    path = checkpoint / STATE_FILE
    if not path.exists():
        raise UserError(f"{checkpoint} is no whole checkpoint of an MPO training (no {STATE_FILE}); choose another")
    return json.loads(path.read_text(encoding="utf-8"))


def load_weights(model: Any, checkpoint: str) -> None:
    """Copies a checkpoint's weights into the model.

    `save_pretrained` may write the hub's older key names; only `from_pretrained` maps them back. It fills gaps with
    random weights, though: any key missing, left over or of another shape raises UserError.
    """
    dtypes = {parameter.dtype for parameter in model.parameters()}
    dtype = torch.float32 if torch.float32 in dtypes else dtypes.pop()
    loaded, found = type(model).from_pretrained(checkpoint, dtype=dtype, output_loading_info=True)
    wrong = [str(key) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in found[kind]]
    if wrong:
        raise UserError(
            f"{checkpoint} does not hold this model's weights ({len(wrong)} keys differ, the first is {wrong[0]}); "
            "delete it to go on from the checkpoint before, or train in another folder"
        )
    model.load_state_dict(loaded.state_dict(), strict=True)


def drop_checkpoints(folder: Path) -> None:
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
