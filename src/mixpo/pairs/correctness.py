"""Preference pairs from verdicts: a right response is preferred to a wrong one (arXiv 2411.10442, section 3.1).

Chosen are CORRECT responses; rejected are INCORRECT ones and, as `format` pairs kept apart by their
origin, UNPARSED and TRUNCATED ones. UNDECIDED responses are used for nothing. Where steps are judged, too
(`mixpo.pairs.process`), CORRECT ones by a wrong step are rejected beside the INCORRECT ones.
"""

import math
import random
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice, zip_longest

from mixpo.pairs.process import StepJudge
from mixpo.records import (
    Dropped,
    DropReason,
    FinishReason,
    Origin,
    Outcome,
    PreferencePair,
    Question,
    Response,
    Verdict,
)

Judged = tuple[Response, Verdict]
STEP = "pair"


@dataclass(frozen=True, kw_only=True)
class PairLimits:
    """How many pairs a question gives."""

    max_pairs: int = 15
    """At most so many pairs a question (the paper's 15), spread over different responses."""
    format_pairs: bool = True
    """Whether responses without a final answer are rejected ones too, where `max_pairs` leaves room."""
    max_format_share: float = 1.0
    """Format pairs are at most this share of `max_pairs`, so that a question only ever answered in bad form
    cannot give as many pairs as one that teaches reasoning."""

    def __post_init__(self) -> None:
        if self.max_pairs < 1:
            raise ValueError("max_pairs must be at least 1")
        if not 0 <= self.max_format_share <= 1:
            raise ValueError("max_format_share must be between 0 and 1")

    @property
    def max_format_pairs(self) -> int:
        return round(self.max_pairs * self.max_format_share) if self.format_pairs else 0


@dataclass(slots=True)
class Pool:
    """The responses to one prompt, each text once, in an order drawn from the seed."""

    right: list[Response] = field(default_factory=list)
    wrong: list[Response] = field(default_factory=list)
    malformed: list[Response] = field(default_factory=list)

    def of(self, outcome: Outcome) -> list[Response]:
        return {Outcome.CORRECT: self.right, Outcome.INCORRECT: self.wrong}.get(outcome, self.malformed)


def correctness_pairs(
    question: Question, judged: Iterable[Judged], limits: PairLimits, seed: int, steps: StepJudge | None = None
) -> Iterator[PreferencePair | Dropped]:
    """The question's pairs and what was left out. Neither depends on the order of `judged`.

    `steps`: right responses by a wrong step are rejected, too, and none is chosen whose steps are in doubt.

    A question without pairs gives one of NO_GROUND_TRUTH, UNDECIDED, NONE_CORRECT, WRONG_STEPS, ALL_CORRECT, unless all
    its right responses are UNVERIFIED; responses left out (EMPTY, SAME_TEXT, TRUNCATED, UNVERIFIED) and pairs left out
    (OVER_CAP) give one record with their count.
    """
    if question.answer is None:
        yield _dropped(question, DropReason.NO_GROUND_TRUTH, "the question has no answer to judge by")
        return
    usable, left_out = sifted(question, judged)
    yield from left_out
    if any(record.reason is DropReason.UNDECIDED for record in left_out):
        return
    sound = steps.judge(question, right_of(usable)) if steps else {}
    known = [one for one in usable if sound.get(one[0].id, True) is not None]
    if len(known) < len(usable):
        detail = "right responses whose steps may be right or wrong"
        yield _dropped(question, DropReason.UNVERIFIED, detail, len(usable) - len(known))
        if not right_of(known):
            return  # it was answered right: it is none of those that never were
    flawed = {id for id, holds in sound.items() if holds is False}
    pools = _pools(known, random.Random(f"pairs/{seed}/{question.id}"), flawed)
    for record in _pairs(question, pools, limits):
        if isinstance(record, PreferencePair):
            yield replace(record, origin=Origin.PROCESS) if record.rejected_id in flawed else record
        elif record.reason is DropReason.NONE_CORRECT and flawed:
            yield _dropped(question, DropReason.WRONG_STEPS, "all right responses have a wrong step")
        else:
            yield record


def right_of(judged: Iterable[Judged]) -> list[Response]:
    """The responses that are CORRECT."""
    return [response for response, verdict in judged if verdict.outcome is Outcome.CORRECT]


def sifted(question: Question, judged: Iterable[Judged]) -> tuple[list[Judged], list[Dropped]]:
    """The responses that a pair can have, and what was left out before: empty ones, repetitions, right ones that
    were cut, or all, where none has a decided verdict."""
    judged = sorted(judged, key=lambda one: (one[0].sample, one[0].id))
    decided = [one for one in judged if one[1].outcome is not Outcome.UNDECIDED]
    if not decided:
        return [], [_dropped(question, DropReason.UNDECIDED, "no response has a decided verdict")]
    left_out = []
    written = [one for one in decided if one[0].text.strip()]
    if len(written) < len(decided):
        left_out.append(_dropped(question, DropReason.EMPTY, "responses without text", len(decided) - len(written)))
    unique = _each_text_once(written)
    if len(unique) < len(written):
        count = len(written) - len(unique)
        left_out.append(_dropped(question, DropReason.SAME_TEXT, "responses that repeat another's text", count))
    whole = [one for one in unique if not _is_cut(*one)]
    if len(whole) < len(unique):
        detail = "right responses that the token limit cut: chosen, they would teach not to stop"
        left_out.append(_dropped(question, DropReason.TRUNCATED, detail, len(unique) - len(whole)))
    return whole, left_out


