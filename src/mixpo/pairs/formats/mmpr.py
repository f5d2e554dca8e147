"""MMPR (arXiv 2411.10442) and InternVL's preference data: `meta.json` and its JSON-lines files.

meta.json: {name: {"root": folder of images, "annotation": file.jsonl, "repeat_time": 1, "length": rows}}
a row:     {"image": path (or a list, or absent), "question": …, "chosen": …, "rejected": …, "answer_gt": …}

`question` may begin with `<image>` and a line break; InternVL puts them there otherwise.
"""

import json
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, Unsupported
from mixpo.pairs.formats.pictures import ExportPictures
from mixpo.pairs.formats.row import (
    IMAGES,
    PLACEHOLDER,
    STEP,
    Content,
    Entry,
    PairSource,
    own_fields,
    refuse_placeholders,
    without_placeholders,
)
from mixpo.records import Dropped, DropReason, PreferencePair
from mixpo.tables import rows, write_jsonl

ANNOTATION = "annotations/mixpo.jsonl"
MARK = f"{PLACEHOLDER}\n"


def row(pair: PreferencePair, answer: str | None, pictures: ExportPictures) -> dict[str, Any]:
    """Raises Unsupported for text that reads as an image, ImageError when an image is not there."""
    refuse_placeholders(pair)
    images = [pictures.copied(image).removeprefix(f"{IMAGES}/") for image in pair.images]
    written: dict[str, Any] = {"image": images} if len(images) != 1 else {"image": images[0]}
    return {
        **(written if images else {}),
        "question": MARK * len(images) + pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        **own_fields(pair, answer),
    }


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes `meta.json` and its one annotation file; paths start at the folder of `meta.json`."""
    count = write_jsonl(rows, out / ANNOTATION)
    meta = {"root": IMAGES, "annotation": ANNOTATION, "data_augment": False, "repeat_time": 1, "length": count}
    (out / "meta.json").write_text(json.dumps({"mixpo": meta}, indent=2) + "\n", encoding="utf-8")
    return count


def sources(path: Path, image_root: Path | None) -> Iterator[tuple[Path, PairSource, float]]:
    """Annotation file, where its images lie and its repeat_time, of every data set in a `meta.json`.

    Raises DataError for a file that is no meta.json or names files that are not there.
    """
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        entries = {
            str(name): (entry["annotation"], entry["root"], entry.get("repeat_time", 1)) for name, entry in meta.items()
        }
        repeats = {name: float(times) for name, (_, _, times) in entries.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path} is no meta.json ({type(error).__name__}: {error}); it maps names to root, annotation, repeat_time"
        ) from error
    used: set[str] = set()
    for name, (annotation, root, _) in entries.items():
        if not math.isfinite(repeats[name]) or repeats[name] < 0:
            raise DataError(f"{path}: {name}: repeat_time must be a number from 0 up, not {repeats[name]}")
        folder = image_root or found(root, path.parent)
        source = PairSource(_unused(re.sub(r"\W+", "_", name).strip("_") or "data", used), folder, exported="")
        yield found(annotation, path.parent), source, repeats[name]


def _unused(name: str, used: set[str]) -> str:
    """The name, with a number where two data sets would otherwise be called the same."""
    number, free = 1, name
    while free in used:
        number, free = number + 1, f"{name}_{number + 1}"
    used.add(free)
    return free


def found(given: str, folder: Path) -> Path:
    """The file or folder that a meta.json names: as it stands, or where its longest ending lies beside the file.

    The published meta.json names its authors' own folders (`/mnt/…/MMPR/annotations/x.jsonl`).
    """
    parts = Path(str(given)).parts
    if not parts:
        return folder  # "." or nothing
    places = [Path(str(given))] if Path(str(given)).is_absolute() else []
    places += [base / Path(*parts[start:]) for start in range(len(parts)) for base in (folder, folder.parent)
               if not Path(*parts[start:]).is_absolute()]  # fmt: skip
    place = next((place for place in places if place.exists()), None)
    if place is None:
        raise DataError(f"{folder / 'meta.json'} names {given!r}, which is not there; put it beside the file")
    return place


def read(path: Path, source: PairSource, repeat: float = 1.0, seed: int = 0) -> Iterator[Entry | Dropped]:
    """The pairs of one annotation file. `repeat` below 1 takes that share of the rows, drawn from the seed; above 1
    each row comes so often (whole times, as in InternVL), with ids of its own (`…~2`)."""
    wanted = None
    if repeat < 1:
        total = sum(1 for _ in rows(path))
        wanted = set(random.Random(f"{seed}/{source.name}").sample(range(1, total + 1), int(total * repeat)))
        detail = f"repeat_time is {repeat:g}"
        yield Dropped(id=source.name, step=STEP, reason=DropReason.OVER_CAP, detail=detail, count=total - len(wanted))
    for row in rows(path):
        if wanted is None or row.number in wanted:
            yield from _repeated(source.read(row, content), max(1, int(repeat)))


def _repeated(entry: Entry | Dropped, times: int) -> Iterator[Entry | Dropped]:
    yield entry
    if isinstance(entry, Entry):
        for time in range(2, times + 1):
            yield replace(entry, pair=replace(entry.pair, id=f"{entry.pair.id}~{time}"))


def content(row: Mapping[str, Any]) -> Content:
    """What a row says. Raises BadRow or Unsupported."""
    image = row.get("image")
    images = [] if not image else image if isinstance(image, list) else [image]
    if not images and row.get("video"):
        raise Unsupported("a video: a pair has images only")
    prompt = without_placeholders(row.get("question"), len(images), after="\n")
    return Content(prompt=prompt, chosen=row.get("chosen"), rejected=row.get("rejected"), images=images)
