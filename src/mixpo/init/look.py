"""What a path is: a file or a data set of questions, or one of preference pairs; and what of both lies in a folder."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, UserError, first_line
from mixpo.pairs.formats.row import Entry
from mixpo.pairs.import_pairs import Config as ImportConfig
from mixpo.pairs.import_pairs import Format, entries
from mixpo.questions.huggingface import Config as HuggingFaceConfig
from mixpo.questions.huggingface import rows as stored_rows
from mixpo.questions.preview import unsaid
from mixpo.tables import ENDINGS, ending, rows
from mixpo.text_files import read_bytes

FIRST = 200
"""Rows that tell what a file is."""
TRIED = 30
"""Pairs of it that a format must read, some at least."""
META, INFO = "meta.json", "dataset_info.json"
TEST = re.compile(r"(?<![a-z])(?:test|testing|testmini|val|valid|validation|dev|eval|held[-_ ]?out)(?![a-z])")
KINDS = {
    ".jsonl": "JSON lines", ".json": "a JSON file", ".csv": "a CSV table", ".tsv": "a TSV table", ".arrow": "Arrow",
    ".xlsx": "an Excel table", ".parquet": "a Parquet file",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a path is, in a recipe's words."""

    what: str
    """For people: "a CSV table"."""
    path: Path
    values: dict[str, Any]
    """Of a source of questions, or of an `import`."""
    pairs: bool = False
    test: dict[str, Any] | None = None
    """Its split that is held out already, as a source."""
    first: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """Its first rows, as they are stored."""


def look(path: Path) -> Data:
    """Raises DataError for what holds neither questions nor pairs, or cannot be read."""
    if not path.exists():
        raise DataError(f"{path}: nothing lies there ({path.absolute()}); check the path")
    if (path / META).is_file() or (path.name == META and path.is_file()):
        return _pairs(path if path.is_file() else path / META, "MMPR's meta.json", (Format.MMPR,), [])
    if path.name == INFO or ((path / INFO).is_file() and not (path / "state.json").exists()):
        return _pairs(path, "LLaMA-Factory's dataset_info.json", (Format.LLAMA_FACTORY,), [])
    data = _folder(path) if path.is_dir() else _file(path)
    if not data.first:
        raise DataError(f"{path}: no row of it could be read; check the file")
    columns = {column for row in data.first for column in row}
    if any("reject" in column.lower() for column in columns) or {"chosen", "completions"} & columns:
        forms = [form for form in Format if form is not Format.MMPR]
        return _pairs(Path(str(data.values["path"])), data.what, forms, data.first, data.values.get("split", ""))
    return data


def _file(path: Path) -> Data:
    if ending(path) not in ENDINGS:
        known = ", ".join(ENDINGS)
        raise DataError(f"{path}: data come in files that end in {known} (and .gz), or in a folder that holds them")
    found = [row.content for row in islice(rows(path), FIRST) if isinstance(row.content, dict)]
    return Data(what=KINDS[ending(path)], path=path, values={"loader": "file", "path": str(path)}, first=found)


def _folder(path: Path) -> Data:
    """A data set in a folder: saved by `datasets`, or Parquet files, with splits or without."""
    names = splits(path)
    if not names:
        raise DataError(f"{path}: holds no data: a table, JSON, Parquet files, or what `save_to_disk` wrote")
    what = "a data set of `datasets`" if not any(path.rglob("*.parquet")) else "a folder of Parquet files"
    if names == [""]:
        found = [row.content for row in islice(rows(path), FIRST) if isinstance(row.content, dict)]
        return Data(what=what, path=path, values={"loader": "file", "path": str(path)}, first=found)
    train = next((name for name in names if not TEST.search(name)), names[0])
    held_out = next((name for name in names if name != train and TEST.search(name)), None)
    values = {"loader": "huggingface", "path": str(path), "split": train}
    config = HuggingFaceConfig(path=str(path), split=train)
    return Data(
        what=f"{what} with the splits {', '.join(names)}" if len(names) > 1 else f"{what}, split {names[0]}",
        path=path, values=values, test=None if held_out is None else {**values, "split": held_out},
        first=[*islice(stored_rows(config, path), FIRST)],
    )  # fmt: skip


def splits(path: Path) -> list[str]:
    """The names of a folder's splits; [""]: it has none of its own; []: it is no data set. Raises DataError."""
    if (path / "dataset_dict.json").is_file():
        try:
            return list(json.loads(read_bytes(path / "dataset_dict.json"))["splits"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{path / 'dataset_dict.json'} is damaged; save the data set again") from error
    if (path / "state.json").is_file():
        return [""]
    if not any(path.rglob("*.parquet")):
        return []
    if importlib.util.find_spec("datasets") is None:
        return [""]
    import datasets

    try:
        return list(datasets.get_dataset_split_names(str(path.absolute())))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{path}: cannot be read as a data set ({first_line(error)}); name one of its files") from error


def _pairs(path: Path, what: str, forms: Any, first: Sequence[Mapping[str, Any]], split: str = "") -> Data:
    """A file of preference pairs in the format that reads the most of its first rows. Raises DataError."""
    if (path / "dataset_dict.json").exists():
        path = path / split
    read: dict[Format, int] = {}
    why = ""
    for form in forms:
        try:
            with unsaid():
                some = [entry for _, each in entries(ImportConfig(format=form, path=str(path)))
                        for entry in islice(each, TRIED)]  # fmt: skip
        except UserError as error:
            why = why or first_line(error)
            continue
        read[form] = sum(isinstance(entry, Entry) for entry in some)
        why = why or next((str(entry.detail) for entry in some if not isinstance(entry, Entry)), "")
    best = max(read, key=lambda form: read[form], default=None)
    if best is None or not read[best]:
        raise DataError(f"{path}: none of its pairs could be read ({why}); docs/formats.md has the formats")
    values = {"format": str(best), "path": str(path)}
    what = f"{what}, preference pairs in the format {best}"
    return Data(what=what, path=path, values=values, pairs=True, first=first)


def candidates(folder: Path) -> tuple[list[Path], list[Path]]:
    """What may be data, and what may be models, in a folder or the folders in it."""
    if is_model(folder):
        return [], [folder]
    below = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "runs")
    models = [path for path in below if path.is_dir() and is_model(path)]
    models += [inner for path in below if path.name == "models" and path.is_dir() for inner in sorted(path.iterdir())
               if inner.is_dir() and is_model(inner)]  # fmt: skip
    if is_data_set(folder):
        return [folder], models
    found = [*_data_in(below, models)]
    for path in below if not found else ():
        if path.is_dir() and path not in models:
            found += _data_in(sorted(path.iterdir()), models)
    return found, models


def _data_in(paths: list[Path], models: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path in models or path.name.startswith("."):
            continue
        own = path.is_file() and ending(path) in ENDINGS and not path.name.endswith(("config.json", "index.json"))
        if own or (path.is_dir() and is_data_set(path)):
            yield path


def is_data_set(folder: Path) -> bool:
    marks = (META, INFO, "dataset_dict.json", "state.json")
    parquet = [*folder.glob("*.parquet"), *folder.glob("data/*.parquet")]
    return any((folder / mark).is_file() for mark in marks) or bool(parquet)


def is_model(folder: Path) -> bool:
    """Whether a folder has a model's configuration and weights."""
    try:
        config = json.loads(read_bytes(folder / "config.json"))
    except (OSError, ValueError, RecursionError):
        return False
    weights = (*folder.glob("*.safetensors"), *folder.glob("*.bin"))
    return isinstance(config, dict) and "model_type" in config and bool(weights)
