"""Which pairs the report shows: first those from which a person sees at a glance what is preferred to what, then others
drawn at random.

A pair is instructive when its completions are short, begin alike, go in steps and say nothing over and over. Where a
question's truth is known (scenes, figures), the chosen steps must be true and the rejected ones go wrong at few places.
What a DropoutNTP continuation makes up should be words that such answers have: others are babble.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from mixpo.evaluation.benchmarks.checked_steps import steps_of
from mixpo.files import RunFiles
from mixpo.records import Origin, PreferencePair, Question

INSTRUCTIVE = 6
"""Pairs that are shown first."""
CANDIDATES = 400
"""Pairs of each origin among which they are chosen, drawn at random, so that memory stays flat."""
LONG = 600
"""Characters from which on a completion is no longer short."""
STEPS = 4
"""Lines or sentences from which on a completion goes in steps."""
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class GalleryPair:
    """One pair of the gallery and its question, where the run still has it."""

    pair: PreferencePair
    question: Question | None
    questions_section: str


def gallery(
    files: RunFiles, pairs: Sequence[str], questions: Sequence[str], number: int, seed: int
) -> list[GalleryPair]:
    """`number` pairs of the sections `pairs`, each origin as often as the others while it lasts: the first
    `INSTRUCTIVE` chosen, of different questions; the others drawn with the seed, a question once for each origin.
    `questions`: the sections that may have their questions, and can be read."""
    drawn: dict[Origin, list[PreferencePair]] = {}
    for section in pairs:
        for origin, some in sample(files.pairs(section), max(number, CANDIDATES), seed).items():
            drawn.setdefault(origin, []).extend(some)
    wanted = {pair.question_id for some in drawn.values() for pair in some}
    asked: dict[str, tuple[Question, str]] = {}
    for section in questions:
        for question in files.questions(section):
            if question.id in wanted:
                asked.setdefault(question.id, (question, section))
    unknown = (None, next(iter(questions or files.sections("questions")), ""))
    rng = random.Random(seed)
    at_random = [rng.sample(some, len(some)) for _, some in sorted(drawn.items())]
    known = {id: question for id, (question, _) in asked.items()}
    shown: dict[str, PreferencePair] = {}
    seen: set[str] = set()
    for pair in in_turn([best_first(some, known) for _, some in sorted(drawn.items())]):
        if len(shown) < min(number, INSTRUCTIVE) and pair.question_id not in seen:
            shown[pair.id] = pair
            seen.add(pair.question_id)
    for pair in in_turn(at_random):
        if len(shown) < number:
            shown.setdefault(pair.id, pair)
    return [GalleryPair(pair, *asked.get(pair.question_id, unknown)) for pair in shown.values()]


def in_turn(queues: Sequence[Sequence[PreferencePair]]) -> Iterator[PreferencePair]:
    """One of each queue, then the next of each."""
    return (pair for turn in zip_longest(*queues) for pair in turn if pair is not None)


def best_first(pairs: Sequence[PreferencePair], questions: dict[str, Question]) -> list[PreferencePair]:
    """The most instructive first, of different kinds of questions in turn."""
    usual = {word for pair in pairs for word in WORD.findall(pair.chosen)}
    value = {pair.id: _value(pair, questions.get(pair.question_id), usual) for pair in pairs}
    ordered = sorted(pairs, key=lambda pair: (-value[pair.id], pair.id))
    ranks: Counter[str] = Counter()
    rank = {}
    for pair in ordered:
        question = questions.get(pair.question_id)
        kind = question.category or str(question.kind) if question else ""
        rank[pair.id] = ranks[kind]
        ranks[kind] += 1
    return sorted(ordered, key=lambda pair: rank[pair.id])


def _value(pair: PreferencePair, question: Question | None, usual: set[str]) -> float:
    chosen, rejected = pair.chosen[:LONG], pair.rejected[:LONG]
    longest = max(len(pair.chosen), len(pair.rejected), 1)
    alike = next((n for n, (a, b) in enumerate(zip(chosen, rejected)) if a != b), min(len(chosen), len(rejected)))
    own = WORD.findall(rejected[alike:])
    value = alike / min(longest, LONG) - longest / LONG
    value += min(len(re.findall(r"[.!?。\n]+", chosen)), STEPS) / STEPS
    value += len(set(own)) / len(own) if own else -1.0
    if pair.origin is Origin.DROPOUT_NTP:
        value += 2 * (sum(word in usual for word in own) / len(own) if own else 0.0)
    if question is not None and (truth := steps_of(question, pair.chosen)):
        wrong = steps_of(question, pair.rejected).count(False)
        value += (2.0 if all(truth) else -2.0) + (2.0 / wrong if wrong else 0.0)
    return value


def sample(pairs: Iterable[PreferencePair], number: int, seed: int) -> dict[Origin, list[PreferencePair]]:
    """`number` pairs of each origin from a stream, every question at most once (reservoir: Vitter 1985, algorithm R).

    The pairs of one question follow each other in the file; the first of each is eligible.
    """
    rng = random.Random(seed)
    kept: dict[Origin, list[PreferencePair]] = {}
    seen: Counter[Origin] = Counter()
    last: dict[Origin, str] = {}
    for pair in pairs:
        if last.get(pair.origin) == pair.question_id:
            continue
        last[pair.origin] = pair.question_id
        place = rng.randrange(seen[pair.origin] + 1)
        seen[pair.origin] += 1
        chosen = kept.setdefault(pair.origin, [])
        if len(chosen) < number:
            chosen.append(pair)
        elif place < number:
            chosen[place] = pair
    return kept
