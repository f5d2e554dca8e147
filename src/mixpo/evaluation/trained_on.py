"""Whether models learned from what they are asked: the same questions, or others about the same pictures.

A model that a recipe trained, `<run>/checkpoints/<section>/model`, has the data that it learned from in its run folder.
Pictures are the same when their files are; a file is read only where one of the other side has its size.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mixpo import notes
from mixpo.errors import ImageError
from mixpo.evaluation.scores import BenchmarkQuestions
from mixpo.files import RunFiles
from mixpo.ids import at_most, in_share
from mixpo.images import ImageRoots
from mixpo.names import at_home
from mixpo.records import Question
from mixpo.references import trained_by

NAMED = 3
"""Models that a warning names; of more it tells the number."""
ADVICE = "their scores say little of new ones; train without them, or evaluate on others"


Texts = tuple[str, frozenset[str]]
"""A question's words, and digests of its pictures."""


def trained_on(
    models: Mapping[str, str], benchmarks: Mapping[str, BenchmarkQuestions], inner: RunFiles
) -> list[dict[str, Any]]:
    """For each benchmark the models (name -> path) that learned from its questions or pictures: counts, and a sentence,
    `text`."""
    sections = {name: TrainingSection.of(path) for name, path in models.items()}
    if not any(sections.values()):
        return []
    asked = {name: list(_asked(name, found.questions, inner)) for name, found in benchmarks.items()}
    digests = Digests(path for questions in asked.values() for _, paths in questions for path in paths)
    own = cache(lambda section: Learned.of(section, digests))  # models that start from one share what that learned
    learned = {section: Learned.joined(map(own, section.lineage())) for section in set(sections.values()) if section}
    found = []
    for name, questions in asked.items():
        known = [(_words(text), digests.of(paths)) for text, paths in questions]
        by_counts: dict[tuple[int, int], list[str]] = {}
        for model, section in sections.items():
            if section and any(counts := learned[section].counts(known)):
                by_counts.setdefault(counts, []).append(model)
        for (same, pictures), names in by_counts.items():
            about = {"benchmark": name, "models": names, "questions": len(known), "same": same, "pictures": pictures}
            found.append({"sign": "trained_on", **about, "text": _sentence(name, names, len(known), same, pictures)})
    return found


def _sentence(benchmark: str, models: Sequence[str], questions: int, same: int, pictures: int) -> str:
    more = f" and {len(models) - NAMED} more models" if len(models) > NAMED else ""
    of = f" of the {questions} questions of {benchmark} are"
    told = [f"{same}{of} among those"] if same else []
    if pictures:
        told.append(f"{pictures} more are about pictures" if same else f"{pictures}{of} about pictures")
    return f"{', and '.join(told)} that {', '.join(models[:NAMED])}{more} learned from: {ADVICE}"


def _asked(name: str, questions: Sequence[Question], inner: RunFiles) -> Iterator[tuple[str, list[Path]]]:
    roots = ImageRoots.load(inner.image_roots_file(name))
    for question in questions:
        yield question.text, [_file(roots, image) for image in question.images]


def _words(text: str) -> str:
    return " ".join(text.lower().split())


def _file(roots: ImageRoots, image: str) -> Path:
    """A picture's file; a folder, where it can't be told."""
    try:
        return roots.path(image)
    except ImageError:
        return Path()


