"""The pictures that a row names or carries: paths, addresses, bytes, base64, data URLs, and mappings of these.

Nothing is decoded here; what is no picture shows when it is opened.
"""

import base64
import binascii
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.addresses import Address, fetch_image
from mixpo.errors import BadRow, ImageError, MissingImage
from mixpo.images import Given, inside, is_picture, is_url, loaded
from mixpo.names import MOST_BYTES
from mixpo.progress import say
from mixpo.tables import Row
from mixpo.text_files import write_bytes
from mixpo.values import parsed, short
from mixpo.videos import FramesConfig

EXTENSIONS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}
STARTS = (*EXTENSIONS, b"II*\0", b"MM\0*")
"""How files of pictures begin; TIFF last."""
STORED = ".stored"
"""Behind a source's name: the root of images that are written into the run while the source's others stay in place."""
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")
POINTER = 64
"""VLMEvalKit writes a picture that an earlier row has as that row's index: text of at most so many characters, which
no picture in base64 is."""
NAMED = ("path", "url", "image_url", "image")
"""Keys under which a mapping names its picture, where it has no bytes."""
NEAR = 200
"""Folders in which a picture is looked for that is not where it should be."""

NOTHING = {"bytes": None, "path": None}
"""What a table has in an image's place where there is none."""
NOT_FETCHED = "images are fetched from addresses only with `fetch_images: true`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the pictures of a source lie, and where those that it carries go."""

    source: str
    """The source's name: image paths begin with it."""
    root: Path | None
    """Where pictures named by path lie: the data file's own folder, or one that the user named. Nothing outside it is
    opened; None: nothing at all."""
    store: bool = True
    """Whether pictures named by path are copied into the run too, or stay where they are."""
    fetch: bool = False
    """Whether pictures named by an http(s) address are fetched into the run, or refused."""
    private: bool = False
    """Whether addresses on this machine and in private networks are fetched from, too."""
    frames: FramesConfig = field(default_factory=FramesConfig)
    """Which frames are taken of videos."""

    def stored(self, name: str) -> str:
        """The path of a picture that is written into the run: under a root of its own where others stay in place."""
        return f"{self.source}/{name}" if self.store else f"{self.source}{STORED}/{name}"


def images_of(given: Any, place: Place) -> tuple[tuple[str, ...], dict[str, bytes | str]]:
    """Image paths as records have them, and the bytes to be stored under them (or where to fetch them).

    Raises ImageError for a picture that cannot be had, BadRow for what is none.
    """
    paths: list[str] = []
    pictures: dict[str, bytes | str] = {}
    for entry in entries(given):
        data, name = content(entry)
        if data is None and is_url(str(name)):
            if not place.fetch:
                raise ImageError(f"{name}: {NOT_FETCHED}")
            path = place.stored(f"{hashlib.sha256(str(name).encode()).hexdigest()[:20]}.img")
            pictures[path] = Address(str(name), place.private)
        elif data is None and not place.store:
            path = f"{place.source}/{find(name, place)[1]}"
        else:
            data = _read(find(name, place)[0], name) if data is None else data
            if not data:
                raise ImageError("the image is empty")
            # Named by its content: a picture that many questions share is stored once.
            extension = next((extension for start, extension in EXTENSIONS.items() if data.startswith(start)), ".img")
            path = place.stored(f"{hashlib.sha256(data).hexdigest()[:20]}{extension}")
            pictures[path] = data
        paths.append(path)
    return tuple(paths), pictures


def store(pictures: Mapping[str, Given], folder: Path) -> None:
    """Writes those that are not in the folder yet. Raises ImageError for one that cannot be fetched."""
    for path, given in pictures.items():
        file = place_in(folder, path)
        if not file.exists():
            write_bytes(file, fetch_image(given) if isinstance(given, str) else given() if callable(given) else given)


def place_in(folder: Path, path: str) -> Path:
    """Where a picture of a row is stored. Raises ImageError for a path that leads out of the folder, or is too long."""
    if any(len(part.encode(errors="replace")) > MOST_BYTES for part in path.split("/")):
        raise ImageError(f"{short(path)}: a name of more than {MOST_BYTES} bytes")
    return inside(folder, path)


_near: dict[tuple[Path, str], Path | None] = {}
"""What `likely_root` found for the first picture that was missed in each folder: looking for each would take long."""


def likely_root(name: str, root: Path) -> Path | None:
    """A folder near `root` that has the file which a row names so, and `root` has not; of each folder of pictures, only
    the first that is missed is looked for."""
    root = root.absolute()
    key = root, name.rpartition("/")[0]
    if key not in _near:
        _near[key] = None if name.startswith("/") else _found_near(name, root)
    return _near[key]


def _found_near(name: str, root: Path) -> Path | None:
    try:
        below = sorted(folder for folder in root.iterdir() if folder.is_dir())[:NEAR]
    except OSError:
        below = []
    return next((folder for folder in (*root.parents[:3], *below) if (folder / name).is_file()), None)


def entries(given: Any) -> list[Any]:
    """The pictures one by one; a table's cell has a list of them as JSON text."""
    if isinstance(given, str) and given.startswith("["):
        given = parsed(given)
    return list(given) if isinstance(given, list | tuple) else [] if given is None else [given]


