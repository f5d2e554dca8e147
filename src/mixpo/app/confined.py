"""Reading a run folder that somebody else may have crafted: nothing outside it, however paths and links lead."""

from pathlib import Path
from typing import IO

from mixpo.errors import DataError, ImageError, UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.report.pictures import Picture, data_uri
from mixpo.text_files import damaged, opened


def inside_run(root: Path, path: Path) -> bool:
    """Whether a file lies in the run folder when every symbolic link is followed."""
    try:
        return path.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def opened_inside(root: Path, path: Path) -> IO[bytes]:
    """A plain file of the run, opened. Raises DataError for what is none, or leads out of the run."""
    try:
        file = opened(path)
    except OSError as error:
        raise damaged(path, error) from error
    if not inside_run(root, Path(f"/proc/self/fd/{file.fileno()}")):  # the file that was opened, not a name's next one
        file.close()
        raise DataError(f"{path} leads out of the run folder; it is not read")
    return file


class GuardedPictures:
    """Opens the images of a run's records, from the run folder and the folders that the user has named, no others."""

    def __init__(self, root: Path, allowed: tuple[Path, ...] = ()):
        self.root = root
        self.places = tuple(path.resolve() for path in (root, *allowed))
        self.roots: dict[tuple[str, str], ImageRoots] = {}

    def picture(self, image: str, section: str, files: RunFiles) -> Picture:
        """One image as a data URI, or why it cannot be shown."""
        key = (str(files.root), section)
        try:
            if key not in self.roots:
                self.roots[key] = self._load(files.image_roots_file(section))
        except UserError as error:  # damaged, or a recipe in the run that names no section
            return Picture(image, "", str(error))
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

    def _load(self, file: Path) -> ImageRoots:
        return ImageRoots.load(file) if inside_run(self.root, file) else ImageRoots({})
