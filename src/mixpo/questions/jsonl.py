"""Questions from a JSON-lines file: one object a line, its columns as in `mixpo.questions.rows`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mixpo.errors import DataError
from mixpo.questions.rows import Reading, check_fields, item
from mixpo.questions.source import Item, data_path, first, left_out
from mixpo.records import Dropped, DropReason


@dataclass(frozen=True, kw_only=True)
class Config:
    """A JSON-lines file whose images lie in files beside it."""

    path: str
    """The file; `~` and `$VARIABLES` are filled in."""
    image_root: str = ""
    """The folder that image paths start at; empty: the file's own. The images stay there."""
    fields: dict[str, str] = field(default_factory=dict)
    """Column of the file for a field of the question, for example `{text: query}`."""
    fetch_images: bool = False
    """Whether images named by http(s) addresses are fetched; without it their rows are dropped. With it all images
    are copied into the run."""
    limit: int | None = None
    """At most so many questions, from the start of the file."""

    def __post_init__(self) -> None:
        check_fields(self.fields)


def image_root(config: Config) -> Path | None:
    """Where the images stay; None when they are copied into the run."""
    return None if config.fetch_images else _folder(config)


def _folder(config: Config) -> Path:
    return (data_path(config.image_root) if config.image_root else data_path(config.path).parent).resolve()


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """Every line's question, in the order of the file. Raises DataError when the file cannot be read."""
    return first(_rows(config, name), config.limit)


def _rows(config: Config, name: str) -> Iterator[Item | Dropped]:
    path = data_path(config.path)
    fetch = config.fetch_images
    reading = Reading(source=name, root=_folder(config), store=fetch, fields=config.fields, fetch=fetch)
    number = -1
    for line_number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        number += 1
        where = f"{name}/{path.name}:{line_number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield left_out(where, DropReason.TORN_LINE, f"not valid JSON ({error})")
            continue
        yield item(row, number, where, reading)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
