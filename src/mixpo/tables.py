"""Rows of JSON-lines, JSON and Parquet files, and Parquet files whose images `datasets` decodes."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.files import read_lines

BATCH_ROWS = 64
"""Rows held at once: their images are in them."""


def rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Number (from 1) and content of every row; a line that is no JSON comes as the ValueError it raises.

    `path` is a file (`.jsonl`, `.json`, `.parquet`) or a folder of Parquet files. Raises DataError when it cannot
    be read at all.
    """
    if path.is_dir() or path.suffix == ".parquet":
        yield from enumerate(_parquet(path), 1)
    elif path.suffix == ".json":
        yield from enumerate(_json(path), 1)
    else:
        for number, line in enumerate(read_lines(path), 1):
            try:
                yield number, json.loads(line)
            except ValueError as error:
                yield number, error


def _json(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); check the path") from error
    if not isinstance(content, list):
        raise DataError(f"{path}: a JSON file of preference data holds a list of rows; JSON lines end in .jsonl")
    return content


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} holds no Parquet file; name the folder that does")
    for file in files:
        try:
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(BATCH_ROWS):
                yield from batch.to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{file} cannot be read as Parquet ({str(error).splitlines()[0]}); check it") from error


def write_jsonl(rows: Iterable[dict[str, Any]], path: Path) -> int:
    """Writes the rows as JSON lines; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_parquet(rows: Iterable[dict[str, Any]], path: Path, schema: Any, features: dict[str, Any]) -> int:
    """Writes the rows, a batch at a time; `features` tells `datasets` which columns are images."""
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    count = 0
    waiting: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for row in rows:
            waiting.append(row)
            count += 1
            if len(waiting) >= BATCH_ROWS:
                writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
                waiting.clear()
        if waiting:
            writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
    return count
