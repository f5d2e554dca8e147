"""The images of an export: copied beside its rows, or put into them."""

from pathlib import Path
from typing import Any

from mixpo.errors import ImageError, MissingImage
from mixpo.images import MAX_BYTES, ImageRoots, decode, inside
from mixpo.pairs.formats.places import IMAGES
from mixpo.pictures import Elsewhere


class ExportPictures:
    """Bytes are copied as they are, once they have been decoded: nothing but pictures leaves a run.

    Raises ImageError for what is not there, leaves its root, or is no whole picture.
    """

    def __init__(self, roots: ImageRoots, run: Path, out: Path):
        self.roots = roots
        self.out = out
        self.elsewhere = Elsewhere(run)
        self._decoded: set[str] = set()

    def copied(self, image: str) -> str:
        """The path, from the export's folder, of a copy."""
        target = inside(self.out / IMAGES, image)
        if not target.exists():
            content = self._content(image)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return f"{IMAGES}/{image}"

    def embedded(self, image: str) -> dict[str, Any]:
        """As `datasets` has an image in a table: its bytes and its path."""
        return {"bytes": self._content(image), "path": image}

    def _content(self, image: str) -> bytes:
        path = self.roots.path(image)
        try:
            if not path.is_file():
                raise MissingImage(f"{image}: there is no such file under its root")
            if path.stat().st_size > MAX_BYTES:
                raise ImageError(f"{image}: the file is above the limit of {MAX_BYTES:,} bytes")
            content = path.read_bytes()
        except OSError as error:
            raise ImageError(f"{image}: cannot be read ({error.strerror})") from error
        if image not in self._decoded:
            decode(content, image)
            self._decoded.add(image)
            self.elsewhere.note(path)
        return content
