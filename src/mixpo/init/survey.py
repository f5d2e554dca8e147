"""What the rows of a source turn out to be: questions by kind of answer, their pictures, and what would be left out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mixpo.config import build
from mixpo.errors import ImageError
from mixpo.left_out import listed
from mixpo.pairs.formats.row import Entry
from mixpo.pairs.import_pairs import Config as ImportConfig
from mixpo.pairs.import_pairs import entries
from mixpo.questions.collect import loader_of
from mixpo.questions.parts import held_out
from mixpo.questions.preview import pictures_of, unsaid
from mixpo.questions.source import Item
from mixpo.records import Dropped, DropReason, PreferencePair, Question
from mixpo.values import short
from mixpo.verdicts.infer import infer_kind
from mixpo.verdicts.truths import unanswerable

MOST = 20_000
"""Rows that are looked at; of more it is said."""
EXAMPLES = 3
SHOWN = 6
"""Questions that are kept with their pictures, to measure prompts."""
HELD_OUT, MOST_HELD_OUT = 0.2, 500
"""Share of the questions that is held out, and how many at most."""


@dataclass
class Survey:
    """Of one source of questions."""

    questions: list[Question] = field(default_factory=list)
    shown: list[tuple[Question, list[Any]]] = field(default_factory=list)
    """The first ones that can be opened, with their pictures."""
    kinds: Counter[str] = field(default_factory=Counter)
    options: Counter[int] = field(default_factory=Counter)
    """Questions by how many options they have."""
    pictures: int = 0
    broken: Dropped | None = None
    """The first picture that is there, and cannot be opened."""
    left_out: list[Dropped] = field(default_factory=list)
    whole: bool = True
    """Whether all rows were looked at."""

    @property
    def asked(self) -> int:
        return len(self.questions)

    @property
    def answered(self) -> int:
        return sum(question.answer is not None for question in self.questions)

    def share(self, name: str) -> tuple[float, int]:
        """What to hold out of it, and how many questions that is."""
        share = min(HELD_OUT, MOST_HELD_OUT / max(1, self.asked))
        share = float(f"{share:.2g}")
        return share, len(held_out(self.questions, share, name))

    def lines(self) -> Iterator[str]:
        more = "" if self.whole else f" (of the first {MOST:,} rows)"
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.most_common())
        yield f"{self.asked:,} questions{more}; answers: {kinds or 'none'}"
        if self.options:
            yield f"options: {', '.join(f'{count:,} with {number}' for number, count in sorted(self.options.items()))}"
        yield f"pictures: {self.pictures:,} in all" + ("" if self.pictures else ": the model is asked without any")
        if self.left_out:
            counts = Counter(str(each.reason) for each in self.left_out)
            first = self.left_out[0]
            yield f"left out: {listed(counts)}; the first because {first.detail} ({first.id})"
        if self.broken is not None:
            yield f"a picture that cannot be opened: {self.broken.detail} ({self.broken.id})"


def survey(name: str, values: Mapping[str, Any]) -> Survey:
    """Reads a source's rows with its own loader. Raises DataError as the loader does."""
    loader, config = loader_of(name, dict(values), name)
    root = loader.image_root(config)
    found = Survey()
    with unsaid():
        for number, entry in enumerate(loader.load(config, name, 0)):
            if number == MOST:
                found.whole = False
                break
            if isinstance(entry, Item) and (why := unanswerable(entry.question)):
                entry = Dropped(id=entry.question.id, step="questions", reason=DropReason.BAD_ANSWER, detail=why)
            if isinstance(entry, Dropped):
                found.left_out.append(entry)
            else:
                _count(found, entry, root)
    return found


def _count(found: Survey, entry: Item, root: Path | None) -> None:
    question = entry.question
    found.questions.append(question)
    found.pictures += len(question.images)
    kind = "without a ground truth" if question.answer is None else str(question.kind or infer_kind(question))
    found.kinds[kind] += 1
    if question.choices:
        found.options[len(question.choices)] += 1
    if len(found.shown) < SHOWN and not question.videos:
        try:
            found.shown.append((question, pictures_of(entry, root)))
        except ImageError as error:
            found.broken = found.broken or Dropped(
                id=question.id, step="questions", reason=DropReason.BAD_IMAGE, detail=str(error)
            )


def examples(found: Survey) -> Iterator[str]:
    """A few questions with the answer and the pictures, for a person to see whether they were read rightly."""
    for question, pictures in found.shown[:EXAMPLES]:
        options = f" {list(question.choices)}" if question.choices else ""
        sizes = [f"{name} ({picture.width} x {picture.height})" for name, picture in zip(question.images, pictures)]
        answer = "no ground truth" if question.answer is None else short(question.answer)
        yield f"  {short(question.text)}{options} -> {answer}; {', '.join(sizes) or 'no picture'}"


@dataclass
class PairSurvey:
    """Of one file of preference pairs."""

    pairs: int = 0
    questions: set[str] = field(default_factory=set)
    answered: int = 0
    first: list[tuple[PreferencePair, tuple[str, ...]]] = field(default_factory=list)
    left_out: list[Dropped] = field(default_factory=list)
    pictures: int = 0
    whole: bool = True

    def lines(self) -> Iterator[str]:
        more = "" if self.whole else f" (of the first {MOST:,} rows)"
        yield (
            f"{self.pairs:,} pairs of {len(self.questions):,} prompts{more}, {self.pictures:,} with pictures, "
            f"{self.answered:,} with a ground truth"
        )
        if self.left_out:
            counts = Counter(str(each.reason) for each in self.left_out)
            yield f"left out: {listed(counts)}; the first because {self.left_out[0].detail} ({self.left_out[0].id})"


def survey_pairs(values: Mapping[str, Any]) -> PairSurvey:
    """The same of a file of pairs. Raises DataError."""
    found = PairSurvey()
    with unsaid():
        for source, rows in entries(build(ImportConfig, dict(values), "import")):
            for entry in islice(rows, MOST + 1):
                if isinstance(entry, Dropped):
                    found.left_out.append(entry)
                    source.place.check()
                    continue
                if found.pairs == MOST:
                    found.whole = False
                    break
                _count_pair(found, entry)
    return found


def _count_pair(found: PairSurvey, entry: Entry) -> None:
    found.pairs += 1
    found.questions.add(entry.pair.question_id)
    found.answered += bool(entry.answers)
    found.pictures += bool(entry.pair.images)
    if len(found.first) < EXAMPLES:
        found.first.append((entry.pair, entry.answers))


def pair_examples(found: PairSurvey) -> Iterator[str]:
    for pair, answers in found.first:
        truth = f"; ground truth {short(answers[0])}" if answers else ""
        shown = ", ".join(pair.images) or "no picture"
        yield f"  {short(pair.prompt)}: {short(pair.chosen)} over {short(pair.rejected)}{truth}; {shown}"
