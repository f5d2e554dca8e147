"""What the readers of other programs share; runs in the program's own environment, so it needs torch alone.

A reader is called with the exported folder, a Qwen2.5-VL checkpoint and the JSON file that it writes:
{"versions": {program: version}, "rows": [{"chosen": SIDE, "rejected": SIDE} or {"error": text}], "batch": text}
SIDE: {"text": the decoded tokens, "trained": those that have a label, "pictures": ["red", …]}.
"""

import json
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

COLOURS = ("red", "green", "blue")
IGNORED = -100


def colours(pixels: Any, grid: Any) -> list[str]:
    """The colour of each picture of one colour, from Qwen2.5-VL's patches (rows: channel, time, height, width)."""
    if pixels is None or grid is None:
        return []
    found, start = [], 0
    for count in grid.prod(-1).tolist():
        channels = pixels[start : start + count].float().reshape(count, len(COLOURS), -1).mean((0, 2))
        found.append(COLOURS[int(channels.argmax())])
        start += count
    return found


def side(tokenizer: Any, tokens: Iterable[int], labels: Iterable[int], pictures: list[str]) -> dict[str, Any]:
    trained = [int(label) for label in labels if int(label) != IGNORED]
    return {
        "text": tokenizer.decode([int(token) for token in tokens]),
        "trained": tokenizer.decode(trained),
        "pictures": pictures,
    }


def each(rows: Iterable[Any], read: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """What `read` makes of every row; an error of the program is the row's result."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except Exception as error:
            found.append({"error": f"{type(error).__name__}: {error}"})
    return found


def write(rows: list[dict[str, Any]], batch: str, *programs: str) -> None:
    result = {"versions": {name: version(name) for name in programs}, "rows": rows, "batch": batch}
    Path(sys.argv[3]).write_text(json.dumps(result), encoding="utf-8")
