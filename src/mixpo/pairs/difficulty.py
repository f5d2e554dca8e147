"""How hard each question is for the model that was sampled: its pass rate, the filter on it, and its export.

Questions that are always or never answered right give no pairs; those that hardly ever are give pairs whose
chosen response may be right by luck. Reinforcement learning wants the same middle.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo import output
from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.lock import held_beside
from mixpo.messages import IMAGE, PICTURE
from mixpo.out_files import refuse_other_lines
from mixpo.records import DropReason, Outcome, PassRate, Question, Verdict
from mixpo.tables import write_jsonl
from mixpo.text_files import staged
from mixpo.videos import places

VIDEO = "<video>"
"""What other programs read as a video's place."""
BINS = ("0", "0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1", "1")
"""Pass rates for a histogram: never right, fifths (the lower end included), always right."""


@dataclass(frozen=True, slots=True)
class Range:
    """Pass rates from `low` to `high`, both included."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError("difficulty is two pass rates between 0 and 1, the smaller first")

    @classmethod
    def of(cls, ends: tuple[float, ...]) -> "Range":
        """From a recipe's two numbers. Raises ValueError for anything else."""
        if len(ends) != 2:
            raise ValueError("difficulty is two pass rates, for example [0.2, 0.8]")
        return cls(*ends)

    def __contains__(self, rate: float) -> bool:
        return self.low <= rate <= self.high

    def refusal(self, rate: PassRate) -> tuple[DropReason, str] | None:
        """Why a question makes no pairs; None when it may. Rates of 0 and 1 never do, for a reason of their own."""
        if rate.value in self or rate.correct in (0, rate.decided):
            return None
        share = f"{rate.correct} of {rate.decided} responses are right"
        if rate.value < self.low:
            return DropReason.TOO_HARD, f"{share}, below the pass rate of {self.low:g}"
        return DropReason.TOO_EASY, f"{share}, above the pass rate of {self.high:g}"


def pass_rate(question: Question, verdicts: Iterable[Verdict]) -> PassRate | None:
    """Of all responses with a decided verdict; what has no readable answer is not right. None when none is decided.

    Adaptive sampling stops sooner where right and wrong responses both come early, which draws the rates of
    those questions a little towards the middle.
    """
    decided = [verdict.outcome for verdict in verdicts if verdict.outcome is not Outcome.UNDECIDED]
    if not decided:
        return None
    return PassRate(id=question.id, correct=decided.count(Outcome.CORRECT), decided=len(decided))


def bin_of(rate: PassRate) -> str:
    """Which bar of a histogram a question is counted in."""
    if rate.correct in (0, rate.decided):
        return BINS[0] if not rate.correct else BINS[-1]
    return BINS[1 + rate.correct * 5 // rate.decided]


def rows(
    questions: Iterable[Question], rates: Iterable[PassRate], roots: ImageRoots, wanted: Range
) -> Iterator[dict[str, Any]]:
    """One row a question with a pass rate in the range; images as absolute paths, `<image>` where one stands."""
    by_id = {rate.id: rate for rate in rates if rate.value in wanted}
    for question in questions:
        rate = by_id.get(question.id)
        if rate is None:
            continue
        paths = [str(roots.path(image)) for image in question.images]
        asked, turns = _marked(question)
        filmed = {place for one in question.videos for place in range(one.start, one.start + one.frames)}
        row = {
            "id": question.id,
            "system": question.system or None,
            "turns": [{"role": turn.role, "content": text} for turn, text in zip(question.turns, turns)],
            "question": asked,
            "images": [path for place, path in enumerate(paths) if place not in filmed],
            "videos": [
                {"frames": paths[one.start : one.start + one.frames], "fps": one.fps} for one in question.videos
            ],
            "answer": question.answer,
            "accepted": list(question.accepted),
            "kind": question.kind,
            "choices": list(question.choices),
            "pass_rate": round(rate.value, 6),
            "responses": rate.decided,
        }
        yield {name: value for name, value in row.items() if value is not None and value != []}


def _marked(question: Question) -> tuple[str, list[str]]:
    """The question's text and its turns, with the marks that other programs read in the places of what is shown."""
    shown, videos = places(len(question.images), question.videos)
    texts = [*(turn.text for turn in question.turns), question.text]
    if videos and not any(PICTURE in text for text in texts):  # else a reader takes the pictures to come first
        texts[0] = f"{PICTURE * shown}\n{texts[0]}"
    marks = iter([VIDEO if number in videos else IMAGE for number in range(shown)])
    *turns, asked = (re.sub(PICTURE, lambda _: next(marks, IMAGE), text) for text in texts)
    return asked, turns


def export(files: RunFiles, out: Path, wanted: Range, pairs: str, questions: str) -> int:
    """Writes the rows as JSON lines, whole or not at all; returns how many. Raises DataError without rates, UserError
    when `out` holds anything but such rows."""
    rates = files.pass_rates(pairs)
    if not rates.paths():
        raise DataError(f"{rates.folder} holds no pass rates; run `mixpo pair` first, or name its section with --pairs")
    roots = ImageRoots.load(files.image_roots_file(questions))
    with held_beside(out), staged(out) as place:
        refuse_other_lines(out, "questions with a pass rate", _is_row)
        count = write_jsonl(rows(files.questions(questions), rates, roots, wanted), place)
    output.tell(f"{out}: {count:,} questions with a pass rate from {wanted.low:g} to {wanted.high:g}")
    return count


def _is_row(line: bytes) -> None:
    row = json.loads(line)
    if not isinstance(row, dict) or not {"id", "pass_rate", "responses"} <= row.keys():
        raise ValueError("it has no pass_rate")
