"""The images of an export: copied beside its rows, or put into them."""

from pathlib import Path
from typing import Any

from mixpo.images import ImageRoots, content_of, decode, inside
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
        content = content_of(path, image)
        if image not in self._decoded:
            decode(content, image)
            self._decoded.add(image)
            self.elsewhere.note(path)
        return content
