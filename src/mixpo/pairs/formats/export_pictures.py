"""The images of an export: copied beside its rows, or put into them."""

import shutil
from pathlib import Path
from typing import Any

from mixpo.errors import ImageError
from mixpo.images import ImageRoots
from mixpo.pairs.formats.places import IMAGES


class ExportPictures:
    """Opens no image: bytes are copied as they are. Raises ImageError for what is not there or leaves its root."""

    def __init__(self, roots: ImageRoots, out: Path):
        self.roots = roots
        self.out = out

    def copied(self, image: str) -> str:
        """The path, from the export's folder, of a copy."""
        source = self._file(image)
        relative = f"{IMAGES}/{image}"
        target = self.out / relative
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        return relative

    def embedded(self, image: str) -> dict[str, Any]:
        """As `datasets` has an image in a table: its bytes and its path."""
        return {"bytes": self._file(image).read_bytes(), "path": image}

    def _file(self, image: str) -> Path:
        path = self.roots.path(image)
        if not path.is_file():
            raise ImageError(f"{image}: there is no such file under its root")
        return path
