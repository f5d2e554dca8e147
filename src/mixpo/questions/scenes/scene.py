"""What a scene holds and how it is drawn: 64 x 64 pixels, a grid of 4 x 4 cells or a chart of 4 bars."""

import io
import random
import zlib
from dataclasses import dataclass

from PIL import Image, ImageDraw

SIZE = 64
CELLS = 4
"""Rows a to d, columns 1 to 4: a cell is 16 pixels wide."""
TALLEST = 9
COLOURS = {"red": (214, 40, 40), "green": (38, 148, 68), "blue": (44, 84, 208), "yellow": (240, 196, 20)}
SHAPES = ("circle", "square", "triangle", "star")
RADII = (6.0, 7.0)
JITTER = 0.5
"""Pixels, of a cell's 16: a shape fills its cell, so that its outline is told apart even at this size."""
SPLITS = {"train": range(0, 80), "dev": range(80, 90), "test": range(90, 100)}
"""A scene belongs to a split by a checksum of what it shows, so that no two splits share a scene."""


@dataclass(frozen=True, order=True, slots=True)
class Thing:
    """One shape in one cell of a grid."""

    row: int
    column: int
    colour: str
    shape: str

    @property
    def cell(self) -> str:
        return f"{'abcd'[self.row]}{self.column + 1}"

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Grid:
    """Shapes in the cells of a 4 x 4 grid, in reading order."""

    things: tuple[Thing, ...]

    def state(self) -> dict:
        return {"things": [[thing.row, thing.column, thing.colour, thing.shape] for thing in self.things]}

    def at(self, row: int, column: int) -> Thing | None:
        return next((thing for thing in self.things if (thing.row, thing.column) == (row, column)), None)


@dataclass(frozen=True, slots=True)
class Chart:
    """Four bars of different colours, from left to right, each 1 to 9 units tall."""

    bars: tuple[tuple[str, int], ...]

    def state(self) -> dict:
        return {"bars": [list(bar) for bar in self.bars]}


Scene = Grid | Chart


def from_state(state: dict) -> Scene:
    """The scene that `Scene.state` described (kept in `Question.meta["scene"]`)."""
    if "bars" in state:
        return Chart(tuple((colour, height) for colour, height in state["bars"]))
    return Grid(tuple(Thing(*thing) for thing in state["things"]))


def split_of(scene: Scene) -> str:
    bucket = zlib.crc32(repr(scene.state()).encode()) % 100
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def make_scene(
    rng: random.Random, split: str, *, chart: bool, things: tuple[int, int], kinds: tuple[int, int] = (3, 6)
) -> Scene:
    """Draws scenes until one belongs to `split`; `things` is the smallest and largest number of shapes, `kinds` of
    different ones that they are drawn from."""
    while True:
        scene = _make_chart(rng) if chart else _make_grid(rng, rng.randint(*things), rng.randint(*kinds))
        if split_of(scene) == split:
            return scene


def _make_grid(rng: random.Random, count: int, different: int) -> Grid:
    kinds = [(rng.choice(list(COLOURS)), rng.choice(SHAPES)) for _ in range(different)]
    cells = sorted(rng.sample(range(CELLS * CELLS), count))
    return Grid(tuple(Thing(cell // CELLS, cell % CELLS, *rng.choice(kinds)) for cell in cells))


def _make_chart(rng: random.Random) -> Chart:
    colours = rng.sample(list(COLOURS), 4)
    return Chart(tuple((colour, rng.randint(1, TALLEST)) for colour in colours))


def draw(scene: Scene, seed: str) -> bytes:
    """A PNG of the scene, RGB, 64 x 64; `seed` fixes the jitter of places, sizes and shades."""
    rng = random.Random(seed)
    scale = 2  # drawn at twice the size, then reduced: smooth edges
    shade = rng.randint(236, 255)
    image = Image.new("RGB", (SIZE * scale, SIZE * scale), (shade, shade, shade))
    pen = ImageDraw.Draw(image)
    if isinstance(scene, Chart):
        _draw_bars(pen, scene, scale)
    else:
        for thing in scene.things:
            _draw_thing(pen, thing, rng, scale)
    buffer = io.BytesIO()
    image.resize((SIZE, SIZE), Image.Resampling.BOX).save(buffer, "PNG")
    return buffer.getvalue()


def _draw_bars(pen: ImageDraw.ImageDraw, chart: Chart, scale: int) -> None:
    base = (SIZE - 4) * scale
    pen.line([(0, base), (SIZE * scale, base)], fill=(60, 60, 60), width=scale)
    for number, (colour, height) in enumerate(chart.bars):
        left = (number * 16 + 3) * scale
        pen.rectangle([left, base - height * 6 * scale, left + 10 * scale, base - 1], fill=COLOURS[colour])


def _draw_thing(pen: ImageDraw.ImageDraw, thing: Thing, rng: random.Random, scale: int) -> None:
    x = (thing.column * 16 + 8 + rng.uniform(-JITTER, JITTER)) * scale
    y = (thing.row * 16 + 8 + rng.uniform(-JITTER, JITTER)) * scale
    r = rng.uniform(*RADII) * scale
    colour = tuple(max(0, min(255, part + rng.randint(-14, 14))) for part in COLOURS[thing.colour])
    if thing.shape == "circle":
        pen.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    elif thing.shape == "square":
        pen.rectangle([x - r * 0.85, y - r * 0.85, x + r * 0.85, y + r * 0.85], fill=colour)
    elif thing.shape == "triangle":
        pen.polygon([(x, y - r), (x - r, y + r * 0.85), (x + r, y + r * 0.85)], fill=colour)
    else:
        # A four-pointed star: clearly another outline than the square's at this size.
        a, b = r * 1.15, r * 0.36
        outline = ((0, -a), (b, -b), (a, 0), (b, b), (0, a), (-b, b), (-a, 0), (-b, -b))
        pen.polygon([(x + across, y + down) for across, down in outline], fill=colour)