def same_images(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two lists name or carry the same images."""
    return [content(entry) if entry is not None else None for entry in one] == [
        content(entry) if entry is not None else None for entry in other
    ]


def images_in(row: Mapping[str, Any], names: Iterable[str] = ("images", "image")) -> list[Any]:
    """The images of a row, in the first of the columns that has some."""
    given = [row[name] for name in names if row.get(name) not in (None, "", [], {})]
    return listed_images(next((each for each in given if each != NOTHING), given[0] if given else None))


def listed_images(given: Any) -> list[Any]:
    """A column with one image, or a list of them, or none."""
    return entries(None if given in ("", [], {}) else given)


def content(entry: Any) -> tuple[bytes | None, Any]:
    """Encoded bytes, when the entry carries them, else what it is called; a Pillow image is encoded as PNG."""
    if isinstance(entry, Mapping):
        if (content := entry.get("bytes")) is not None:
            return (_decoded(content) if isinstance(content, str) else _bytes(content)), None
        entry = next((entry[key] for key in NAMED if entry.get(key) is not None), entry.get("path"))
        if isinstance(entry, Mapping):  # OpenAI's parts: {"image_url": {"url": …}}
            entry = entry.get("url")
    if isinstance(entry, bytes):
        return entry, None
    if isinstance(entry, str):
        return (_decoded(entry) if is_encoded(entry) else None), entry
    if not hasattr(entry, "convert"):
        return None, entry
    image = loaded(entry, "the image")
    buffer = io.BytesIO()
    (image if image.mode in PNG_MODES else image.convert("RGB")).save(buffer, "PNG")
    return buffer.getvalue(), None


def _bytes(content: Any) -> bytes:
    """The bytes that a mapping holds; in JSON they are a list of numbers."""
    try:
        return bytes(content if isinstance(content, bytes | bytearray | memoryview) else list(content))
    except (TypeError, ValueError) as error:
        raise BadRow(f"the bytes of an image must be bytes or base64, not {short(content)}") from error


def is_encoded(text: str) -> bool:
    """Whether a text is a picture itself (a data URL, or base64 of a file that begins as pictures do), not a name."""
    if text.startswith("data:"):
        return True
    if len(text) <= POINTER:
        return False
    try:
        return base64.b64decode(text[:8]).startswith(STARTS)
    except (binascii.Error, ValueError):
        return False


def _decoded(text: str) -> bytes:
    """The bytes of base64, or of a data URL (RFC 2397)."""
    head, comma, body = text.partition(",") if text.startswith("data:") else ("", ",", text)
    if not comma or (head and not head.endswith(";base64")):
        raise ImageError(f"{short(text)}: a data URL of an image is data:image/…;base64,…")
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"{short(text)}: not whole base64 ({error})") from error


def _read(file: Path, name: str) -> bytes:
    """The bytes of a file that is copied. Raises ImageError for one that is no picture, whatever a row calls it."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ImageError(f"{file.name}: cannot be read ({error.strerror})") from error
    if data and not is_picture(data):
        raise ImageError(f"{short(name)}: not an image that Pillow can read")
    return data


def find(path: Any, place: Place) -> tuple[Path, str]:
    """The file a row names, and its path from the root. Raises ImageError when it is not a file under the root."""
    if not isinstance(path, str) or not path:
        raise BadRow(f"an image must be a path or bytes, not {short(path)}")
    name, shown = path, path if len(path) <= 200 else f"{path[:200]}…"
    if place.root is None:
        raise MissingImage(
            f"{shown}: a row from the hub that only names its picture; download the data set, and write `image_root`, "
            "the folder where its pictures lie"
        )
    if path.startswith("/"):
        roots = (place.root.absolute(), place.root.resolve())
        below = next((root for root in roots if Path(path).is_relative_to(root)), None)
        if below is None:
            raise MissingImage(
                f"{shown}: an absolute path is opened only under the folder that `image_root` names; write "
                f"`image_root: {Path(shown).parent}`, or a folder above it"
            )
        name = Path(path).relative_to(below).as_posix()
    try:
        file = inside(place.root, name)
        if not file.is_file():
            near = likely_root(name, place.root)
            where = "`image_root` says where image paths start"
            if near:
                where = f"it lies under {near}: write `image_root: {near}`"
            raise MissingImage(f"{shown}: there is no such file under {place.root}; {where}")
    except OSError as error:  # a name that the system cannot hold
        raise ImageError(f"{shown}: cannot be read ({error.strerror})") from error
    return file, name


class Elsewhere:
    """Folders outside a run that pictures were taken from, since its `image_roots.json` says that they lie there.

    That may be right (data that stays in place), or what a stranger wrote into the run: what leaves the run says it.
    """

    def __init__(self, run: Path):
        self.run = run.resolve()
        self.folders: Counter[str] = Counter()

    def note(self, file: Path) -> None:
        """A picture's file, symbolic links followed."""
        if not file.is_relative_to(self.run):
            self.folders[str(file.parent)] += 1

    def tell(self, name: str) -> None:
        """Says on the screen how many pictures came from where."""
        if not self.folders:
            return
        total, (folder, *others) = self.folders.total(), (folder for folder, _ in self.folders.most_common())
        more = f" and {len(others):,} more" if others else ""
        say(
            f"{name}: {total:,} picture{'s' * (total > 1)} from outside the run folder ({folder}{more}): if others "
            "made the run, look whether they are yours to give away"
        )


def with_pictures(found: Iterator[Row]) -> Iterator[Row]:
    """VLMEvalKit's table: `image` holds a picture in base64, a list of them, or the index of a row that has it."""
    seen: dict[str, Any] = {}
    for row in found:
        if isinstance(row.content, dict) and isinstance(text := row.content.get("image"), str):
            if len(text) > POINTER:
                text = _pictures(text)
                if (index := row.content.get("index")) is not None:
                    seen[str(index).strip()] = text
            row.content["image"] = seen.get(text.strip(), text) if isinstance(text, str) else text
        yield row


def _pictures(text: str) -> Any:
    """The pictures of a cell as bytes; as it stands when they cannot be read, to be left out with the reason."""
    try:
        return [_decoded(part) for part in entries(text)]
    except (ImageError, AttributeError):
        return text
