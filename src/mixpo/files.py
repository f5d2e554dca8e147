"""Every path of a run folder, and the sharded JSON-lines files that records live in.

The only code that knows paths. Appending is safe against SIGKILL at any moment: a record is one line,
written whole and flushed; a torn last line is cut off before the next append and its record, being
absent, is made again. Reading skips repeated ids (the first stands) and unreadable lines (with a warning).

    runs/quickstart/
      recipe.yaml                     the resolved recipe, with versions
      questions/<section>/            part-00000.jsonl …, images/, image_roots.json
      demonstrations/ responses/ continuations/ verdicts/ pairs/ dropped/ <section>/part-*.jsonl
      reference/  checkpoints/<section>/  evaluation/<section>/  timings/  sections/  report.html  earlier/
"""

import glob
import logging
import os
import re
import shutil
import typing
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from mixpo.errors import UserError
from mixpo.ids import Ids
from mixpo.json_lines import from_json, to_json
from mixpo.records import (
    Continuation,
    Demonstration,
    Dropped,
    PassRate,
    PreferencePair,
    Question,
    Response,
    Score,
    Verdict,
)
from mixpo.references import trained_by
from mixpo.text_files import cut_torn_line, read_lines, writing
from mixpo.yaml_file import read_saved

log = logging.getLogger(__name__)
T = TypeVar("T")
S = TypeVar("S")
SHARD_RECORDS = 50_000
BASE_MODEL = Path(__file__).parent / "base"


