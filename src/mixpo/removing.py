"""Removing what a run wrote, and nothing else."""

import shutil
from pathlib import Path

from mixpo.errors import UserError
from mixpo.text_files import STAGED

OURS = ("part-*.jsonl", "part-*.crc32", "begun.jsonl", f".*{STAGED}")
"""Files of records, their checksums, a journal (`mixpo.responses.journal`), what a killed process left (`staged`)."""


def refuse_link(path: Path) -> None:
    """Raises UserError for a symbolic link: what it leads to, perhaps out of the run, is not removed, nor changed."""
    if path.is_symlink():
        raise UserError(f"{path} is a link, and what it leads to stays as it is; remove the link, then run again")


def refuse_other(folder: Path, *names: str) -> list[Path]:
    """What a folder of records holds: shards, and what is called one of `names`.

    Raises UserError for a folder that is a link, and for one that holds anything else.
    """
    refuse_link(folder)
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in inside:
        ours = path.name in names or any(map(path.match, OURS))
        if not ours or (path.is_symlink() and path.is_dir()):
            raise UserError(f"{path} is no file that a run writes, and stays; move it elsewhere, then run again")
    return inside


def remove(folder: Path, *names: str, but: str = "") -> None:
    """Removes a folder of records, of which `refuse_other` says what it may hold: all of it or, raising, nothing.

    `but`: a file that stays, and the folder with it.
    """
    for path in refuse_other(folder, *names, but):
        if path.name != but:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if folder.is_dir() and not but:
        folder.rmdir()
