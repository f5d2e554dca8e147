"""Questions from JSON lines, or any other file that the loader `file` reads; only the column `id` names a question.

The name that recipes have had for it from the beginning: rows that have no `id` are numbered, whatever else they have.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mixpo.questions import file
from mixpo.questions.file import image_root as image_root
from mixpo.questions.rows import RowsConfig
from mixpo.questions.source import Item, data_path
from mixpo.records import Dropped


@dataclass(frozen=True, kw_only=True)
class Config(RowsConfig):
    """JSON lines, or another file as under `file`. Images by path stay where they are, unless `fetch_images` copies all
    into the run."""


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """Every line's question, in the order of the file. Raises DataError when the file cannot be read."""
    return file.read(config, name, [data_path(config.path)], file.reading(config, name, file.folder(config)))
