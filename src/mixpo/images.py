"""Safe opening of an image that a record names: no path outside its root, limits on size, whole files only."""

import base64
import errno
import io
import math
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mixpo import notes
from mixpo.errors import AwayImage, ImageError, MissingImage, first_line
from mixpo.text_files import damaged

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 50_000_000
"""An image above this is refused: decoding one of 100 megapixels takes 300 MB."""
MAX_SIDE = 65_535
"""The longest side of an image, in pixels: a JPEG has no longer one. A row of pixels costs memory of its own."""
MAX_RATIO = 1_000
"""An image that is more times longer than wide, or wider than long, is refused; many models refuse one from 200 on."""
MAX_SHOWN = 1_000_000_000
"""All images of a record together, frames of videos among them, have no more pixels: 4 GB."""
MAX_BYTES = 200_000_000
"""A file above this is not read."""
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO", "TGA")
"""Pixels only: Pillow hands others to programs (EPS to Ghostscript) or to decoders that are seldom tried."""

BROKEN = (
    *(OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, EOFError),
    *(RuntimeError, struct.error),
)
"""What Pillow raises on files that are torn or forged: each of its decoders has its own way to fail."""


class ImageRoots:
    """Where images lie: a record's path `scenes/17.png` is `17.png` under the root named `scenes`."""

    def __init__(self, roots: dict[str, Path]):
        self.roots = roots

    @classmethod
    def load(cls, file: Path) -> "ImageRoots":
        """From the `image_roots.json` of a questions folder; relative roots start at that folder."""
        rows = notes.read(file, dict[str, str]) or {}
        try:
            return cls({name: (file.parent / root).resolve() for name, root in rows.items()})
        except (OSError, RuntimeError, ValueError) as error:  # a loop of symbolic links, a null byte
            raise damaged(file, error) from error

    def path(self, image: str) -> Path:
        """The file behind a record's image path. Raises ImageError when it leaves its root."""
        name, _, rest = image.partition("/")
        if name not in self.roots or not rest:
            raise ImageError(f"{image}: no image root named {name!r}; known roots: {', '.join(self.roots) or 'none'}")
        return inside(self.roots[name], rest)

    def open(self, image: str) -> "Image":
        """The image, RGB, upright. Raises ImageError when it cannot be opened safely."""
        return decode(self.content(image), image)

    def content(self, image: str) -> bytes:
        """The bytes of its file. Raises ImageError when it cannot be read."""
        try:
            return content_of(self.path(image), image)
        except MissingImage as error:  # without the path, which differs from one process of a cluster to the next
            raise MissingImage(
                f"{image}: the file is not there; put it back, or say with `image_root` where the pictures of "
                f"{image.partition('/')[0]!r} lie now"
            ) from error


Given = bytes | str | Callable[[], bytes]
"""A picture's encoded bytes, the http(s) address to fetch them from, or what draws it."""


def open_file(path: Path, name: str) -> "Image":
    """The image in a file, RGB, upright. Raises ImageError, which calls it `name`, when it cannot be opened safely;
    MissingImage where there is no file."""
    return decode(content_of(path, name), name)


