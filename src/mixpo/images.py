"""Safe opening of an image that a record names: no path outside its root, limits on size, whole files only."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mixpo.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 50_000_000
"""An image above this is refused: decoding one of 100 megapixels takes 300 MB."""


class ImageRoots:
    """Where images lie: a record's path `scenes/17.png` is `17.png` under the root named `scenes`."""

    def __init__(self, roots: dict[str, Path]):
        self.roots = roots

    @classmethod
    def load(cls, file: Path) -> "ImageRoots":
        """From the `image_roots.json` of a questions folder; relative roots start at that folder."""
        rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return cls({name: (file.parent / root).resolve() for name, root in rows.items()})

    def path(self, image: str) -> Path:
        """The file behind a record's image path. Raises ImageError when it leaves its root."""
        name, _, rest = image.partition("/")
        if name not in self.roots or not rest:
            raise ImageError(f"{image}: no image root named {name!r}; known roots: {', '.join(self.roots) or 'none'}")
        return inside(self.roots[name], rest)

    def open(self, image: str) -> "Image":
        """The image, RGB, upright. Raises ImageError when it cannot be opened safely."""
        path = self.path(image)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ImageError(f"{image}: cannot be read ({error.strerror})") from error
        return decode(content, image)


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
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not content:
        raise ImageError(f"{name}: the file is empty")
    try:
        file = Image.open(io.BytesIO(content))
        if file.width * file.height > max_pixels:
            raise ImageError(f"{name}: {file.width} x {file.height} pixels is above the limit of {max_pixels:,}")
        file.load()
        image: Image.Image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):
            # 16-bit greys: converting straight to RGB would clip them to white.
            image = image.point(lambda value: value / 256).convert("L")
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            ground = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(ground, image.convert("RGBA"))
        return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image that Pillow can read") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: {error}") from error
