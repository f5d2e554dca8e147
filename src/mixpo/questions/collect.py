"""The step `questions`: reads every source of a section into records, and stores the images that come as bytes.

questions:
  sources:
    scenes: {loader: scenes, split: train, count: 2000}
    mine:   {loader: jsonl, path: ~/data/mine.jsonl}
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from mixpo import notes
from mixpo.config import build
from mixpo.errors import DataError, FieldError, ImageError
from mixpo.files import RunFiles, Shards, divert
from mixpo.left_out import LeftOut, counted, listed, source_of
from mixpo.model_inputs import FRAMES, LIMITS, ImagesConfig
from mixpo.names import wrong_name
from mixpo.pictures import STORED
from mixpo.pictures import store as store_pictures
from mixpo.progress import say, track
from mixpo.questions.rows import RowsConfig
from mixpo.questions.source import Item, left_out
from mixpo.records import Dropped, DropReason, Question
from mixpo.references import Output
from mixpo.registry import module
from mixpo.text_files import write_text
from mixpo.videos import FramesConfig

LOADERS = {
    "scenes": "mixpo.questions.scenes.source",
    "figures": "mixpo.questions.figures.source",
    "file": "mixpo.questions.file",
    "jsonl": "mixpo.questions.jsonl",
    "parquet": "mixpo.questions.parquet",
    "huggingface": "mixpo.questions.huggingface",
    "nlvr": "mixpo.questions.nlvr",
}
"""What a source's `loader` may be, and the module that reads it (`mixpo.questions.source` says its shape)."""


Doubt = Callable[[Question], str | None]
"""Says why no answer can match a question's ground truth; None where one can."""


WRITES = (Output.QUESTIONS,)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Where questions come from."""

    name: str = "questions"
    """The section's name: its folder in the run."""
    seed: int = 0
    """For sources that draw: the same seed gives the same questions."""
    sources: dict[str, dict] = field(default_factory=dict)
    """Name of a source -> `loader` and that loader's own fields."""
    images: ImagesConfig = field(default_factory=ImagesConfig)
    """Which frames of videos are looked at (`fps`, `max_frames`), of sources that do not say it themselves. How large
    pictures are for a model says nothing here."""

    def __post_init__(self) -> None:
        for source, values in self.sources.items():
            loader_of(source, values, f"sources.{source}")

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields that decide nothing of the questions (`mixpo.fingerprints`)."""
        asked = any(asks_for_frames(source, values) for source, values in self.sources.items())
        return tuple(f"images.{name}" for name in (LIMITS if asked else (*LIMITS, *FRAMES)))


def asks_for_frames(source: str, values: dict[str, Any]) -> bool:
    """Whether a source's rows may have videos, and its values do not say themselves which frames are taken."""
    return "images" not in values and isinstance(loader_of(source, values, source)[1], RowsConfig)


def loader_of(
    source: str, values: dict[str, Any], where: str, images: ImagesConfig | None = None
) -> tuple[ModuleType, Any]:
    """A source's loader and the loader's config; `images`, where its values do not say it and it has that field.

    Raises FieldError with the path from `where` on.
    """
    if wrong := wrong_name(source, "a source"):
        raise FieldError([where], wrong)
    loader = module(values.get("loader"), LOADERS, f"{where}.loader")
    own = {key: value for key, value in values.items() if key != "loader"}
    built = build(loader.Config, own, where)
    if images is None or "images" in own or not isinstance(built, RowsConfig):
        return loader, built
    return loader, replace(built, images=FramesConfig(fps=images.fps, max_frames=images.max_frames))


def collect(config: Config, doubt: Doubt | None = None) -> Iterator[Item | Dropped]:
    """Every source's questions, in order; the second of two questions with one id is dropped.

    So is one whose ground truth no answer can match, as `doubt` has it.

    Raises DataError when a source cannot be read or gives no question at all.
    """
    seen: Counter[str] = Counter()
    for source, values in config.sources.items():
        loader, loader_config = loader_of(source, values, source, config.images)
        found, tally = 0, LeftOut(config.name, "row")
        for entry in loader.load(loader_config, source, config.seed):
            checked = _check(entry, seen, doubt) if isinstance(entry, Item) else entry
            found += isinstance(checked, Item)
            yield from tally.watch([checked])
        if not found:
            raise tally.nothing_left(f"{config.name}: source {source!r} gives no question")


def _check(entry: Item, seen: Counter[str], doubt: Doubt | None) -> Item | Dropped:
    """Drops what repeats an id, and what nobody can answer."""
    own_id = entry.question.id
    seen[own_id] += 1
    if seen[own_id] > 1:
        return left_out(f"{own_id}#{seen[own_id]}", DropReason.DUPLICATE_ID, "an earlier question has this id")
    if doubt is not None and (reason := doubt(entry.question)):
        return left_out(own_id, DropReason.BAD_ANSWER, reason)
    return entry


