"""Reading a run folder that somebody else may have crafted: nothing outside it, however paths and links lead."""

from pathlib import Path
from typing import Any

from mixpo.errors import ImageError, UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.report.pictures import Picture, data_uri
from mixpo.text_files import read_json


def inside_run(root: Path, path: Path) -> bool:
    """Whether a file lies in the run folder when every symbolic link is followed."""
    try:
        return path.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def json_inside(root: Path, path: Path) -> Any:
    """What a JSON file of the run holds; None when there is none, when it is torn or leads out of the run."""
    if not inside_run(root, path):
        return None
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


class GuardedPictures:
    """Opens the images of a run's records, from the run folder and the folders that the user has named, no others."""

    def __init__(self, root: Path, allowed: tuple[Path, ...] = ()):
        self.root = root
        self.places = tuple(path.resolve() for path in (root, *allowed))
        self.roots: dict[tuple[str, str], ImageRoots] = {}

    def picture(self, image: str, section: str, files: RunFiles) -> Picture:
        """One image as a data URI, or why it cannot be shown."""
        key = (str(files.root), section)
        if key not in self.roots:
            self.roots[key] = self._load(files, section)
        roots = self.roots[key]
        name = image.partition("/")[0]
        folder = roots.roots.get(name)
        if folder is not None and not any(folder.is_relative_to(place) for place in self.places):
            return Picture(image, "", f"{image}: its images lie outside the run; to see them: --images {folder}")
        try:
            uri, width = data_uri(roots, image)
        except ImageError as error:
            return Picture(image, "", str(error))
        return Picture(image, uri, width=width)

    def _load(self, files: RunFiles, section: str) -> ImageRoots:
        try:
            file = files.image_roots_file(section)
        except UserError:  # a recipe in the run that names no section
            return ImageRoots({})
        rows = json_inside(self.root, file)
        if not isinstance(rows, dict):
            return ImageRoots({})
        named = {str(name): root for name, root in rows.items() if isinstance(root, str) and "\0" not in root}
        found = {}
        for name, root in named.items():
            try:
                found[name] = (file.parent / root).resolve()
            except (OSError, RuntimeError):
                continue  # a loop of links
        return ImageRoots(found)
