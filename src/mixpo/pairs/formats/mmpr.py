"""MMPR (arXiv 2411.10442) and InternVL's preference data: `meta.json` and its JSON-lines files.

meta.json: {name: {"root": folder of images, "annotation": file.jsonl, "repeat_time": 1, "length": rows}}
a row:     {"image": path (or a list, or absent), "question": …, "chosen": …, "rejected": …, "answer_gt": …}

The first `<image>` of `question` are the images, one for each, further ones are words (internvl_chat_mpo.py); without
any, images stand ahead, each with a line break.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo.conversations import Conversation
from mixpo.errors import BadRow, DataError, Unsupported
from mixpo.messages import IMAGE, PICTURE, count
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.formats.places import IMAGES
from mixpo.pairs.formats.row import ONE_QUESTION, Content, Entry, PairSource, drawn, own_fields, refuse_beside
from mixpo.pictures import listed_images
from mixpo.records import Dropped, PreferencePair
from mixpo.tables import Row, rows, write_jsonl
from mixpo.text_files import lies_in, read_bytes
from mixpo.values import short

ANNOTATION = "annotations/mixpo.jsonl"
MARK = f"{IMAGE}\n"


def row(pair: PreferencePair, answers: Sequence[str], pictures: ExportPictures) -> dict[str, Any]:
    """Raises Unsupported for what such a row cannot hold, ImageError when an image is not there."""
    if pair.system or pair.turns:
        raise Unsupported("it has a system prompt or earlier turns; a row of MMPR has one question")
    asked = pair.prompt if pair.images else pair.prompt.replace(PICTURE, "")
    # The first marks of a question are its images, those behind them are words.
    if pair.images and IMAGE in asked[: max(asked.rfind(PICTURE), 0)]:
        raise Unsupported(f"its question contains {IMAGE!r} before an image, which the format takes for one")
    images = [pictures.copied(image).removeprefix(f"{IMAGES}/") for image in pair.images]
    written: dict[str, Any] = {"image": images} if len(images) != 1 else {"image": images[0]}
    ahead = "" if PICTURE in asked else MARK * len(images)
    return {
        **(written if images else {}),
        "question": ahead + asked.replace(PICTURE, IMAGE),
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        **own_fields(pair, answers),
    }


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes `meta.json` and its one annotation file; paths start at the folder of `meta.json`."""
    count = write_jsonl(rows, out / ANNOTATION)
    meta = {"root": IMAGES, "annotation": ANNOTATION, "data_augment": False, "repeat_time": 1, "length": count}
    (out / "meta.json").write_text(json.dumps({"mixpo": meta}, indent=2) + "\n", encoding="utf-8")
    return count


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One of a `meta.json`."""

    name: str
    annotation: Path
    root: Path
    """Where its images lie."""
    repeat: float


def data_sets(path: Path, image_root: Path | None) -> Iterator[DataSet]:
    """Every data set of a `meta.json`.

    Raises DataError for a file that is no meta.json or names files that are not there.
    """
    try:
        meta = json.loads(read_bytes(path))
        entries = {
            str(name): (entry["annotation"], entry["root"], entry.get("repeat_time", 1)) for name, entry in meta.items()
        }
        repeats = {name: float(times) for name, (_, _, times) in entries.items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise DataError(
            f"{path} is no meta.json ({type(error).__name__}: {error}); it maps names to root, annotation, repeat_time"
        ) from error
    used: set[str] = set()
    for name, (annotation, root, _) in entries.items():
        if not math.isfinite(repeats[name]) or repeats[name] < 0:
            raise DataError(f"{path}: {name}: repeat_time must be a number from 0 up, not {repeats[name]}")
        own = _unused(re.sub(r"\W+", "_", name).strip("_") or "data", used)
        folder = _images(root, path, image_root)
        yield DataSet(name=own, annotation=found(annotation, path, image_root), root=folder, repeat=repeats[name])


def _unused(name: str, used: set[str]) -> str:
    """The name, with a number where two data sets would otherwise be called the same."""
    number, free = 1, name
    while free in used:
        number, free = number + 1, f"{name}_{number + 1}"
    used.add(free)
    return free


def found(given: str, meta: Path, named: Path | None = None) -> Path:
    """The file or folder that a meta.json names: as it stands, or where its longest ending lies beside the file.

    The published meta.json names its authors' own folders (`/mnt/…/MMPR/annotations/x.jsonl`). Whoever wrote it does
    not choose what is read: that lies in its folder, links followed, or in the one that the user `named` as
    `image_root`. Raises DataError for anything else.
    """
    there = _there(given, meta.parent)
    place = _under(there, meta.parent) or (None if named is None else _under(there, named))
    if place is None and there:
        raise DataError(
            f"{meta} names {there[0]}, which leads out of its folder; if you mean it, put it there, or say "
            "`image_root`: the folder that it is in, or one above it"
        )
    if place is None:
        raise DataError(f"{meta} names {given!r}, which is not there; put it beside the file")
    return place


def _images(given: str, meta: Path, image_root: Path | None) -> Path:
    """Where a data set's images lie: where `image_root` says, or below it where the meta.json's own folder is there."""
    if image_root is None:
        return found(given, meta)
    there = _there(given, meta.parent)
    return image_root if _under(there, meta.parent) else _under(there, image_root) or image_root


def _there(given: str, folder: Path) -> list[Path]:
    """What may be meant, and is there."""
    parts = Path(str(given)).parts
    if not parts:
        return [folder]  # "." or nothing
    places = [Path(str(given))] if Path(str(given)).is_absolute() else []
    places += [base / Path(*parts[start:]) for start in range(len(parts)) for base in (folder, folder.parent)
               if not Path(*parts[start:]).is_absolute()]  # fmt: skip
    return [place for place in places if _exists(place)]


def _under(places: Iterable[Path], root: Path) -> Path | None:
    """The first that lies in a folder, links followed."""
    return next((place for place in places if lies_in(place, root)), None)


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):  # a name that the system cannot hold
        return False


def read(data: DataSet, source: PairSource, seed: int) -> Iterator[Entry | Dropped]:
    """The pairs of one annotation file. A `repeat` below 1 takes that share of the rows, drawn from the seed; above 1
    each row comes so often (whole times, as in InternVL), with ids of its own (`…~2`)."""
    taken: Iterable[Row | Dropped] = rows(data.annotation)
    if data.repeat < 1:
        why = f"repeat_time is {data.repeat:g}"
        taken = drawn(lambda: rows(data.annotation), lambda total: int(total * data.repeat), source.name, seed, why)
    return source.read_all(taken, contents, max(1, int(data.repeat)))


def contents(row: Mapping[str, Any]) -> Iterator[Content]:
    """What a row says. Raises BadRow or Unsupported."""
    if row.get("video") and not row.get("image"):
        raise Unsupported("a video: a pair has images only")
    refuse_beside(row, (*ONE_QUESTION, "tools"))
    asked, images = row.get("question"), row.get("image")
    if not isinstance(asked, str):
        raise BadRow(f"question must be text, not {short(asked)}")
    given = listed_images(images)
    asked = asked.replace(PICTURE, "")
    marks = min(asked.count(IMAGE), len(given))
    if 0 < marks < len(given):
        raise BadRow(f"the question has {count(marks, 'place')} for {count(len(given), 'picture')}")
    read = Conversation(text=asked.replace(IMAGE, PICTURE, marks), pictures=[None] * len(given))
    yield Content(asked=read, chosen=row.get("chosen"), rejected=row.get("rejected"), images=given, after="\n")
