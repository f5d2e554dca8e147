"""Preference pairs in TRL's conversational format for vision-language models (DPOTrainer).

{"images": [path], "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": …}]}],
 "chosen": [{"role": "assistant", "content": [{"type": "text", "text": …}]}], "rejected": [likewise]}
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mixpo.images import ImageRoots
from mixpo.records import PreferencePair


def rows(pairs: Iterable[PreferencePair], roots: ImageRoots | None = None) -> Iterator[dict[str, Any]]:
    """One row a pair; image paths are the files' with `roots`, else as the records have them.

    Raises ImageError when a path leaves its root.
    """
    for pair in pairs:
        content = [{"type": "image"} for _ in pair.images]
        yield {
            "images": [str(roots.path(image)) if roots else image for image in pair.images],
            "prompt": [{"role": "user", "content": [*content, {"type": "text", "text": pair.prompt}]}],
            "chosen": _answer(pair.chosen),
            "rejected": _answer(pair.rejected),
        }


def _answer(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def write_jsonl(pairs: Iterable[PreferencePair], path: Path, roots: ImageRoots | None = None) -> int:
    """Writes the rows as JSON lines, whole or not at all; returns how many."""
    staged = path.with_name(f".{path.name}.staged")
    count = 0
    with staged.open("w", encoding="utf-8") as file:
        for row in rows(pairs, roots):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    os.replace(staged, path)
    return count
