"""One row of a data set, whatever file it lies in, to one question.

The columns (a recipe's `fields` says what a data set calls them, when it calls them otherwise):

    id  text (or question)  answer  kind  choices  domain  category  precision  unit  meta
    image or images         a path, an http(s) address, encoded bytes, {"bytes": …, "path": …}, a Pillow image, or a
                            list of these

Other columns are kept in `meta`.
"""

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.errors import BadRow, FieldError, ImageError
from mixpo.images import inside, is_url
from mixpo.questions.source import Item, left_out
from mixpo.records import AnswerKind, Dropped, DropReason, Question
from mixpo.tables import BadLine

COLUMNS = ("id", "text", "images", "answer", "kind", "choices", "domain", "category", "precision", "unit", "meta")
SECOND_NAMES = {"text": "question", "images": "image"}
EXTENSIONS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """How the rows of one source are read."""

    source: str
    """The source's name: ids and image paths begin with it."""
    root: Path
    """Where images that a row names by path lie; nothing outside it is opened."""
    store: bool
    """Whether images named by path are copied into the run too, or stay where they are."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Column of the data set for a field of the question, where the names differ."""
    fetch: bool = False
    """Whether images named by an http(s) address are fetched into the run, or refused."""


@dataclass(frozen=True, kw_only=True)
class RowsConfig:
    """What a recipe may say of rows, whatever they are read from."""

    path: str
    """A file, a folder or a data set's name, as the loader has it; `~` and `$VARIABLES` are filled in."""
    image_root: str = ""
    """The folder that image paths start at; empty: the one that the rows lie in."""
    fields: dict[str, str] = field(default_factory=dict)
    """Column of the data for a field of the question, for example `{text: query}`."""
    fetch_images: bool = False
    """Whether images named by http(s) addresses are fetched into the run; without it their rows are dropped."""
    limit: int | None = None
    """At most so many questions, from the start."""

    def __post_init__(self) -> None:
        for name in self.fields:
            if name not in COLUMNS:
                raise FieldError(["fields", name], f"a question has no such field; it has {', '.join(COLUMNS)}")
        if self.limit is not None and self.limit < 1:
            raise FieldError(["limit"], f"must be at least 1, not {self.limit}")

    def reading(self, source: str, root: Path, store: bool = True) -> ReadOptions:
        """How the source's rows are read."""
        return ReadOptions(source=source, root=root, store=store, fields=self.fields, fetch=self.fetch_images)


def item(row: Any, number: int, where: str, options: ReadOptions) -> Item | Dropped:
    """The question a row holds, or why it holds none. No image is decoded here.

    `number` is the row's place in the data set, from 0, and its id when it has none; `where` is what a
    `Dropped` record calls it.
    """
    if isinstance(row, BadLine):
        return left_out(where, DropReason.TORN_LINE, str(row))
    try:
        values, rest = _split(row, options.fields)
        images, pictures = _images(values.pop("images", None), options)
        own_id = _line("id", values.pop("id", number))
        if "text" not in values:
            raise BadRow("there is no text")
        meta = {**rest, **_mapping(values.pop("meta", {}))}
        read: dict[str, Any] = {name: READERS[name](name, value) for name, value in values.items()}
        question = Question(id=f"{options.source}-{own_id}", images=images, meta=meta, **read)
    except BadRow as error:
        return left_out(where, DropReason.BAD_ROW, str(error))
    except ImageError as error:
        return left_out(where, DropReason.BAD_IMAGE, str(error))
    return Item(question=question, pictures=pictures)


