"""The step `relabel`: our judge over an existing preference set; which pairs it doubts, and why.

    import: {format: mmpr, path: MMPR/meta.json}
    relabel: {pairs: import, questions: import}
    train: {pairs: relabel, questions: import}

A pair is doubted when its chosen completion is not right, or its rejected one is. Pairs that strings cannot
judge (no ground truth, free-form answers) are kept and counted apart.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from mixpo import output
from mixpo.errors import DataError, UserError
from mixpo.files import RunFiles, divert
from mixpo.left_out import counted
from mixpo.progress import track
from mixpo.records import Dropped, DropReason, FinishReason, Outcome, PreferencePair, Question, Response, Verdict
from mixpo.references import Output, Pairs, Questions
from mixpo.text_files import write_text
from mixpo.verdicts.parallel import in_parallel
from mixpo.verdicts.verify import verify

SHOWN = 80
"""Characters of an answer in a reason."""


class Doubt(StrEnum):
    """What the judge says of a pair."""

    NONE = "agrees"
    """Chosen right, rejected not."""
    CHOSEN_WRONG = "chosen is not right"
    REJECTED_RIGHT = "rejected is right"
    SWAPPED = "chosen is not right and rejected is"
    NO_ANSWER = "chosen gives no answer that can be read"
    UNDECIDED = "not judged"
    """No ground truth, a free-form answer, or out of time: neither doubted nor confirmed."""


DOUBTED = (Doubt.CHOSEN_WRONG, Doubt.REJECTED_RIGHT, Doubt.SWAPPED, Doubt.NO_ANSWER)


WRITES = (Output.PAIRS,)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which pairs are judged again."""

    RUNTIME: ClassVar[tuple[str, ...]] = ("workers", "time_limit")

    name: str = "relabel"
    """The section that the pairs which are not doubted are written under."""
    pairs: Pairs = "import"
    """The section whose pairs are judged again."""
    questions: Questions = "import"
    """The section whose questions have the ground truths."""
    workers: int = 0
    """Processes that judge; 0: as many as there are cores."""
    time_limit: float = 1.5
    """Seconds for the symbolic comparisons of one verdict."""


def relabel(
    pairs: Iterable[PreferencePair], questions: dict[str, Question], config: Config
) -> Iterator[tuple[PreferencePair, Doubt, str]]:
    """Every pair, what the judge says of it, and why in a sentence; in order."""
    waiting: deque[PreferencePair] = deque()

    def asked() -> Iterator[tuple[Question, Response]]:
        for pair in pairs:
            waiting.append(pair)
            question = questions.get(pair.question_id) or Question(id=pair.question_id, text=pair.prompt)
            for side, text in (("chosen", pair.chosen), ("rejected", pair.rejected)):
                ended = pair.chosen_ended if side == "chosen" else pair.rejected_ended
                reason = FinishReason.STOP if ended else FinishReason.LENGTH
                number = int(side == "rejected")
                yield (
                    question,
                    Response(
                        id=f"{pair.id}/{side}", question_id=question.id, sample=number, text=text, finish_reason=reason
                    ),
                )

    verdicts = in_parallel(verify, asked(), config.workers, config.time_limit)
    for chosen in verdicts:
        rejected = next(verdicts)
        pair = waiting.popleft()
        doubt = doubt_of(chosen.outcome, rejected.outcome)
        yield pair, doubt, _why(doubt, chosen, rejected, questions.get(pair.question_id))


def doubt_of(chosen: Outcome, rejected: Outcome) -> Doubt:
    if Outcome.UNDECIDED in (chosen, rejected):
        return Doubt.UNDECIDED
    right = rejected is Outcome.CORRECT
    if chosen is Outcome.CORRECT:
        return Doubt.REJECTED_RIGHT if right else Doubt.NONE
    if right:
        return Doubt.SWAPPED
    return Doubt.CHOSEN_WRONG if chosen is Outcome.INCORRECT else Doubt.NO_ANSWER


def _why(doubt: Doubt, chosen: Verdict, rejected: Verdict, question: Question | None) -> str:
    truth = question.answer if question else None
    said = f"chosen says {_cut(chosen.extracted)}, rejected says {_cut(rejected.extracted)}"
    return f"{doubt}: {said}, the ground truth is {_cut(truth)}"


def _cut(text: str | None) -> str:
    if text is None:
        return "nothing"
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def run(config: Config, files: RunFiles) -> None:
    """Judges all pairs anew; writes those that are not doubted, the others to `dropped/`, and the counts."""
    if config.pairs == config.name:
        raise UserError(f"{config.name}: its own pairs would be replaced by those that are left; name another section")
    source = files.pairs(config.pairs)
    if not source.paths():
        raise DataError(f"{config.name}: there are no pairs in {source.folder}; run that section first")
    questions = {question.id: question for question in files.questions(config.questions)}
    counts: Counter[str] = Counter()
    total = sum(1 for _ in source)
    judged = track(relabel(source, questions, config), config.name, total=total)
    files.dropped(config.name).replace([])
    kept = files.pairs(config.name).replace(divert(_sorted(judged, config, counts), files.dropped(config.name)))
    summary = {"pairs": total, "kept": kept, "counts": dict(counts)}
    write_text(files.json(f"relabel/{config.name}"), json.dumps(summary, indent=1) + "\n")
    doubts = ", ".join(f"{counts[d]:,} {d} ({100 * counts[d] / total:.1f} %)" for d in Doubt if counts[d])
    line = f"{config.name}: {counted(total, 'pair')}: {doubts}"
    output.show({config.name: {**summary, "folder": files.pairs(config.name).folder}}, [line])
    output.tell(
        f"{config.name}: {kept:,} kept in {files.pairs(config.name).folder}, the doubted ones with reasons in "
        f"{files.dropped(config.name).folder}"
    )


def _sorted(
    judged: Iterable[tuple[PreferencePair, Doubt, str]], config: Config, counts: Counter[str]
) -> Iterator[PreferencePair | Dropped]:
    for pair, doubt, why in judged:
        counts[doubt] += 1
        if doubt in DOUBTED:
            yield Dropped(id=pair.id, step=config.name, reason=DropReason.DOUBTED, detail=why)
        else:
            yield pair