def _is_cut(response: Response, verdict: Verdict) -> bool:
    """Whether a response is right and has no end: it gave its answer, and went on until the limit."""
    return verdict.outcome is Outcome.CORRECT and response.finish_reason is FinishReason.LENGTH


def _each_text_once(judged: list[Judged]) -> list[Judged]:
    """The first of the responses that say the same to the same prompt, outer white space aside; one that ended before
    one that was cut."""
    first: dict[tuple[str, str, str], Judged] = {}
    for response, verdict in judged:
        said = response.system, response.prompt, response.text.strip()
        known, _ = first.setdefault(said, (response, verdict))
        if (known.finish_reason, response.finish_reason) == (FinishReason.LENGTH, FinishReason.STOP):
            first[said] = response, verdict
    return list(first.values())


def _pools(judged: list[Judged], rng: random.Random, flawed: Container[str]) -> list[Pool]:
    # A pair is two completions of one prompt: responses to different prompts never meet.
    pools: dict[tuple[str, str], Pool] = {}
    for response, verdict in judged:
        outcome = Outcome.INCORRECT if response.id in flawed else verdict.outcome
        pools.setdefault((response.system, response.prompt), Pool()).of(outcome).append(response)
    for pool in pools.values():
        for responses in (pool.right, pool.wrong, pool.malformed):
            rng.shuffle(responses)
    return list(pools.values())


def _pairs(question: Question, pools: list[Pool], limits: PairLimits) -> Iterator[PreferencePair | Dropped]:
    wrong = [spread(pool.right, pool.wrong) for pool in pools]
    correctness = list(islice(_in_turn(wrong), limits.max_pairs))
    # Format pairs come only after every correctness pair, so the chosen responses stay evenly used.
    malformed = [spread(pool.right, pool.malformed) for pool in pools]
    room = min(limits.max_pairs - len(correctness), limits.max_format_pairs)
    formats = list(islice(_in_turn(malformed), room))
    for origin, taken in ((Origin.CORRECTNESS, correctness), (Origin.FORMAT, formats)):
        for chosen, rejected in taken:
            yield _pair(question, chosen, rejected, origin)
    possible = sum(len(pool.right) * len(pool.wrong) for pool in pools)
    if limits.format_pairs:
        possible += sum(len(pool.right) * len(pool.malformed) for pool in pools)
    if possible > len(correctness) + len(formats):
        count = possible - len(correctness) - len(formats)
        yield _dropped(question, DropReason.OVER_CAP, "pairs above the cap of a question", count)
    elif not possible:
        any_right = any(pool.right for pool in pools)
        detail = "no response to the prompt is wrong" if any_right else "no response is correct"
        yield _dropped(question, DropReason.ALL_CORRECT if any_right else DropReason.NONE_CORRECT, detail)


def spread(chosen: list[Response], rejected: list[Response]) -> Iterator[tuple[Response, Response]]:
    """Every pair once, in an order whose every beginning uses each response as evenly as possible.

    With n chosen and m rejected, pair t takes number t mod n and number (t + t // lcm(n, m)) mod m. Within a
    block of lcm(n, m) pairs both numbers run in circles, so uses differ by one at most; block s holds the
    pairs whose numbers differ by s modulo gcd(n, m), so gcd(n, m) blocks hold all n m pairs.
    """
    n, m = len(chosen), len(rejected)
    block = math.lcm(n, m)
    for t in range(n * m):
        yield chosen[t % n], rejected[(t + t // block) % m]


def _in_turn(candidates: Iterable[Iterator[tuple[Response, Response]]]) -> Iterator[tuple[Response, Response]]:
    """One pair of each prompt, then the next of each."""
    return (pair for pair in chain.from_iterable(zip_longest(*candidates)) if pair is not None)


def _pair(question: Question, chosen: Response, rejected: Response, origin: Origin) -> PreferencePair:
    return PreferencePair(
        id=f"{chosen.id}>{rejected.id.removeprefix(question.id + '/')}",
        question_id=question.id,
        prompt=chosen.prompt,
        chosen=chosen.text,
        rejected=rejected.text,
        origin=origin,
        images=question.images,
        videos=question.videos,
        system=chosen.system,
        turns=question.turns,
        chosen_id=chosen.id,
        rejected_id=rejected.id,
        rejected_ended=rejected.finish_reason is FinishReason.STOP,
        chosen_token_ids=sampled_tokens(chosen),
        rejected_token_ids=sampled_tokens(rejected),
    )


def sampled_tokens(response: Response) -> tuple[int, ...]:
    """What a pair carries of a response's tokens: none where its text says them."""
    return () if response.canonical else response.token_ids


def _dropped(question: Question, reason: DropReason, detail: str, count: int = 1) -> Dropped:
    return Dropped(id=question.id, step=STEP, reason=reason, detail=detail, count=count)