def _split(row: Any, fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values by the question's field names, and the columns that are no field, as plain JSON values."""
    if not isinstance(row, Mapping):
        raise BadRow(f"a row is a mapping of columns, not {_short(row)}")
    values: dict[str, Any] = {}
    used: set[str] = set()
    for name in COLUMNS:
        columns = (fields[name],) if name in fields else (name, SECOND_NAMES.get(name, name))
        column = next((column for column in columns if not _is_missing(row.get(column))), None)
        if column is not None:
            values[name] = row[column]
            used.add(column)
    rest = {key: value for key, value in row.items() if key not in used and not _is_missing(value)}
    return values, _plain(rest)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _line(name: str, value: Any) -> str:
    """A value that people write as text or as a number, as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise BadRow(f"{name} must be text or a number, not {_short(value)}")


def _text(name: str, value: Any) -> str:
    if isinstance(value, str) and (value.strip() or name != "text"):
        return value.strip()
    raise BadRow(f"{name} must be text, not {_short(value)}")


def _kind(name: str, value: Any) -> AnswerKind:
    if value in list(AnswerKind):
        return AnswerKind(value)
    raise BadRow(f"{name} {_short(value)} is none of {', '.join(AnswerKind)}")


def _choices(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise BadRow(f"{name} must be a list of texts, not {_short(value)}")
    return tuple(_line(name, choice) for choice in value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # a column with missing values comes as floats
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadRow(f"{name} must be a whole number, not {_short(value)}")


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    raise BadRow(f"meta must be a mapping, not {_short(value)}")


READERS = {
    "text": _text, "answer": _line, "kind": _kind, "choices": _choices,
    "domain": _text, "category": _line, "unit": _text, "precision": _whole,
}  # fmt: skip


def _plain(value: Any) -> Any:
    """What JSON can hold of a column's value: dates as text, bytes by their number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _images(given: Any, options: ReadOptions) -> tuple[tuple[str, ...], dict[str, bytes | str]]:
    """Image paths as records have them, and the bytes to be stored under them (or where to fetch them)."""
    entries = given if isinstance(given, list | tuple) else [] if given is None else [given]
    paths: list[str] = []
    pictures: dict[str, bytes | str] = {}
    for entry in entries:
        content = _content(entry)
        if content is None:
            name = entry.get("path") if isinstance(entry, Mapping) else entry
            if isinstance(name, str) and is_url(name):
                if not options.fetch:
                    raise ImageError(f"{name}: images are fetched from addresses only with `fetch_images: true`")
                path = f"{options.source}/{hashlib.sha256(name.encode()).hexdigest()[:20]}.img"
                paths.append(path)
                pictures[path] = name
                continue
            file, relative = _find(name, options.root)
            if not options.store:
                paths.append(f"{options.source}/{relative}")
                continue
            content = _read(file)
        if not content:
            raise ImageError("the image is empty")
        # Named by its content: a picture that many questions share is stored once.
        extension = next((extension for start, extension in EXTENSIONS.items() if content.startswith(start)), ".img")
        path = f"{options.source}/{hashlib.sha256(content).hexdigest()[:20]}{extension}"
        paths.append(path)
        pictures[path] = content
    return tuple(paths), pictures


def _content(entry: Any) -> bytes | None:
    """Encoded bytes, when the entry carries them; a Pillow image is encoded as PNG."""
    if isinstance(entry, Mapping):
        entry = entry.get("bytes")
    if isinstance(entry, bytes):
        return entry
    if not hasattr(entry, "convert"):
        return None
    buffer = io.BytesIO()
    try:
        (entry if entry.mode in PNG_MODES else entry.convert("RGB")).save(buffer, "PNG")
    except OSError as error:  # Pillow decodes on use
        raise ImageError(f"the image cannot be decoded ({error})") from error
    return buffer.getvalue()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ImageError(f"{file.name}: cannot be read ({error.strerror})") from error


def _find(path: Any, root: Path) -> tuple[Path, str]:
    """The file a row names, and its path from the root. Raises ImageError when it is not a file under the root."""
    if not isinstance(path, str) or not path:
        raise BadRow(f"an image must be a path or bytes, not {_short(path)}")
    if path.startswith("/") and Path(path).is_relative_to(root.absolute()):
        path = Path(path).relative_to(root.absolute()).as_posix()
    file = inside(root, path)
    if not file.is_file():
        raise ImageError(f"{path}: there is no such file under {root}")
    return file, path


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