class Shards(typing.Generic[T]):
    """The JSON-lines files of one folder, all holding records of one type."""

    def __init__(self, folder: Path, record_type: type[T]):
        self.folder = folder
        self.record_type = record_type
        self._end: tuple[Path, int, int] | None = None
        """The last shard, its size and how many records still fit, as the last append left them."""

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.jsonl"))

    def __iter__(self) -> Iterator[T]:
        return self._unseen(Ids())

    def ids(self) -> Ids:
        """Ids of all whole records: what a rerun does not make again."""
        seen = Ids()
        deque(self._unseen(seen), maxlen=0)
        return seen

    def _unseen(self, seen: Ids) -> Iterator[T]:
        """The records that `seen` does not have; it gets them."""
        for path in self.paths():
            for number, line in enumerate(read_lines(path), 1):
                if not line.endswith("\n"):
                    break  # torn, even if it happens to parse: the next append cuts it off
                try:
                    record = from_json(self.record_type, line)
                except ValueError as error:
                    log.warning(
                        "%s:%d is not a %s (%s); it is made again", path, number, self.record_type.__name__, error
                    )
                    continue
                if seen.add(_key(record)):
                    yield record

    def append(self, records: Iterable[T]) -> int:
        """Adds records at the end, each flushed as soon as it is there; returns how many.

        Raises UserError when the disk is full or the folder cannot be written; what was appended stays.
        """
        count = 0
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            path, left = self._open_shard()
            file = path.open("a", encoding="utf-8")
        try:
            for record in records:
                # Only the writing is guarded: an error of what makes the records keeps its own cause.
                with writing(self.folder):
                    if left <= 0:
                        file.close()
                        path, left = self._next_shard(path), SHARD_RECORDS
                        file = path.open("a", encoding="utf-8")
                    file.write(to_json(record) + "\n")
                    file.flush()
                left -= 1
                count += 1
        finally:
            self._end = None
            with writing(self.folder):
                file.close()
        self._end = path, path.stat().st_size, left
        return count

    def replace(self, records: Iterable[T]) -> int:
        """Writes the whole folder anew, in one step as seen from outside (temporary folder, then rename)."""
        staged = Shards(self.folder.with_name(self.folder.name + ".staged"), self.record_type)
        shutil.rmtree(staged.folder, ignore_errors=True)
        with writing(staged.folder):
            staged.folder.mkdir(parents=True)
        count = staged.append(records)
        with writing(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
            staged.folder.rename(self.folder)
        return count

    def _open_shard(self) -> tuple[Path, int]:
        paths = self.paths()
        if not paths:
            return self.folder / "part-00000.jsonl", SHARD_RECORDS
        if self._end is not None and self._end[:2] == (paths[-1], paths[-1].stat().st_size):
            return paths[-1], self._end[2]  # counting again at every append would read each record many times
        cut_torn_line(paths[-1])
        return paths[-1], SHARD_RECORDS - sum(1 for _ in read_lines(paths[-1]))

    def _next_shard(self, path: Path) -> Path:
        return self.folder / f"part-{int(path.stem.split('-')[1]) + 1:05d}.jsonl"


def divert(records: Iterable[T | S], shards: Shards[S], batch: int = 1000) -> Iterator[T]:
    """Yields the records of a step; those of the type of `shards` go there, `batch` at a time and the rest at the end.

    For what a step leaves out (`Dropped`), or notes on the way.
    """
    waiting: list[S] = []
    try:
        for record in records:
            if not isinstance(record, shards.record_type):
                yield record  # type: ignore[misc]
                continue
            waiting.append(record)
            if len(waiting) >= batch:
                shards.append(waiting)
                waiting.clear()
    finally:
        if waiting:
            shards.append(waiting)


def _key(record: Any) -> str:
    return f"{record.step}/{record.reason}/{record.id}" if isinstance(record, Dropped) else record.id


class RunFiles:
    """Where everything of one run lies."""

    def __init__(self, root: Path | str):
        self.root = Path(root)

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.yaml"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def lock(self) -> Path:
        """Held by the process that writes here (`mixpo.lock`)."""
        return self.root / ".lock"

    @property
    def reviews(self) -> Path:
        """What people said of pairs and answers (`mixpo.report.reviews`)."""
        return self.root / "reviews.sqlite"

    def questions(self, section: str) -> Shards[Question]:
        return Shards(self.root / "questions" / section, Question)

    def pictures(self, section: str) -> Path:
        """Folder of the images that a questions section wrote itself."""
        return self.root / "questions" / section / "images"

    def image_roots_file(self, section: str) -> Path:
        return self.root / "questions" / section / "image_roots.json"

    def responses(self, section: str) -> Shards[Response]:
        return Shards(self.root / "responses" / section, Response)

    def continuations(self, section: str) -> Shards[Continuation]:
        return Shards(self.root / "continuations" / section, Continuation)

    def verdicts(self, section: str) -> Shards[Verdict]:
        return Shards(self.root / "verdicts" / section, Verdict)

    def pass_rates(self, section: str) -> Shards[PassRate]:
        """Of the questions that a pairs section saw."""
        return Shards(self.root / "pass_rates" / section, PassRate)

    def judge_replies(self, section: str, record_type: type[T]) -> Shards[T]:
        """What an LLM judge wrote, paid for once (`mixpo.verdicts.llm_judge`)."""
        return Shards(self.root / "judge_replies" / section, record_type)

    def pairs(self, section: str) -> Shards[PreferencePair]:
        return Shards(self.root / "pairs" / section, PreferencePair)

    def dropped(self, section: str) -> Shards[Dropped]:
        return Shards(self.root / "dropped" / section, Dropped)

    def demonstrations(self, section: str) -> Shards[Demonstration]:
        return Shards(self.root / "demonstrations" / section, Demonstration)

    def checkpoints(self, section: str) -> Path:
        return self.root / "checkpoints" / section

    def reference(self, model: str) -> Path:
        """Cached log-probabilities of a recipe's `model`: sections that start from the same one share them."""
        return self.root / "reference" / re.sub(r"[^\w.-]+", "-", model.removeprefix("step:"))

    def model(self, model: str) -> str:
        """What a recipe's `model` means: `base` (ships with mixpo), `step:<section>` (a section's result),
        or a path or hub name, as it stands."""
        if model == "base":
            return str(BASE_MODEL)
        section = trained_by(model)
        if section is None:
            return model
        path = self.checkpoints(section) / "model"
        if not path.exists():
            raise UserError(f"model {model!r}: the section has not finished (no {path}); run it first")
        return str(path)

    def evaluation(self, section: str) -> "RunFiles":
        """A run folder inside the run folder: questions, responses and verdicts of an evaluation."""
        return RunFiles(self.root / "evaluation" / section)

    def scores(self) -> Shards[Score]:
        return Shards(self.root / "scores", Score)

    def sections(self, kind: str) -> list[str]:
        """Sections that wrote something of a kind ("responses", "pairs", "evaluation" …), by name."""
        folder = self.root / kind
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and "." not in path.name)

    def of_section(self, section: str) -> list[Path]:
        """Everything that a section wrote: what has its name in one of the run's folders."""
        names = (section, f"{section}.json")
        found = (path for name in names for path in self.root.glob(f"*/{glob.escape(name)}"))
        return sorted(path for path in found if path.parent != self.earlier)

    @property
    def earlier(self) -> Path:
        """Results that were set aside when they were made anew (`mixpo run --redo`), by time."""
        return self.root / "earlier"

    def fingerprint(self, section: str) -> Path:
        """What the section's content was decided by (`mixpo.fingerprints`)."""
        return self.json(f"sections/{section}")

    def saved_recipe(self) -> dict[str, Any]:
        """The resolved recipe that the run was last begun with; empty: none. Raises DataError for another file."""
        return read_saved(self.recipe) if os.path.lexists(self.recipe) else {}

    def json(self, name: str) -> Path:
        """A small JSON file of the run, for example `timings/sample`."""
        return self.root / f"{name}.json"
