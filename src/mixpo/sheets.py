"""The first sheet of an Excel file, a row at a time."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

from mixpo.errors import DataError, MissingExtra, first_line

MOST_UNPACKED = 1 << 29
"""Bytes that a file may unpack to: a full sheet takes half of it, a forged one of some kilobytes takes all memory."""
DAMAGED = (LookupError, SyntaxError, ValueError, TypeError, AttributeError, NotImplementedError)
"""What openpyxl raises on files that are damaged: each of their parts has its own way to fail."""


class Cell(NamedTuple):
    """One cell below a column that has a name."""

    head: str
    value: Any
    unknown: bool
    """Whether it is a formula whose value isn't stored, or an error (#N/A)."""


def read_sheet(path: Path) -> Iterator[list[Cell]]:
    """The rows below the heads. Raises DataError for what is no Excel file, or unpacks to too much, MissingExtra."""
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtra("openpyxl", "xlsx") from error
    try:
        with ZipFile(path) as file:
            if sum(part.file_size for part in file.infolist()) > MOST_UNPACKED:
                raise DataError(f"{path}: unpacks to more than {MOST_UNPACKED:,} bytes; save it as CSV or Parquet")
        books = [openpyxl.load_workbook(path, read_only=True, data_only=values) for values in (True, False)]
        lines = zip(*(each.worksheets[0].iter_rows() for each in books))
        heads = ["" if cell.value is None else str(cell.value) for cell in next(lines, ((), ()))[0]]
        for cells, formulas in lines:
            named = zip(heads, cells, formulas)
            yield [Cell(head, cell.value, _unknown(cell, formula)) for head, cell, formula in named if head]
        for book in books:
            book.close()
    except (BadZipFile, zlib.error, *DAMAGED) as error:
        raise DataError(f"{path} is no Excel file ({first_line(error)}); check it") from error


def _unknown(cell: Any, formula: Any) -> bool:
    return cell.data_type == "e" or (cell.value is None and formula.data_type == "f")
