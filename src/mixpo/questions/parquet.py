"""Questions from Parquet files: columns as in `mixpo.questions.rows`, images as bytes or as paths.

Images are copied into the run folder, whichever way they come.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.questions.rows import Reading, check_fields, item
from mixpo.questions.source import Item, data_path, first
from mixpo.records import Dropped

BATCH_ROWS = 64
"""Rows decoded at once: a row may hold megabytes of image."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A Parquet file, or a folder of them."""

    path: str
    """A file, or a folder whose `*.parquet` are read in the order of their names."""
    image_root: str = ""
    """The folder that image paths start at; empty: the file's own."""
    fields: dict[str, str] = field(default_factory=dict)
    """Column of the file for a field of the question, for example `{text: query}`."""
    fetch_images: bool = False
    """Whether images named by http(s) addresses are fetched; without it their rows are dropped."""
    limit: int | None = None
    """At most so many questions, from the start."""

    def __post_init__(self) -> None:
        check_fields(self.fields)


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
        reading = Reading(source=name, root=root, store=True, fields=config.fields, fetch=config.fetch_images)
        for row_number, row in enumerate(read_rows(file), 1):
            yield item(row, number, f"{name}/{file.name}:{row_number}", reading)
            number += 1


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one file as Python values. Raises DataError when it is torn or no Parquet."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as Parquet ({reason}); check or download it again") from error
