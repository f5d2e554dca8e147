"""Where the images lie that a preference file's rows name or carry, and how many of them are there."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mixpo.errors import DataError, ImageError, MissingImage
from mixpo.images import inside, size_of
from mixpo.pictures import Place, content, find, images_of

IMAGES = "images"
"""The folder of an export's images; `images/<root name>/<path>` is the record's image `<root name>/<path>`."""
LOST = 20
"""So many images that are not there, and none that is: their paths start at another folder."""


class PairPlace:
    """The images of one source. Nothing is decoded; what a row names must be there."""

    def __init__(self, name: str, root: Path, *, exported: str = IMAGES, fetch: bool = False, private: bool = False):
        """`root`: where paths start; `exported`: the folder under it that an export of ours has its images in; `fetch`,
        `private`: as in `Place`."""
        self.place = Place(source=name, root=root, store=False, fetch=fetch, private=private)
        self.root = root
        self.exported = exported
        self.roots: dict[str, Path] = {}
        """Image roots that the pairs' paths begin with, by name, as they are met."""
        self._found = 0
        self._missing = 0
        self._why = ""

    def images(self, given: Sequence[Any], own: bool) -> tuple[tuple[str, ...], dict[str, bytes | str]]:
        """The records' paths of a row's images, and those to be stored under them.

        `own`: the row is an export's own, and its images get their paths back. Raises ImageError for an image that
        is not there or leaves its root, BadRow for what is none.
        """
        paths: list[str] = []
        pictures: dict[str, bytes | str] = {}
        for entry in given:
            path, stored = self._image(entry, own)
            if pictures.get(path, stored.get(path)) != stored.get(path):
                raise ImageError(f"{path}: two images of the row have this name")
            paths.append(path)
            pictures |= stored
        return tuple(paths), pictures

    def _image(self, entry: Any, own: bool) -> tuple[str, dict[str, bytes | str]]:
        data, name = content(entry)
        if data is not None:
            if not self.roots:  # as a source whose images all come as bytes has them
                self.place = replace(self.place, store=True)
            path = entry.get("path") if own and isinstance(entry, dict) else None
            if data and isinstance(path, str) and "/" in path:
                path = _plain(path)
                inside(self.root, path)
                return path, {path: data}
            (path,), pictures = images_of([data], self.place)
            return path, pictures
        try:
            (path,), pictures = images_of([_plain(name)], self.place)
        except MissingImage as error:
            self._missing += 1
            self._why = self._why or str(error)
            raise
        self._found += 1
        if pictures:
            return path, pictures
        relative = path.removeprefix(f"{self.place.source}/")
        first, _, rest = relative.removeprefix(f"{self.exported}/").partition("/")
        if own and rest and (not self.exported or relative.startswith(f"{self.exported}/")):
            self._rooted(first, self.root / self.exported / first)
            return f"{first}/{rest}", {}
        self._rooted(self.place.source, self.root)
        return path, {}

    def _rooted(self, name: str, folder: Path) -> None:
        if self.roots.setdefault(name, folder) != folder:
            raise ImageError(f"{name}: images under this name lie in two different folders; import each alone")

    def size(self, entry: Any) -> tuple[int, int]:
        """Width and height in pixels, upright or not, of an image that a row names or carries. Raises ImageError."""
        data, name = content(entry)
        return size_of(find(_plain(name), self.place)[0] if data is None else data, "the image")

    def check(self) -> None:
        """Raises DataError where none of so many images is there."""
        if self._missing >= LOST and not self._found:
            raise DataError(f"{self.place.source}: none of the first {self._missing} images is there: {self._why}")


def _plain(path: Any) -> Any:
    """A path without `.`; its first part may become the name of a root, and must be a name."""
    if not isinstance(path, str) or not path or "://" in path:
        return path
    if ".." in path.split("/"):
        raise ImageError(f"{path}: image paths with .. are not followed")
    return PurePosixPath(path).as_posix()