class Digests:
    """Digests of picture files. A file whose size is none of `asked`'s is not read: it is none of these."""

    def __init__(self, asked: Iterable[Path]):
        self._found: dict[Path, str] = {}
        self._sizes: set[int] = set()
        self._sizes = {size for path in set(asked) if (size := self._size(path)) is not None}

    def of(self, paths: Iterable[Path]) -> frozenset[str]:
        """Of one question's pictures; "" is one of another size, or one that is no longer there."""
        return frozenset(self._digest(path) for path in paths)

    def _digest(self, path: Path) -> str:
        if path not in self._found:
            self._found[path] = self._read(path) if self._size(path) in self._sizes else ""
        return self._found[path]

    def _read(self, path: Path) -> str:
        try:
            return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        except OSError:
            return ""

    def _size(self, path: Path) -> int | None:
        try:
            return path.stat().st_size if path.is_file() else None
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Learned:
    """What a model learned from, as far as it may be among what is asked."""

    questions: frozenset[Texts]
    pictures: frozenset[str]

    @classmethod
    def of(cls, section: "TrainingSection", digests: Digests) -> "Learned":
        """By this section alone."""
        questions: set[Texts] = set()
        found: set[str] = set()
        for text, paths in section.questions():
            pictures = digests.of(paths)
            found |= pictures
            if "" not in pictures:
                questions.add((_words(text), pictures))
        return cls(frozenset(questions), frozenset(found - {""}))

    @classmethod
    def joined(cls, parts: Iterable["Learned"]) -> "Learned":
        """What was learned in all of one or more trainings."""
        questions, pictures = zip(*((part.questions, part.pictures) for part in parts), strict=True)
        return cls(frozenset().union(*questions), frozenset().union(*pictures))

    def counts(self, asked: Sequence[Texts]) -> tuple[int, int]:
        """How many of the questions it learned from, and how many others are about pictures that it learned from."""
        others = [pictures for words, pictures in asked if (words, pictures) not in self.questions]
        return len(asked) - len(others), sum(bool(pictures) and pictures <= self.pictures for pictures in others)


@dataclass(frozen=True, slots=True)
class LearnedFrom:
    """Of the values of a section that trained, those that say from what; older versions did not say all."""

    model: str | None = None
    demonstrations: str | None = None
    pairs: str | None = None
    questions: str | None = None
    held_out: float = 0.0
    max_records: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainingValues:
    """What is read of such a section's fingerprint."""

    values: LearnedFrom = field(default_factory=LearnedFrom)


@dataclass(frozen=True, slots=True)
class TrainingSection:
    """The section of a run that trained a model."""

    run: Path
    name: str

    @classmethod
    def of(cls, model: str) -> "TrainingSection | None":
        """The one that wrote a model's folder; None: the model comes from elsewhere."""
        path = at_home(model)
        if path.name != "model" or path.parent.parent.name != "checkpoints":
            return None
        return cls(path.parents[2], path.parent.name)

    def lineage(self) -> "list[TrainingSection]":
        """This one, and those that its model started from, as far as runs tell."""
        found: list[TrainingSection] = []
        section: TrainingSection | None = self
        while section is not None and section not in found:
            found.append(section)
            start = section._values().model or ""
            name = trained_by(start)
            section = TrainingSection(section.run, name) if name else TrainingSection.of(start)
        return found

    def _values(self) -> LearnedFrom:
        return (notes.read(RunFiles(self.run).fingerprint(self.name), TrainingValues) or TrainingValues()).values

    def questions(self) -> Iterator[tuple[str, list[Path]]]:
        """Words and pictures' files of every question that it learned from itself."""
        files, values = RunFiles(self.run), self._values()
        shown, pairs, asked = values.demonstrations, values.pairs, values.questions
        shards: Iterable[Any] = files.demonstrations(shown) if shown else files.pairs(pairs) if pairs else ()
        texts = {question.id: question.text for question in files.questions(asked)} if asked else {}
        roots = ImageRoots.load(files.image_roots_file(asked)) if asked else ImageRoots({})
        dropped = {entry.id for entry in files.dropped(self.name)}
        taken = [
            (record.question_id, texts.get(record.question_id, record.prompt), record.images)
            for record in shards
            if record.id not in dropped and not in_share(record.question_id, values.held_out)
        ]
        seen: set[str] = set()
        for id, text, images in at_most(taken, values.max_records, values.seed):
            if id not in seen:
                yield text, [_file(roots, image) for image in images]
            seen.add(id)
