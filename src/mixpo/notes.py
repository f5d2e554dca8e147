"""The small JSON files that a run keeps beside its records: each is what it should be, or a sentence says where not."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mixpo.text_files import damaged, opened, parse_json, read_bytes
from mixpo.validation import mistake, validate


@dataclass(frozen=True, slots=True)
class Timing:
    """What a section took (`timings/<section>.json`)."""

    seconds: float = 0.0
    runs: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError("seconds must be a number from 0 on")


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """What a training was begun with (`checkpoints/<section>/data.json`)."""

    sha256: str
    records: int
    batch: int | None = None
    """None: an older version did not say."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign that a training or an evaluation went wrong (`signatures.json`)."""

    sign: str = ""
    before: float = 0.0
    after: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class CountedQuestions:
    """Of the questions that were paired, how many gave nothing and why (`funnel/<section>.json`)."""

    answered: int
    dropped: dict[str, int]
    pass_rates: dict[str, int] = field(default_factory=dict)
    """By the share of right responses: "0.2-0.4", "1"."""

    def __post_init__(self) -> None:
        for label in self.pass_rates:
            float(label.partition("-")[0])


def read(path: Path, kind: Any) -> Any:
    """What such a file holds, of the type `kind`; None when it is not there. Keys that a newer version added are read
    over. Raises DataError, with the line where there is one, for a file that is damaged."""
    if not os.path.lexists(path):
        return None
    try:
        text = read_bytes(path).decode()
        parse_json(text)  # says the line, and refuses numbers that break what is computed with them
        return validate(kind, text, extra="ignore")
    except ValidationError as error:
        raise damaged(path, mistake(kind, error)) from None
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def logged(path: Path, leave_out: Callable[[str], object] = lambda sentence: None) -> Iterator[dict[str, float]]:
    """The numbers of every line of a training's log, NaN and infinity among them; nothing where there is no log.

    A line that is no such line is left out with a sentence, but for the last, torn one, which was being written. Raises
    DataError when the file cannot be read.
    """
    if not os.path.lexists(path):
        return
    try:
        with opened(path) as file:
            for number, line in enumerate(file, 1):
                try:
                    row = parse_json(line.decode())
                    yield {key: float(value) for key, value in row.items() if isinstance(value, int | float)}
                except (ValueError, AttributeError) as error:
                    reason = getattr(error, "msg", "no mapping" if isinstance(error, AttributeError) else str(error))
                    if line.endswith(b"\n") and line.strip():
                        leave_out(f"{path}:{number} is no line of a training's log ({reason}); it is left out")
    except OSError as error:
        raise damaged(path, error) from error
