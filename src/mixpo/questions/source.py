"""What a loader gives: questions with the images that have to be stored, and rows it had to leave out.

A loader is a module of this package with

    Config                                      its dataclass: what a recipe may say of the data set
    load(config, name, seed) -> Iterator[Item | Dropped]
    image_root(config) -> Path | None           where images lie that stay in place; None: all come as bytes

`name` is the source's name in the recipe; ids are `<name>-<row>` and image paths `<name>/<file>`.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mixpo.errors import DataError, RecipeError
from mixpo.images import Given
from mixpo.records import Dropped, DropReason, Question


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One question and the images that come with it."""

    question: Question
    pictures: Mapping[str, Given] = field(default_factory=dict)
    """Image path (as in `question.images`) -> what is to be stored in the run; empty for images in place. What draws a
    picture is called only where it is not there yet: a run that goes on draws nothing again."""


def left_out(id: str, reason: DropReason, detail: str) -> Dropped:
    """What a row gives when it gives no question; `id` is `<source>/<file>:<line>`."""
    return Dropped(id=id, step="questions", reason=reason, detail=detail)


def data_path(text: str) -> Path:
    """The path a recipe means: `~` and `$NAME` / `${NAME}` filled in, relative to the working directory.

    Raises RecipeError for a variable that is not set, DataError when nothing lies there.
    """
    expanded = os.path.expanduser(os.path.expandvars(text))
    missing = re.search(r"\$(\w+|\{\w+\})", expanded)
    if missing:
        name = missing[1].strip("{}")
        raise RecipeError(f"{text}: the environment variable {name} is not set; set it, or write out the path")
    path = Path(expanded)
    if not path.exists():
        raise DataError(f"{text}: nothing lies there ({path.absolute()}); check the path")
    return path


def first(items: Iterable[Item | Dropped], limit: int | None) -> Iterator[Item | Dropped]:
    """Everything up to the `limit`-th item; what was dropped on the way is not counted. None: all."""
    count = 0
    for item in items:
        if count == limit:
            return
        count += isinstance(item, Item)
        yield item