def content_of(path: Path, name: str) -> bytes:
    """The bytes of an image file, as they are. Raises as `open_file`, but for what the bytes are."""
    try:
        if path.exists() and not path.is_file():
            raise ImageError(f"{name}: cannot be read (it is no file)")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(f"{name}: the file is above the limit of {MAX_BYTES:,} bytes")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingImage(f"{name}: there is no file {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        away = isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG
        kind = AwayImage if away else ImageError
        raise kind(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def inside(root: Path, relative: str) -> Path:
    """`root/relative`, symbolic links followed. Raises ImageError when that is not under the root."""
    if "://" in relative or relative.startswith(("/", "\\")) or "\0" in relative:
        raise ImageError(f"{relative}: only relative paths under the image root are opened")
    try:
        path = (root / relative).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of symbolic links, a name the system cannot hold
        raise ImageError(f"{relative!r}: cannot be followed ({error})") from error
    if not path.is_relative_to(root.resolve()):
        raise ImageError(f"{relative}: lies outside the image root")
    return path


def decode(content: bytes, name: str, max_pixels: int = MAX_PIXELS) -> "Image":
    """Image bytes to an RGB image, turned upright (EXIF), the first frame of an animation.

    Raises ImageError for an empty, torn, too large or unknown file; `name` is what the message calls it.
    """
    from PIL import Image, ImageOps

    if not content:
        raise ImageError(f"{name}: the file is empty")
    with _read(name):
        file = Image.open(io.BytesIO(content), formats=_formats())
        check_size(*file.size, name, max_pixels)
        file.load()
        check_size(*file.size, name, max_pixels)  # an icon's own header may have said another
        return rgb(ImageOps.exif_transpose(file))


@contextmanager
def _read(name: str) -> Iterator[None]:
    """What Pillow raises within is an ImageError that calls the image `name`."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image that Pillow can read") from error
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: cannot be decoded ({first_line(error)})") from error


def check_size(width: int, height: int, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raises ImageError for an image that has too many pixels, or is too long for its width."""
    size = f"{name}: {width} x {height} pixels"
    if width * height > max_pixels:
        raise ImageError(f"{size} is above the limit of {max_pixels:,}")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{size} is above the limit of {MAX_SIDE:,} for a side")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise ImageError(f"{size}: no side may be more than {MAX_RATIO:,} times the other; cut it into parts")


def size_of(content: Path | bytes, name: str) -> tuple[int, int]:
    """Width and height that an image says it has, upright or not; nothing is decoded. Raises ImageError as `decode`."""
    from PIL import Image

    source = io.BytesIO(content) if isinstance(content, bytes) else content
    with _read(name), Image.open(source, formats=_formats()) as file:
        check_size(*file.size, name)
        return file.size


def loaded(image: "Image", name: str) -> "Image":
    """An image that Pillow has opened elsewhere and decodes on use, decoded. Raises ImageError as `decode` does."""
    check_size(*image.size, name)
    if getattr(image, "format", None) not in (None, *_formats()):
        raise ImageError(f"{name}: files of the format {image.format} are not decoded; save it as PNG")
    with _read(name):
        image.load()
    check_size(*image.size, name)
    return image


@cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow reads."""
    from PIL import Image

    # Ours is the lower limit on pixels, and a refusal is a record; what Pillow says besides (of odd tags) is no matter.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)


def is_picture(content: bytes) -> bool:
    """Whether bytes begin as a picture does that can be opened; none of it is decoded."""
    from PIL import Image

    try:
        Image.open(io.BytesIO(content), formats=_formats())
    except Image.DecompressionBombError:
        return True
    except BROKEN:
        return False
    return True


def rgb(image: "Image") -> "Image":
    from PIL import Image

    if image.mode.startswith("I"):
        # 16-bit greys: converting straight to RGB would clip them to white.
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return image.convert("RGB")


def resized(image: "Image", min_pixels: int | None, max_pixels: int | None) -> "Image":
    """The picture with at least `min_pixels` and at most `max_pixels` (width times height), its sides in proportion as
    far as whole numbers allow; itself where it is within them, or where they are None."""
    from PIL.Image import Resampling

    width, height = image.size
    if max_pixels is not None and width * height > max_pixels:
        scale = math.sqrt(max_pixels / (width * height))
        wide, high = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    elif min_pixels is not None and width * height < min_pixels:
        scale = math.sqrt(min_pixels / (width * height))
        wide, high = math.ceil(width * scale), math.ceil(height * scale)
    else:
        return image
    if max_pixels is not None and wide * high > max_pixels:  # a side of one pixel, or limits that are nearly the same
        wide, high = min(wide, max(1, max_pixels // high)), min(high, max_pixels)
    return image.resize((wide, high), Resampling.BICUBIC)


def data_url(image: "Image") -> str:
    """The image in the URL itself (RFC 2397), as PNG: the server sees the same pixels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def is_url(text: str) -> bool:
    """Whether an image's name is an http(s) address instead of a path."""
    return text.startswith(("http://", "https://"))
