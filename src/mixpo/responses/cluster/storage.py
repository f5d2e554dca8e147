"""Questions, images and shards at a path or an object store's address (fsspec), for the workers of a cluster."""

import json
import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mixpo.checksums import beside, seal
from mixpo.errors import DataError, ImageError, UserError
from mixpo.ids import Ids
from mixpo.images import ImageRoots, decode
from mixpo.json_lines import from_json, to_json
from mixpo.records import Question

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)
ROWS = 1024
"""Parquet rows read at once."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A question and where it stands."""

    question: Question
    file: int
    """Number of its file."""
    at: int
    """Byte at which its line begins; in Parquet, the number of its row."""

    @property
    def id(self) -> str:
        return self.question.id


def question_files(place: str) -> list[str]:
    """The JSON-lines or Parquet files of a folder, a pattern or a single file. Raises DataError when there is none."""
    import fsspec

    system, path = fsspec.core.url_to_fs(place)
    found = system.glob(f"{path}/*") if system.isdir(path) else system.glob(path)
    names = sorted(name for name in found if name.endswith((".jsonl", ".parquet")))
    if not names:
        raise DataError(f"{place}: there are no questions (.jsonl or .parquet files); check the address")
    return [system.unstrip_protocol(name) for name in names]


def read_questions(files: Sequence[str], file: int = 0, at: int = 0) -> Iterator[Placed]:
    """The questions from a place on, in order; lines that cannot be read are left out with a warning."""
    for number in range(file, len(files)):
        read = _parquet_rows if files[number].endswith(".parquet") else _json_rows
        for place, line in read(files[number], at if number == file else 0):
            try:
                yield Placed(from_json(Question, line), number, place)
            except ValueError as error:
                log.warning("%s: what begins at %d is no question (%s); it is left out", files[number], place, error)


def _json_rows(address: str, at: int) -> Iterator[tuple[int, str]]:
    import fsspec

    with fsspec.open(address, "rb") as file:
        file.seek(at)
        while (line := file.readline()).endswith(b"\n"):
            if line.strip():
                yield at, line.decode(errors="surrogateescape")  # a line that is not UTF-8 makes no record
            at += len(line)


def _parquet_rows(address: str, at: int) -> Iterator[tuple[int, str]]:
    import fsspec
    import pyarrow.parquet

    with fsspec.open(address, "rb") as file:
        table = pyarrow.parquet.ParquetFile(file)
        begin, groups = 0, list(range(table.num_row_groups))
        while groups and begin + table.metadata.row_group(groups[0]).num_rows <= at:
            begin += table.metadata.row_group(groups.pop(0)).num_rows
        rows = (row for batch in table.iter_batches(ROWS, row_groups=groups) for row in batch.to_pylist())
        for number, row in enumerate(rows, begin):
            if number >= at:
                yield number, _question_json(row)


def _question_json(row: dict[str, Any]) -> str:
    """A row's columns are a question's fields; `meta` may be JSON text, since Parquet has no mapping of mixed types."""
    if isinstance(row.get("meta"), str):
        row["meta"] = json.loads(row["meta"])
    return json.dumps({name: value for name, value in row.items() if value is not None})


def written_ids(place: str) -> Ids:
    """Ids of the whole records in the shards of a folder."""
    import fsspec

    ids = Ids()
    system, path = fsspec.core.url_to_fs(place)
    for name in sorted(system.glob(f"{path}/part-*.jsonl")):
        for _, line in _json_rows(system.unstrip_protocol(name), 0):
            try:
                ids.add(json.loads(line.encode())["id"])
            except (ValueError, KeyError, TypeError):
                log.warning("%s: a line cannot be read; its record is made again", name)
    return ids


def write_shard(place: str, name: str, records: Iterable[Any]) -> int:
    """Writes one shard, whole or not at all, and none when there is no record; returns how many there are."""
    import fsspec

    lines = [to_json(record) + "\n" for record in records]
    if not lines:
        return 0
    try:
        system, path = fsspec.core.url_to_fs(place)
        system.makedirs(path, exist_ok=True)
        # A name of its own: a worker that was given up for lost may still be writing the same shard.
        staged = f"{path}/.{name}.{uuid.uuid4().hex}"
        with system.open(staged, "wb") as file:
            file.write("".join(lines).encode())
        local = Path(path) / name if "file" in (system.protocol, *system.protocol) else None
        if local is not None:  # the checksums of the same block, done before
            beside(local).unlink(missing_ok=True)
        system.mv(staged, f"{path}/{name}")
        if local is not None:
            seal(local)
    except OSError as error:
        raise UserError(f"{place} cannot be written ({error}); make room or choose another place") from error
    return len(lines)


def image_roots(place: str) -> ImageRoots:
    """From the `image_roots.json` beside the questions; without one, no image can be opened."""
    import fsspec

    system, path = fsspec.core.url_to_fs(place)
    folder = path if system.isdir(path) else path.rpartition("/")[0]
    if "file" in (system.protocol, *system.protocol):
        return ImageRoots.load(Path(folder) / "image_roots.json")
    if not system.exists(f"{folder}/image_roots.json"):
        return RemoteImages({})
    roots = json.loads(system.cat_file(f"{folder}/image_roots.json"))
    base = system.unstrip_protocol(folder)
    addresses = {name: root if "://" in root else f"{base}/{root}" for name, root in roots.items()}
    # Of the same store: whoever wrote the file does not choose that a worker reads its own disk, or asks its network.
    store = base.partition("://")[0]
    return RemoteImages({name: each for name, each in addresses.items() if each.partition("://")[0] == store})


class RemoteImages(ImageRoots):
    """Images in an object store; nothing outside their root is opened."""

    def __init__(self, addresses: dict[str, str]):
        super().__init__({})
        self.addresses = addresses

    def open(self, image: str) -> "Image":
        """The image, RGB, upright. Raises ImageError when it cannot be opened safely."""
        import fsspec

        name, _, rest = image.partition("/")
        if name not in self.addresses or not rest:
            raise ImageError(
                f"{image}: no image root named {name!r}; known roots: {', '.join(self.addresses) or 'none'}"
            )
        if rest.startswith("/") or "\\" in rest or ":" in rest or ".." in PurePosixPath(rest).parts:
            raise ImageError(f"{image}: only relative paths under the image root are opened")
        try:
            with fsspec.open(f"{self.addresses[name]}/{rest}", "rb") as file:
                content = file.read()
        except OSError as error:
            raise ImageError(f"{image}: cannot be read ({error})") from error
        return decode(content, image)
