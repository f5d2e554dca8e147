"""Cornell NLVR v1.0: crowd-written statements about three boxes of shapes, true or false.

Suhr, Lewis, Yeh and Artzi, "A Corpus of Natural Language for Visual Reasoning", ACL 2017; CC-BY-4.0.
Each statement stands with six pictures that show the same boxes in every order, so a model that
reasons answers all six alike. Two layouts are read:

    <path>/<split>.parquet                              id group permutation sentence label structured_rep image
    <path>/<split>/<split>.json, <split>/images/<directory>/<split>-<identifier>-<permutation>.png
                                                        the publisher's own (repository lil-lab/nlvr, folder nlvr)
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo.errors import BadRow, DataError, ImageError
from mixpo.images import inside
from mixpo.json_lines import to_json
from mixpo.questions.source import Item, data_path, first, left_out
from mixpo.records import AnswerKind, Dropped, DropReason, Question
from mixpo.tables import BadLine, json_lines, rows
from mixpo.values import refuse_deep, refuse_half

PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
"""Which box of `structured_rep` is shown left, in the middle and right in picture number k."""
DESCRIBE = "Describe the picture."
COLUMNS = ("id", "group", "permutation", "sentence", "label", "structured_rep", "image")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One split of NLVR."""

    path: str
    """The folder that holds the split, in either layout; `~` and `$VARIABLES` are filled in."""
    split: str = "dev"
    """train, dev or test."""
    limit: int | None = None
    """At most so many questions, from the start of the split; six stand for one statement."""
    describe: bool = False
    """Ask for a description of each picture, which has no ground truth, instead of judging the statement."""


def image_root(config: Config) -> Path | None:
    base, layout = _find(config)
    return base.resolve() if layout == "json" else None


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """The split's questions in the publisher's order. Raises DataError when no split lies at the path."""
    base, layout = _find(config)
    found = _json_rows(base, config.split, name) if layout == "json" else _parquet_rows(base, config.split, name)
    items = (_item(row, name, base, config.describe) if isinstance(row, NlvrRow) else row for row in found)
    return first(items, config.limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class NlvrRow:
    """One statement with one picture, whichever layout it comes from; values as they stand in the file."""

    where: str
    id: Any
    group: Any
    permutation: Any
    sentence: Any
    label: Any
    boxes: Any
    file: str
    """The picture, relative to the image root."""
    content: bytes | None
    """The picture's bytes; None when it lies in its file."""


def _find(config: Config) -> tuple[Path, str]:
    """The folder that holds the split, and its layout."""
    path, split = data_path(config.path), config.split
    for base in (path, path / "nlvr"):
        if (base / f"{split}.parquet").is_file():
            return base, "parquet"
        if (base / split / f"{split}.json").is_file():
            return base, "json"
    raise DataError(f"{path}: no NLVR split {split!r} there (neither {split}.parquet nor {split}/{split}.json)")


def _parquet_rows(base: Path, split: str, name: str) -> Iterator[NlvrRow | Dropped]:
    for _, number, row in rows(base / f"{split}.parquet"):
        where = f"{name}/{split}.parquet:{number}"
        missing = [column for column in COLUMNS if row.get(column) is None]
        if missing:
            yield left_out(where, DropReason.BAD_ROW, f"there is no {missing[0]}")
            continue
        try:
            boxes = json.loads(row["structured_rep"])
        except (ValueError, TypeError):
            boxes = None
        yield NlvrRow(
            where=where, id=row["id"], group=row["group"], permutation=row["permutation"], sentence=row["sentence"],
            label=row["label"], boxes=boxes, file=f"{row['id']}.png", content=row["image"],
        )  # fmt: skip


def _json_rows(base: Path, split: str, name: str) -> Iterator[NlvrRow | Dropped]:
    path = base / split / f"{split}.json"
    for _, line, row in json_lines(path):
        where = f"{name}/{path.name}:{line}"
        if isinstance(row, BadLine):
            yield left_out(where, DropReason.TORN_LINE, str(row))
            continue
        try:
            identifier, directory = row["identifier"], row["directory"]
        except (KeyError, TypeError) as error:
            yield left_out(where, DropReason.BAD_ROW, f"there is no {error}")
            continue
        for permutation in range(len(PERMUTATIONS)):
            own_id = f"{split}-{identifier}-{permutation}"
            file = f"{split}/images/{directory}/{own_id}.png"
            yield NlvrRow(
                where=f"{where}/{permutation}", id=own_id, group=identifier, permutation=permutation, file=file,
                sentence=row.get("sentence"), label=row.get("label"), boxes=row.get("structured_rep"), content=None,
            )  # fmt: skip


def _item(row: NlvrRow, name: str, base: Path, describe: bool) -> Item | Dropped:
    label = str(row.label).lower()
    if not isinstance(row.sentence, str) or label not in ("true", "false") or row.permutation not in range(6):
        return left_out(row.where, DropReason.BAD_ROW, "needs a sentence, a label true or false, a permutation 0 to 5")
    if not _are_boxes(row.boxes):
        return left_out(row.where, DropReason.BAD_ROW, "structured_rep is not three boxes of objects")
    try:
        if row.content is None and not inside(base, row.file).is_file():
            return left_out(row.where, DropReason.BAD_IMAGE, f"{row.file}: there is no such file under {base}")
    except ImageError as error:
        return left_out(row.where, DropReason.BAD_IMAGE, str(error))
    image = f"{name}/{row.file}"
    meta = {"group": row.group, "permutation": row.permutation, "structured_rep": row.boxes}
    own: dict[str, Any] = {"id": f"{name}-{row.id}", "images": (image,), "category": category(row.boxes), "meta": meta}
    if describe:
        question = Question(text=DESCRIBE, kind=AnswerKind.FREE_FORM, domain="description", **own)
    else:
        question = Question(text=f'Is this true? "{row.sentence.strip()}"', answer=label, kind=AnswerKind.YES_NO, **own)
    try:
        refuse_deep(row.boxes)
        refuse_half(to_json(question))
    except BadRow as error:
        return left_out(row.where, DropReason.BAD_ROW, str(error))
    return Item(question=question, pictures={} if row.content is None else {image: row.content})


def _are_boxes(boxes: Any) -> bool:
    if not isinstance(boxes, list) or len(boxes) != 3 or not all(isinstance(box, list) for box in boxes):
        return False
    keys = {"x_loc", "y_loc", "type", "color", "size"}
    return all(isinstance(thing, dict) and keys <= thing.keys() for box in boxes for thing in box)


def category(boxes: list[list[dict[str, Any]]]) -> str:
    """The corpus's two kinds of picture: `tower` (blocks stacked in the middle of a box) or `scatter`."""
    things = [thing for box in boxes for thing in box]
    stacked = all(thing["type"] == "square" and thing["x_loc"] == 40 and thing["size"] == 20 for thing in things)
    return "tower" if stacked else "scatter"
