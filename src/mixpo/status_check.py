"""`mixpo status --check`: whether what a run has written is still what was written."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mixpo import output
from mixpo.checksums import Checked, changed, check
from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.left_out import counted
from mixpo.progress import track
from mixpo.text_files import opened

DIGITS = 20
"""Of the checksum in a stored picture's name; those of pictures that were fetched (`.img`) are of their address."""
NAMED_BY_CONTENT = re.compile(rf"[0-9a-f]{{{DIGITS}}}(?!\.img$)(\.\w+)?")


def shards(files: RunFiles) -> list[Path]:
    """All shards of a run and of its evaluations; not those that `--redo` set aside."""
    roots = [files.root, *(files.evaluation(name).root for name in files.sections("evaluation"))]
    found = (path for root in roots for depth in ("*", "*/*") for path in root.glob(f"{depth}/part-*.jsonl"))
    return sorted(path for path in found if not path.parent.name.endswith(".staged"))


def check_run(files: RunFiles) -> bool:
    """Reads every shard, and prints a sentence for each group of lines that is not what was written, or that all is
    whole; whether it is."""
    found = {path: _checked(path) for path in track(shards(files), "check")}
    looked = {path: one for path, one in found.items() if isinstance(one, Checked)}
    sentences = [str(one) for one in found.values() if isinstance(one, DataError)]
    damaged: list[dict[str, Any]] = []
    for path, one in looked.items():
        for first, last in one.damaged:
            damaged.append({"file": path, "lines": [first, last]})
        if one.damaged:
            sentences.append(changed(path, one.damaged))
    pictures = list(_pictures(files))
    sentences += [sentence for sentence in map(_changed, track(pictures, "check pictures")) if sentence]
    lines, unchecked = (sum(getattr(one, name) for one in looked.values()) for name in ("lines", "unchecked"))
    told = f"{counted(lines - unchecked, 'line')} of {counted(len(found), 'shard')} compared with their checksums"
    if unchecked:
        told += f"; {counted(unchecked, 'line')} not covered by any (an older mixpo, or somebody else, wrote them)"
    if pictures:
        told += f"; {counted(len(pictures), 'picture')} with the checksums in their names"
    whole = not sentences
    numbers = {
        "whole": whole, "shards": len(found), "pictures": len(pictures), "lines": lines, "not_covered": unchecked,
        "damaged": damaged, "sentences": sentences,
    }  # fmt: skip
    output.show(
        {"check": numbers}, [*sentences, f"{files.root}: {told}: {'all are whole' if whole else 'not all are whole'}"]
    )
    return whole


def _pictures(files: RunFiles) -> Iterator[Path]:
    """Those that the run stored under the checksum of their content (`mixpo.pictures`)."""
    for root in (files.root, *(files.evaluation(name).root for name in files.sections("evaluation"))):
        for path in root.glob("questions/*/images/*/*"):
            if NAMED_BY_CONTENT.fullmatch(path.name):
                yield path


def _changed(picture: Path) -> str:
    """The sentence on a picture that is not what was stored; empty: it is."""
    try:
        with opened(picture) as file:
            digest = hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        return f"{picture}: cannot be read ({error.strerror})"
    if digest.startswith(picture.name[:DIGITS]):
        return ""
    return (
        f"{picture}: this is not the picture that mixpo stored; put back a copy, or make its questions anew (`--redo`)"
    )


def _checked(path: Path) -> Checked | DataError:
    try:
        return check(path)
    except DataError as error:
        return error
