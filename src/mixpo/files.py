"""Every path of a run folder: the only code that knows them. Records live in `Shards` (`mixpo.shards`).

runs/quickstart/
  recipe.yaml                     the resolved recipe, with versions
  questions/<section>/            part-00000.jsonl …, part-00000.crc32 …, images/, image_roots.json
  demonstrations/ responses/ continuations/ verdicts/ pairs/ dropped/ <section>/part-*.jsonl
  reference/  checkpoints/<section>/  evaluation/<section>/  timings/  sections/  report.html  earlier/
"""

import glob
import os
import re
from pathlib import Path
from typing import Any, TypeVar

from mixpo.errors import UserError
from mixpo.names import at_home, wrong_name
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
from mixpo.shards import WHOLE, Shards, divert
from mixpo.values import short
from mixpo.yaml_file import read_saved

__all__ = ["RunFiles", "Shards", "divert"]
T = TypeVar("T")
BASE_MODEL = Path(__file__).parent / "base"
KINDS = (
    *("questions", "demonstrations", "responses", "continuations", "verdicts", "pass_rates", "pairs"),
    *("dropped", "funnel", "relabel", "reference", "checkpoints", "evaluation", "timings", "sections"),
)
"""Folders of a run in which sections have something; others there are the user's. Judges' replies are none
of these: each is kept for what was asked, and stays when its section is made anew."""


class RunFiles:
    """Where everything of one run lies."""

    def __init__(self, root: Path | str):
        self.root = Path(root)

    def _of(self, kind: str, section: str) -> Path:
        """The folder of what a section has of a kind. Raises UserError for what is no name of a section."""
        none = not section and kind in ("verdicts", "continuations")  # as recipes say that pairs are not made of these
        if not none and (wrong := wrong_name(section, "a section")):
            raise UserError(f"{short(section)}: {wrong}")
        return self.root / kind / section

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
        return Shards(self._of("questions", section), Question)

    def pictures(self, section: str) -> Path:
        """Folder of the images that a questions section wrote itself."""
        return self._of("questions", section) / "images"

    def image_roots_file(self, section: str) -> Path:
        return self._of("questions", section) / "image_roots.json"

    def responses(self, section: str) -> Shards[Response]:
        return Shards(self._of("responses", section), Response)

    def continuations(self, section: str) -> Shards[Continuation]:
        return Shards(self._of("continuations", section), Continuation)

    def verdicts(self, section: str) -> Shards[Verdict]:
        return Shards(self._of("verdicts", section), Verdict)

    def pass_rates(self, section: str) -> Shards[PassRate]:
        """Of the questions that a pairs section saw."""
        return Shards(self._of("pass_rates", section), PassRate)

    def judge_replies(self, section: str, record_type: type[T]) -> Shards[T]:
        """What an LLM judge or a process reward model said, by what was asked: paid for once
        (`mixpo.verdicts.llm_judge`, `process_reward`)."""
        return Shards(self._of("judge_replies", section), record_type)

    def pairs(self, section: str) -> Shards[PreferencePair]:
        return Shards(self._of("pairs", section), PreferencePair)

    def dropped(self, section: str) -> Shards[Dropped]:
        return Shards(self._of("dropped", section), Dropped)

    def demonstrations(self, section: str) -> Shards[Demonstration]:
        return Shards(self._of("demonstrations", section), Demonstration)

    def checkpoints(self, section: str) -> Path:
        return self._of("checkpoints", section)

    def reference(self, model: str) -> Path:
        """Cached log-probabilities of a recipe's `model`: sections that start from the same one share them."""
        name = re.sub(r"[^\w.-]+", "-", model.removeprefix("step:"))
        return self.root / "reference" / (name if name.strip(".") else "model")

    def model(self, model: str) -> str:
        """What a recipe's `model` means: `base` (ships with mixpo), `step:<section>` (a section's result),
        or a path, `~` filled in, or a hub name, as it stands."""
        if model == "base":
            return str(BASE_MODEL)
        section = trained_by(model)
        if section is None:
            return str(at_home(model)) if model.startswith("~") else model
        path = self.checkpoints(section) / "model"
        if not path.exists():
            raise UserError(f"model {model!r}: the section has not finished (no {path}); run it first")
        return str(path)

    def evaluation(self, section: str) -> "RunFiles":
        """A run folder inside the run folder: questions, responses and verdicts of an evaluation."""
        return RunFiles(self._of("evaluation", section))

    def scores(self) -> Shards[Score]:
        return Shards(self.root / "scores", Score)

    def sections(self, kind: str) -> list[str]:
        """Sections that wrote something of a kind ("responses", "pairs", "evaluation" …), by name."""
        folder = self.root / kind
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not wrong_name(path.name, kind))

    def of_section(self, section: str) -> list[Path]:
        """Everything that a section wrote: what has its name in one of the run's folders."""
        names = (section, f"{section}{WHOLE}", f"{section}.json")
        found = (path for name in names for path in self.root.glob(f"*/{glob.escape(name)}"))
        return sorted(path for path in found if path.parent.name in KINDS)

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
        """A small JSON file of the run, for example `timings/sample`. Raises UserError as sections do."""
        kind, slash, section = name.partition("/")
        return (self._of(kind, section) if slash else self.root / kind).with_name(f"{section or kind}.json")
