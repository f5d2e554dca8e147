"""Files that keep their columns apart: Parquet, Arrow, and folders of them; read by `mixpo.tables`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mixpo.errors import BadLine, DataError, first_line
from mixpo.text_files import read_bytes

BATCH_ROWS = 64
"""Rows held at once: their images are in them."""
READ_BYTES = 1 << 20

Wanted = Callable[[str], bool]
"""Whether a column is read."""


def parquet(path: Path, only: Wanted | None = None) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        # Page after page, instead of a whole row group: one of pictures may be gigabytes.
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
            columns = [name for name in file.schema_arrow.names if only is None or only(name)]
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                yield from _named(batch, file.schema_arrow)
    except (pyarrow.ArrowException, OSError) as error:
        reason = first_line(error)
        raise DataError(f"{path}: cannot be read as Parquet ({reason}); check or download it again") from error


def arrow(path: Path, only: Wanted | None = None) -> Iterator[Any]:
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as file:
            try:
                batches = iter(pyarrow.ipc.open_stream(file))
            except pyarrow.ArrowInvalid:
                whole = pyarrow.ipc.open_file(file)
                batches = map(whole.get_batch, range(whole.num_record_batches))
            for batch in batches:
                kept = batch.select([name for name in batch.schema.names if only is None or only(name)])
                for start in range(0, len(batch), BATCH_ROWS):
                    yield from _named(kept.slice(start, BATCH_ROWS), batch.schema)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Arrow ({first_line(error)}); check or save it again") from error


def _named(batch: Any, schema: Any) -> Iterator[dict[str, Any] | BadLine]:
    """A batch's rows; a class label of `datasets` by its name, not by the number that is stored (-1: none)."""
    _refuse_lies(batch)
    kinds = _labels((schema.metadata or {}).get(b"huggingface", b"{}"))
    for row in _readable(batch):
        if isinstance(row, BadLine):
            yield row
            continue
        for name, names in kinds.items():
            if isinstance(number := row.get(name), int):
                row[name] = names[number] if 0 <= number < len(names) else None
        yield row


def _refuse_lies(batch: Any) -> None:
    """Raises ArrowInvalid for offsets that lead out of a batch; a text that is not UTF-8 is its own row's fault."""
    import pyarrow

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid as error:
            text = pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)
            if not text or "UTF8" not in str(error):  # a text's offsets are looked at first
                raise


def _labels(about: bytes) -> dict[str, list[Any]]:
    """The names of class labels, by column; none in what another program wrote there."""
    try:
        features = json.loads(about)["info"]["features"].items()
        return {name: kind["names"] for name, kind in features if isinstance(kind.get("names"), list)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _readable(batch: Any) -> list[dict[str, Any] | BadLine]:
    """The rows; a BadLine for one with a text that is not UTF-8, or a date that is none."""
    try:
        return batch.to_pylist()
    except (ValueError, OverflowError) as error:
        if len(batch) == 1:
            why = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "no value that can be read"
            return [BadLine(f"{why} ({first_line(error)})")]
        return [row for number in range(len(batch)) for row in _readable(batch.slice(number, 1))]


def folder(path: Path, only: Wanted | None = None) -> Iterator[Any]:
    if (path / "dataset_dict.json").exists():
        raise DataError(f"{path} holds several splits; name the folder of one of them")
    if (path / "state.json").exists():
        try:
            saved = json.loads(read_bytes(path / "state.json"))["_data_files"]
            files = [path / Path(file["filename"]).name for file in saved]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{path / 'state.json'} is not what `datasets` saves; save the data set again") from error
    else:
        files = sorted(path.rglob("*.parquet"))
    if not files:
        raise DataError(f"{path} holds no Parquet file; name the folder that does")
    for file in files:
        yield from arrow(file, only) if file.suffix == ".arrow" else parquet(file, only)
