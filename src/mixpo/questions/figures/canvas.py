"""Where figures are drawn: a square picture in a look, in units of a hundredth of its side."""

import io
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

UNITS = 100
SCALE = 2
"""Drawn so many times as large, then reduced: smooth edges."""
COLOURS = {
    "red": (214, 40, 40),
    "green": (38, 148, 68),
    "blue": (44, 84, 208),
    "yellow": (236, 190, 20),
    "purple": (140, 60, 170),
    "orange": (240, 130, 30),
}
Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """How things look: `light` is what training shows, `dark` is kept for tests."""

    paper: Colour
    ink: Colour
    stroke: float
    """Width of lines."""
    letters: float
    """Height of letters."""


def make_look(rng: random.Random, dark: bool) -> Look:
    shade = rng.randint(0, 20)
    light, deep = (255 - shade, 255 - shade, 255 - shade), (shade + 10, shade + 10, shade + 20)
    paper, ink = (deep, light) if dark else (light, deep)
    return Look(paper, ink, rng.uniform(0.8, 1.4), rng.uniform(8.5, 9.5))


class Canvas:
    """A picture that is being drawn; x to the right and y down, both from 0 to 100."""

    def __init__(self, side: int, look: Look):
        """`side`: pixels of the finished picture."""
        self.side, self.look = side, look
        self.factor = side * SCALE / UNITS
        self.image = Image.new("RGB", (side * SCALE, side * SCALE), look.paper)
        self.pen = ImageDraw.Draw(self.image)

    def _at(self, *points: Point) -> list[Point]:
        return [(x * self.factor, y * self.factor) for x, y in points]

    @property
    def _stroke(self) -> int:
        return max(1, round(self.look.stroke * self.factor))

    def line(self, *points: Point, colour: Colour | None = None, width: float = 1.0) -> None:
        self.pen.line(self._at(*points), fill=colour or self.look.ink, width=max(1, round(self._stroke * width)))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour | None = None) -> None:
        self.pen.rectangle(self._at((left, top), (right, bottom)), fill=colour, outline=self.look.ink, width=2)

    def disc(self, x: float, y: float, radius: float, colour: Colour | None = None) -> None:
        corners = self._at((x - radius, y - radius), (x + radius, y + radius))
        self.pen.ellipse(corners, fill=colour, outline=self.look.ink, width=self._stroke)

    def shape(self, *points: Point, colour: Colour | None = None) -> None:
        self.pen.polygon(self._at(*points), fill=colour, outline=self.look.ink, width=self._stroke)

    def text(self, x: float, y: float, words: str, size: float = 1.0, anchor: str = "mm") -> None:
        """Words at a point; `anchor` is Pillow's: mm in the middle, lm to the right of it, rm to the left."""
        font = ImageFont.load_default(self.look.letters * size * self.factor)
        self.pen.text(self._at((x, y))[0], words, fill=self.look.ink, font=font, anchor=anchor)

    def png(self) -> bytes:
        """RGB, `side` x `side`."""
        buffer = io.BytesIO()
        self.image.resize((self.side, self.side), Image.Resampling.BOX).save(buffer, "PNG")
        return buffer.getvalue()
