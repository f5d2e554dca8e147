"""Names that become folders and files of a run: of sections, sources, benchmarks, models and prompts, and of the run.

A name is one part of a path and leads nowhere else. A path is what the user writes as one: `run=FOLDER`, `--out`.
"""

import os
import re
from pathlib import Path

MOST_BYTES = 200
"""Of a name: something is put behind it (`.staged`, `-round-2`)."""
HELD = 255
"""Bytes of a name that file systems hold."""
NAME = re.compile(r"(?=.*[^\W_])(?!-)[\w-]+")
ELSEWHERE = re.compile(r"[/\\\0-\x1f]|^\.*$")
"""What is no name of a folder, or leads out of the folder that it is in."""


def at_home(path: str | os.PathLike[str]) -> Path:
    """The path with what `~` stands for; of a user whom nobody knows it stays as it is."""
    return Path(os.path.expanduser(path))


def wrong_name(name: object, whose: str) -> str:
    """What is wrong with the name of a section, a source … (`whose`), as a sentence; empty: nothing is."""
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        dash = ", and does not begin with -" if str(name).startswith("-") else ""
        return f"{whose}'s name is made of letters, digits, - and _{dash}"
    return _too_long(name, whose)


def wrong_run_name(name: str) -> str:
    """What is wrong with the name of a run, which may have spaces and dots; empty: nothing is."""
    if ELSEWHERE.search(name):
        return "a run's name is no path; where the run folder is to lie elsewhere than in runs/, write `run: FOLDER`"
    return _too_long(name, "a run")


def is_folder_name(path: str) -> bool:
    """Whether a folder can be called so, wherever it lies."""
    return "\0" not in path and all(len(part.encode(errors="replace")) <= HELD for part in Path(path).parts)


def _too_long(name: str, whose: str) -> str:
    length = len(name.encode(errors="replace"))
    return f"{whose}'s name has {length:,} bytes; at most {MOST_BYTES} are kept" if length > MOST_BYTES else ""
