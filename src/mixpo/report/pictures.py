"""Images inside the page: data URIs, made small, so that the page needs no other file."""

import base64
import io
from dataclasses import dataclass

from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.pictures import Elsewhere

LONGEST_SIDE = 480
"""Pixels; larger images are reduced."""
MAX_PNG = 60_000
"""Bytes; where PNG takes more, JPEG is used."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of the gallery, or why it cannot be shown."""

    name: str
    uri: str
    problem: str = ""
    width: int = 0
    frames: int = 0
    """Of the video whose first frame it is; 0: it is a picture."""


class PagePictures:
    """Opens the images of a run's records, each questions section with its own roots."""

    def __init__(self, files: RunFiles):
        self.files = files
        self.roots: dict[str, ImageRoots] = {}
        self.elsewhere = Elsewhere(files.root)

    def picture(self, image: str, section: str) -> Picture:
        if not section:
            return Picture(image, "", "the run has no questions that say where it lies")
        try:
            if section not in self.roots:
                self.roots[section] = ImageRoots.load(self.files.image_roots_file(section))
            uri, width = data_uri(self.roots[section], image)
            self.elsewhere.note(self.roots[section].path(image))
        except UserError as error:
            return Picture(image, "", str(error))
        return Picture(image, uri, width=width)


def data_uri(roots: ImageRoots, image: str) -> tuple[str, int]:
    """The image as a `data:` URI and its width in pixels. Raises ImageError when it cannot be opened safely."""
    picture = roots.open(image)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    kind = "png"
    if buffer.tell() > MAX_PNG:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", picture.width
