"""The rows of a file of any common kind, one at a time; and the writing of JSON lines and Parquet.

    .jsonl, any other ending   JSON lines: one value a line; a line that is none comes as a BadLine
    .json                      a list of rows, a list under `data` or `logs`, a mapping of names to rows (a row gets its
                               name as `key`), a row alone, or, whatever the ending says, JSON lines
    .csv .tsv                  tables with a header (a .csv of semicolons or tabs, too); empty cells are left out
    .xlsx                      the first sheet, likewise
    .parquet .arrow            Parquet, Arrow's stream or file; images come as the bytes or mappings that are stored
    a folder                   its Parquet files in the order of their names, or what `datasets` saved to disk

Text is UTF-8, with or without a byte order mark; `.gz` may follow its ending.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import IO, Any, NamedTuple

from mixpo import column_files
from mixpo.column_files import BATCH_ROWS, Wanted
from mixpo.errors import BadLine, DataError, first_line
from mixpo.sheets import read_sheet
from mixpo.text_files import not_utf8, opened

FIELD_LIMIT = 1 << 30
"""Characters of a cell: a picture in base64 is one."""


class Row(NamedTuple):
    """One row of a file."""

    number: int
    """From 1, blank lines not counted."""
    line: int
    """Where it stands: in JSON lines the line of the file, elsewhere its number."""
    content: Any
    """The row, in tables a mapping of columns; or a BadLine."""


def rows(path: Path, *, strict: bool = False, only: Wanted | None = None) -> Iterator[Row]:
    """Every row, in the order of the file; `strict`: a bad line is an error, too.

    `only`: the columns that are read, where a file keeps them apart (Parquet, Arrow); others have them all.

    Raises DataError when the file cannot be read (with the line, where its text is not UTF-8), MissingExtra.
    """
    by_column = column_files.folder if path.is_dir() else BY_COLUMN.get(ending(path))
    reader = READERS.get(ending(path))
    try:
        if not path.is_dir():
            opened(path).close()  # libraries would wait for a pipe
        found = by_column(path, only) if by_column else reader(path) if reader else None
        for row in json_lines(path) if found is None else map(Row, count(1), count(1), found):
            if strict and isinstance(row.content, BadLine):
                raise DataError(f"{path}:{row.line}: {row.content}; mend or remove the line")
            yield row
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def ending(path: Path) -> str:
    """The ending that tells what kind of file it is, lower case: `.jsonl` of `A.JSONL.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def json_lines(path: Path) -> Iterator[Row]:
    """Every line that is not blank, whatever the file's ending. Raises DataError when the file cannot be read."""
    number = 0
    try:
        with _open(path) as file:
            for line, data in enumerate(file, 1):
                if line == 1:
                    data = data.removeprefix(b"\xef\xbb\xbf")
                if data.strip():
                    number += 1
                    yield Row(number, line, _value(data))
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _value(data: bytes) -> Any:
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError as error:
        return BadLine(f"not UTF-8 text (byte {data[error.start]:#04x} at {error.start + 1})")
    except (ValueError, RecursionError) as error:
        return BadLine(f"not valid JSON ({error})")


def _open(path: Path) -> IO[bytes]:
    file = opened(path)
    return gzip.open(file) if path.suffix.lower() == ".gz" else file  # type: ignore[return-value]


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or first_line(error)
    return DataError(f"{path}: cannot be read ({reason}); check the path")


def _not_utf8(path: Path) -> DataError:
    """Names the first line that is none."""
    with _open(path) as file:
        return not_utf8(path, file)


def _json(path: Path) -> Iterator[Any]:
    with _open(path) as file:
        data = file.read()
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if isinstance(next((row.content for row in json_lines(path)), None), dict):
            return (row.content for row in json_lines(path))
        if isinstance(error, UnicodeDecodeError):
            raise _not_utf8(path) from error
        raise DataError(f"{path}: cannot be read as JSON ({first_line(error)}); check the file") from error
    return iter(_listed(content, path))


def _listed(content: Any, path: Path) -> list[Any]:
    if isinstance(content, dict):
        below = next((content[key] for key in ("data", "logs") if isinstance(content.get(key), list)), None)
        if below is not None:
            return below
        if not all(isinstance(row, dict) for row in content.values()):
            return [content]
        return [{"key": key, **row} for key, row in content.items()]
    if not isinstance(content, list):
        raise DataError(f"{path}: a JSON file holds a list of rows, or rows by name; JSON lines end in .jsonl")
    return content


def _table(delimiter: str) -> Callable[[Path], Iterator[Any]]:
    def read(path: Path) -> Iterator[Any]:
        csv.field_size_limit(FIELD_LIMIT)
        try:
            with _open(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
                head = next(text, "")  # a spreadsheet program writes what the country takes for a comma
                between = next((each for each in (delimiter, ";", "\t") if each in head), delimiter)
                lines = (cells for cells in csv.reader(chain([head], text), delimiter=between) if cells)
                heads = next(lines, [])
                for cells in lines:
                    if any(cells[len(heads) :]):
                        yield BadLine("more cells than columns; a cell that holds the delimiter goes in quotes")
                    else:
                        yield _by_head((head, cell) for head, cell in zip(heads, cells) if head and cell != "")
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
        except csv.Error as error:
            raise DataError(f"{path}: cannot be read as a table ({error}); check or download it again") from error

    return read


def _by_head(cells: Iterable[tuple[str, Any]]) -> dict[str, Any] | BadLine:
    """A table's row; a BadLine where two columns of one name say different things."""
    row: dict[str, Any] = {}
    for head, cell in cells:
        if row.setdefault(head, cell) != cell:
            return BadLine(f"two columns are called {head!r}, and differ; rename one")
    return row


def _xlsx(path: Path) -> Iterator[Any]:
    for cells in read_sheet(path):
        if bad := next((cell.head for cell in cells if cell.unknown), None):
            yield BadLine(f"{bad!r} holds a formula without a value; save the file in a spreadsheet program")
        elif row := _by_head((cell.head, cell.value) for cell in cells if cell.value is not None):
            yield row


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".json": _json,
    ".csv": _table(","),
    ".tsv": _table("\t"),
    ".xlsx": _xlsx,
}
BY_COLUMN: dict[str, Callable[[Path, Wanted | None], Iterator[Any]]] = {
    ".parquet": column_files.parquet,
    ".arrow": column_files.arrow,
}
"""Ending -> reader; all others are JSON lines."""
ENDINGS = (".jsonl", *READERS, *BY_COLUMN)


def write_jsonl(rows: Iterable[dict[str, Any]], path: Path) -> int:
    """Writes the rows as JSON lines; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        return sum(1 for row in rows if file.write(json.dumps(row, ensure_ascii=False) + "\n"))


def write_parquet(rows: Iterable[dict[str, Any]], path: Path, schema: Any, features: dict[str, Any]) -> int:
    """Writes the rows, a batch at a time; `features` tells `datasets` which columns are images."""
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    number = 0
    waiting: list[dict[str, Any]] = []
    # A file, not its path: pyarrow takes none whose name is not UTF-8.
    with path.open("wb") as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for row in rows:
            waiting.append(row)
            number += 1
            if len(waiting) >= BATCH_ROWS:
                writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
                waiting.clear()
        if waiting:
            writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
    return number
