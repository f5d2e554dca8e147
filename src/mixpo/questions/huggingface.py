"""Questions from a Hugging Face data set: a hub name, a folder that `load_dataset` reads, or one of `save_to_disk`.

Columns as in `mixpo.questions.rows`. Images stay undecoded on the way and are copied into the run folder.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, MissingExtra, first_line
from mixpo.questions.file import noted, reading, survey_columns
from mixpo.questions.numbering import Numbered, numbered
from mixpo.questions.parts import parted
from mixpo.questions.rows import ReadOptions, RowsConfig, item, numbered_answer
from mixpo.questions.source import Item, data_path, first
from mixpo.records import Dropped
from mixpo.text_files import lies_in

BATCH_ROWS = 64
SURVEYED = 2_000
"""Rows of a data set that is streamed from which it is decided what numbers as answers mean; a later row that
contradicts them is an error."""


@dataclass(frozen=True, kw_only=True)
class Config(RowsConfig):
    """One split of a data set: `path` is a name on the hub ("owner/name"), or a folder."""

    split: str = "train"
    """The split; also a slice that `load_dataset` understands: "train[:10%]"."""
    subset: str = ""
    """The data set's configuration, where it has several."""
    revision: str = ""
    """Branch, tag or commit on the hub; empty: the newest."""
    streaming: bool = False
    """Read rows as they are asked for, instead of preparing the whole split first."""


def image_root(config: Config) -> None:
    """All images are copied into the run."""


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """Every row's question, in order. Raises DataError for a data set that cannot be read, or MissingExtra."""
    return first(_items(config, name), config.limit)


def _items(config: Config, name: str) -> Iterator[Item | Dropped]:
    folder = _folder(config.path)
    root = data_path(config.image_root) if config.image_root else folder
    options = reading(config, name, root, store=True)
    assert options.numbering is not None
    options.numbering.survey = lambda: _survey(config, name, folder, options)

    def found() -> Iterator[Item | Dropped]:
        return (
            item(row, number, f"{name}/{config.split}:{number + 1}", options)
            for number, row in enumerate(rows(config, folder))
        )

    return noted(parted(found, config.part, config.held_out, name), name, options)


def _survey(config: Config, name: str, folder: Path | None, options: ReadOptions) -> Iterator[Numbered]:
    found = rows(config, folder, only=survey_columns(options))
    some = islice(found, SURVEYED if config.streaming else None)
    placed = ((f"{name}/{config.split}:{number}", row) for number, row in enumerate(some, 1))
    return numbered(placed, lambda row: numbered_answer(row, options))


def _folder(path: str) -> Path | None:
    """The local folder meant; None for a name on the hub."""
    if path.startswith((".", "/", "~", "$")) or Path(path).exists():
        return data_path(path)
    return None


def rows(config: Config, folder: Path | None, only: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows as they are stored, images undecoded; `folder` None: from the hub; `only`: columns, where not all.

    Raises DataError or MissingExtra.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "datasets") from error
    import pyarrow

    try:
        data = _open(config, folder)
        if only and data.column_names:
            data = data.select_columns([column for column in data.column_names if column in only])
        kinds = data.features or {}
        labels = {column: kind.names for column, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)}
        # In Arrow's format nothing is decoded: images come as {"bytes": …, "path": …}.
        for table in data.with_format("arrow").iter(batch_size=BATCH_ROWS):
            for row in table.to_pylist():
                yield row | {column: _label(names, row[column]) for column, names in labels.items()}
    except (OSError, ValueError, datasets.exceptions.DatasetsError, pyarrow.ArrowException) as error:
        reason = first_line(error)
        raise DataError(f"{config.path}: cannot be read as a data set ({reason}); check path and split") from error


def _open(config: Config, folder: Path | None) -> Any:
    import datasets

    if folder and any((folder / file).exists() for file in ("dataset_dict.json", "state.json")):
        found = datasets.load_from_disk(str(folder))
        if not isinstance(found, datasets.DatasetDict):
            return found
        if config.split not in found:
            raise ValueError(f"no split {config.split!r}; it has {', '.join(found)}")
        return found[config.split]
    # A folder by its whole path: "parquet" or "json" alone would be a reader of `datasets`.
    path = str(folder.absolute() if folder else config.path)
    builder = datasets.load_dataset_builder(path, config.subset or None, revision=config.revision or None)
    for files in (builder.config.data_files or {}).values():
        for file in files:
            _refuse_elsewhere(str(file), folder, config.path)
    if config.streaming:
        return builder.as_streaming_dataset(split=config.split)
    builder.download_and_prepare()
    return builder.as_dataset(split=config.split)


def _refuse_elsewhere(file: str, folder: Path | None, given: str) -> None:
    """Raises DataError for a file of this machine outside the data set's folder: its README.md, which names its files,
    does not choose what is read."""
    place = file.rpartition("::")[2].removeprefix("file://")  # zip://rows.jsonl::/data/x.zip
    if "://" in place:
        return
    if folder is None or not lies_in(Path(place), folder):
        raise DataError(f"{given}: its README.md names {place}, which lies outside the data set; name the file itself")


def _label(names: list[str], value: int | None) -> str | None:
    """A class label's name; -1 stands for none."""
    return names[value] if value is not None and value >= 0 else None
