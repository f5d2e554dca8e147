"""What a loader gives: questions with the images that have to be stored, and rows it had to leave out.

A loader is a module of this package with

    Config                                      its dataclass: what a recipe may say of the data set
    load(config, name, seed) -> Iterator[Item | Dropped]
    image_root(config) -> Path | None           where images lie that stay in place; None: all come as bytes

`name` is the source's name in the recipe; ids are `<name>-<row>` and image paths `<name>/<file>`.
"""

from dataclasses import dataclass, field

from mixpo.records import Question


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One question and the images that come with it."""

    question: Question
    pictures: dict[str, bytes] = field(default_factory=dict)
    """Image path (as in `question.images`) -> encoded bytes to be stored in the run; empty for images in place."""
