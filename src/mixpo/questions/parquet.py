"""Questions from Parquet files: columns as in `mixpo.questions.rows`, images as bytes or as paths.

Images are copied into the run folder, whichever way they come.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mixpo.questions.rows import RowsConfig, item
from mixpo.questions.source import Item, data_path, first
from mixpo.records import Dropped
from mixpo.tables import rows


@dataclass(frozen=True, kw_only=True)
class Config(RowsConfig):
    """A Parquet file, or a folder whose `*.parquet` are read in the order of their names."""


def image_root(config: Config) -> None:
    """All images come as bytes."""


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """Every row's question, in order. Raises DataError when a file cannot be read."""
    return first(_items(config, name), config.limit)


def _items(config: Config, name: str) -> Iterator[Item | Dropped]:
    path = data_path(config.path)
    paths = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    number = 0
    for file in paths:
        root = data_path(config.image_root) if config.image_root else file.parent
        reading = config.reading(name, root)
        for _, line, row in rows(file):
            yield item(row, number, f"{name}/{file.name}:{line}", reading)
            number += 1
