"""Questions from a JSON-lines file: one object a line, its columns as in `mixpo.questions.rows`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixpo.questions.rows import RowsConfig, item
from mixpo.questions.source import Item, data_path, first
from mixpo.records import Dropped
from mixpo.tables import json_lines


@dataclass(frozen=True, kw_only=True)
class Config(RowsConfig):
    """A JSON-lines file. Images by path stay where they are, unless `fetch_images` copies all into the run."""


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
    reading = config.reading(name, _folder(config), store=config.fetch_images)
    for number, line, row in json_lines(path):
        yield item(row, number - 1, f"{name}/{path.name}:{line}", reading)