@dataclass
class Collected:
    """What a section's questions are, counted as they come."""

    left_out: LeftOut
    questions: Counter[str] = field(default_factory=Counter)
    """By source."""
    answered: int = 0
    pictured: int = 0
    dropped: set[tuple[str, DropReason]] = field(default_factory=set)
    """What was left out now, and why."""

    def count(self, question: Question) -> None:
        self.questions[source_of(question.id, self.left_out.sources)] += 1
        self.answered += question.answer is not None
        self.pictured += bool(question.images)

    def summary(self) -> str:
        """ "340 questions (300 scenes, 40 pictures): 300 with an answer, 340 with a picture"."""
        total = self.questions.total()
        sources = f" ({listed(self.questions)})" if len(self.questions) > 1 else ""
        rows = self.left_out.counts.total()
        left_out = f"; {counted(rows, 'row')} left out" if rows else ""
        having = [f"{self.answered:,} with an answer", f"{self.pictured:,} with a picture"]
        return f"{counted(total, 'question')}{sources}: {', '.join(having)}{left_out}"


def collect_into(config: Config, files: RunFiles, doubt: Doubt | None = None) -> Collected:
    """Writes what is not there yet: images first, then their question, so that a record never lacks its image.

    Returns how many questions there are, and how many rows were left out, by reason.
    """
    roots = {source: _root(source, values) for source, values in config.sources.items()}
    return store(collect(config, doubt), roots, config.name, files)


def store(items: Iterable[Item | Dropped], roots: dict[str, str], name: str, files: RunFiles) -> Collected:
    """`collect_into` for items that are read elsewhere; `roots` says where their images lie, by source.

    What was left out is said on the screen, with the first row's reason. Raises DataError when there is no question.
    """
    before = notes.read(files.image_roots_file(name), dict[str, str]) or {}
    known = {root: place for root, place in before.items() if root.removesuffix(STORED) in roots} | roots
    _write_roots(known, name, files)
    found = Collected(LeftOut(name, "row", roots, files.dropped(name).folder))
    missing = _missing(_rooted(items, known, name, files), name, files, found)
    files.questions(name).append(divert(missing, files.dropped(name)))
    _forget(files.dropped(name), found)
    if not found.questions:
        raise found.left_out.nothing_left(f"{name}: there is no question")
    found.left_out.tell()
    return found


def _forget(dropped: Shards[Dropped], found: Collected) -> None:
    """Nothing says any more that a row is left out whose picture was away and is back."""
    back = {
        (record.id, record.reason)
        for record in dropped
        if record.step == "questions" and record.reason is DropReason.BAD_IMAGE
    } - found.dropped
    if back:
        dropped.replace(record for record in dropped if (record.id, record.reason) not in back)
        say(f"{found.left_out.section}: {counted(len(back), 'row')} left out before: the pictures are there now")


def _write_roots(roots: dict[str, str], name: str, files: RunFiles) -> None:
    write_text(files.image_roots_file(name), json.dumps(roots, indent=1) + "\n")


def _rooted(
    items: Iterable[Item | Dropped], known: dict[str, str], name: str, files: RunFiles
) -> Iterator[Item | Dropped]:
    """The items; an image root is written down before the first question that needs it (`Place.stored`)."""
    for entry in items:
        for path in entry.pictures if isinstance(entry, Item) else ():
            root = path.partition("/")[0]
            if root not in known:
                known[root] = f"images/{root}"
                _write_roots(known, name, files)
        yield entry


def _missing(
    items: Iterable[Item | Dropped], name: str, files: RunFiles, found: Collected
) -> Iterator[Question | Dropped]:
    """Questions and drops that the run does not hold yet; images are stored on the way."""
    there = files.questions(name).ids()
    dropped = {(record.id, record.reason) for record in files.dropped(name)}
    folder = files.pictures(name)
    for entry in track(items, name):
        if isinstance(entry, Item) and entry.question.id not in there:
            try:
                store_pictures(entry.pictures, folder)
            except ImageError as error:
                entry = left_out(entry.question.id, DropReason.BAD_IMAGE, str(error))
            else:
                yield entry.question
        if isinstance(entry, Item):
            found.count(entry.question)
            continue
        found.left_out.drop(entry)
        found.dropped.add((entry.id, entry.reason))
        if (entry.id, entry.reason) not in dropped:
            yield entry


def _root(source: str, values: dict[str, Any]) -> str:
    """Where a source's images lie: in the run, or the folder in which they stay."""
    module, loader_config = loader_of(source, values, source)
    root = module.image_root(loader_config)
    return f"images/{source}" if root is None else str(root)


def run(config: Config, files: RunFiles, doubt: Doubt | None = None) -> None:
    """Collects the section's questions into the run folder. Raises DataError when there is none."""
    if not config.sources:
        example = "sources: {mine: {loader: jsonl, path: mine.jsonl}}"
        raise DataError(f"{config.name}: there are no sources; write for example {example}")
    say(f"{config.name}: {collect_into(config, files, doubt).summary()}")
