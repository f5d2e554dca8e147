"""Questions from Parquet files: columns as in `mixpo.questions.rows`, images as bytes or as paths.

Images are copied into the run folder, whichever way they come.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mixpo.questions import file
from mixpo.questions.rows import RowsConfig
from mixpo.questions.source import Item, data_path
from mixpo.records import Dropped


@dataclass(frozen=True, kw_only=True)
class Config(RowsConfig):
    """A Parquet file, or a folder whose `*.parquet` are read in the order of their names."""


def image_root(config: Config) -> None:
    """All images are copied into the run."""


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """Every row's question, in order. Raises DataError when a file cannot be read."""
    path = data_path(config.path)
    paths = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return file.read(config, name, paths, file.reading(config, name, file.folder(config), store=True))
