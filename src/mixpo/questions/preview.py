"""Looking at what a loader gives before anything of it lies in a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mixpo.errors import ImageError
from mixpo.images import ImageRoots, decode
from mixpo.progress import console
from mixpo.questions.source import Item


def pictures_of(entry: Item, root: Path | None) -> list[Any]:
    """What a question shows, as Pillow images, frames of videos one by one. Raises ImageError.

    `root`: where images lie that stay in place.
    """
    return [_picture(image, entry, root) for image in entry.question.images]


def _picture(image: str, entry: Item, root: Path | None) -> Any:
    if image not in entry.pictures:
        return ImageRoots({} if root is None else {image.partition("/")[0]: root}).open(image)
    content = entry.pictures[image]
    if isinstance(content, str):
        raise ImageError(f"{content}: it is fetched when the questions are")
    return decode(content() if callable(content) else content, image)


@contextmanager
def unsaid() -> Iterator[None]:
    """Without the notes and bars that loaders write on the screen: what they tell is told otherwise, or later."""
    screen = console()
    before, screen.quiet = screen.quiet, True
    try:
        yield
    finally:
        screen.quiet = before
