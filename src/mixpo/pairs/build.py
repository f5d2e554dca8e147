"""The step `pair`: verdicts and continuations -> preference pairs, with the funnel that led to them.

Always rebuilt from all records, in time linear in their number: the same records, in whatever order
they lie in their files, give the same pairs.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from mixpo.errors import DataError, NoPairs
from mixpo.files import RunFiles, Shards, divert
from mixpo.left_out import counted, listed
from mixpo.pairs.correctness import STEP, Judged, PairLimits, correctness_pairs, right_of, sifted
from mixpo.pairs.difficulty import Range, bin_of, pass_rate
from mixpo.pairs.dropout_ntp import dropout_pair
from mixpo.pairs.grouping import Inputs, QuestionRecords, groups
from mixpo.pairs.process import Chosen, StepJudge, Wanted
from mixpo.progress import say, track
from mixpo.records import Dropped, DropReason, Outcome, PassRate, PreferencePair, Question
from mixpo.references import Continuations, Output, Questions, Responses, Verdicts
from mixpo.removing import remove
from mixpo.text_files import write_text

WRITES = (Output.PAIRS,)


@dataclass(frozen=True, kw_only=True)
class Config(PairLimits):
    """What pairs are made from."""

    name: str = "pair"
    """The section's name: the folder of its pairs."""
    seed: int = 0
    """Which responses meet, where there are more pairs than the cap."""
    questions: Questions = "questions"
    """The section whose questions were asked."""
    responses: Responses = "sample"
    """The section that wrote the responses."""
    verdicts: Verdicts = "verify"
    """The section that judged them; empty: no correctness pairs."""
    continuations: Continuations = ""
    """The section that wrote continuations of the responses (DropoutNTP); where a recipe says nothing, a `dropout`
    before this one that cut the same responses; empty: none."""
    difficulty: tuple[float, ...] = (0.0, 1.0)
    """Pass rates between which a question makes correctness pairs, both included, for example [0.2, 0.8]."""
    chosen: Chosen = field(default_factory=Chosen)
    """What a right response must have, to be chosen: by `steps: verified`, right steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        Range.of(self.difficulty)


@dataclass
class Funnel:
    """How many questions and responses became how many pairs."""

    questions: int = 0
    answered: int = 0
    """Questions with at least one response; those below are among them."""
    with_ground_truth: int = 0
    responses: int = 0
    continuations: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Responses by verdict, over questions that have a ground truth; `unjudged`: without verdict."""
    pairs: Counter[str] = field(default_factory=Counter)
    """Pairs by origin."""
    pass_rates: Counter[str] = field(default_factory=Counter)
    """Questions by how often they were answered right (`mixpo.pairs.difficulty.BINS`)."""
    dropped: Counter[str] = field(default_factory=Counter)
    """What was left out by reason: questions, or responses (empty, same_text), or pairs (over_cap)."""

    def count(self, group: QuestionRecords) -> None:
        self.responses += len(group.responses)
        self.continuations += len(group.continuations)
        self.questions += group.question is not None
        self.answered += bool(group.responses)
        if group.responses and group.question is not None and group.question.answer is not None:
            self.with_ground_truth += 1
            verdicts = {verdict.id: verdict.outcome for verdict in group.verdicts}
            self.outcomes.update(verdicts.get(response.id, "unjudged") for response in group.responses)

    def as_json(self) -> str:
        return json.dumps(vars(self), indent=1) + "\n"


def build(
    groups: Iterable[QuestionRecords], config: Config, funnel: Funnel, steps: StepJudge | None = None
) -> Iterator[PreferencePair | PassRate | Dropped]:
    """Every question's pairs, its pass rate and what was left out, counted in `funnel` on the way."""
    for group in _scored(groups, config, steps) if steps else groups:
        funnel.count(group)
        for record in _of_question(group, config, steps):
            if isinstance(record, PreferencePair):
                funnel.pairs[record.origin] += 1
            elif isinstance(record, PassRate):
                funnel.pass_rates[bin_of(record)] += 1
            else:
                funnel.dropped[record.reason] += record.count
            yield record


AT_ONCE = 64
"""Questions whose responses a reward model is asked about together, so that it has enough to do."""


def _scored(groups: Iterable[QuestionRecords], config: Config, steps: StepJudge) -> Iterator[QuestionRecords]:
    """The groups, their right responses scored by then, where a reward model scores them."""
    groups = iter(groups)
    while waiting := list(islice(groups, AT_ONCE)):
        steps.score(
            (group.question, response)
            for group in waiting
            if group.question is not None and group.question.answer is not None
            and _refusal(_rate(group.question, judged := _judged(group)), config) is None
            for response in right_of(sifted(group.question, judged)[0])
        )  # fmt: skip
        yield from waiting


def _judged(group: QuestionRecords) -> list[Judged]:
    """The group's responses that have a verdict, each with it."""
    responses = {response.id: response for response in group.responses}
    return [(responses[verdict.id], verdict) for verdict in group.verdicts if verdict.id in responses]


def _rate(question: Question, judged: list[Judged]) -> PassRate | None:
    """How often the question was answered right; None without a ground truth."""
    return None if question.answer is None else pass_rate(question, (verdict for _, verdict in judged))


def _refusal(rate: PassRate | None, config: Config) -> tuple[DropReason, str] | None:
    """Why a question is too hard or too easy."""
    return None if rate is None else Range.of(config.difficulty).refusal(rate)


def _of_question(
    group: QuestionRecords, config: Config, steps: StepJudge | None
) -> Iterator[PreferencePair | PassRate | Dropped]:
    question = group.question
    responses = {response.id: response for response in group.responses}
    lost = sum(record.id not in responses for record in group.verdicts)
    lost += sum(record.response_id not in responses for record in group.continuations)
    if question is None:
        lost = max(lost, len(responses))
    if lost:
        detail = "records whose question or response is not in the sections that the recipe names"
        yield Dropped(id=group.question_id, step=STEP, reason=DropReason.BAD_ROW, detail=detail, count=lost)
    if question is None or not responses:
        return  # a question that was never answered was left out by an earlier step
    if config.verdicts and (question.answer is not None or not group.continuations):
        yield from _correctness(question, _judged(group), config, steps)
    for continuation in sorted(group.continuations, key=lambda record: record.id):
        if continuation.response_id in responses:
            yield dropout_pair(question, responses[continuation.response_id], continuation)


def _correctness(
    question: Question, judged: list[Judged], config: Config, steps: StepJudge | None
) -> Iterator[PreferencePair | PassRate | Dropped]:
    """The pairs of right and wrong responses, unless the question is too hard or too easy."""
    rate = _rate(question, judged)
    if rate is not None:
        yield rate
    refusal = _refusal(rate, config)
    if refusal is None:
        yield from correctness_pairs(question, judged, config, config.seed, steps)
    else:
        yield Dropped(id=question.id, step=STEP, reason=refusal[0], detail=refusal[1])


def run(config: Config, files: RunFiles) -> None:
    """Builds all pairs anew and writes the funnel. Raises NoPairs when there is none at all."""
    inputs = Inputs(
        questions=files.questions(config.questions),
        responses=files.responses(config.responses),
        verdicts=files.verdicts(config.verdicts),
        continuations=files.continuations(config.continuations),
    )
    _refuse_nothing(inputs, config)
    pairs, dropped = files.pairs(config.name), files.dropped(config.name)
    # What is dropped or noted waits beside its folder: the pairs are replaced in one step, then the others.
    waiting = Shards(dropped.folder.with_name(f"{config.name}.new"), Dropped)
    rates = Shards(files.pass_rates(config.name).folder.with_name(f"{config.name}.new"), PassRate)
    for shards in (waiting, rates):
        remove(shards.folder)
    funnel = Funnel()
    grouped = groups(inputs, pairs.folder.with_name(f"{config.name}.buckets"))
    verified = config.chosen.steps is Wanted.VERIFIED
    steps = StepJudge(config.chosen, files, config.name, config.questions) if verified else None
    records = build(track(grouped, config.name), config, funnel, steps)
    count = pairs.replace(divert(divert(records, waiting), rates))
    dropped.replace(waiting)
    files.pass_rates(config.name).replace(rates)
    for shards in (waiting, rates):
        remove(shards.folder)
    write_text(files.json(f"funnel/{config.name}"), funnel.as_json())
    if not count:
        why = in_words(funnel.dropped) or "nothing to make them of"
        raise NoPairs(f"{config.name}: no pair could be made ({why}); {_advice(funnel, config.chosen)}")
    origin = f"{funnel.responses:,} responses to {funnel.answered:,} questions"
    say(f"{config.name}: {counted(count, 'pair')} ({listed(funnel.pairs)}) from {origin}; in {pairs.folder}")
    if funnel.dropped:
        say(f"{config.name}: left out: {in_words(funnel.dropped)}")


def _advice(funnel: Funnel, chosen: Chosen) -> str:
    """What was right of the responses, and what to do so that a question has right and wrong ones."""
    judged, right = sum(funnel.outcomes.values()), funnel.outcomes[Outcome.CORRECT]
    more = "sample more responses a question, at a higher temperature (sample.n, sample.temperature)"
    if funnel.outcomes[Outcome.TRUNCATED] * 2 > judged:
        return f"most responses were cut by the token limit: raise sample.max_new_tokens, or {more}"
    if not judged:
        return f"{more}, or ask questions that have a ground truth"
    if chosen.steps is Wanted.VERIFIED and right:
        reward = "name a process reward model (chosen.reward)" if chosen.reward is None else "lower chosen.threshold"
        return (
            f"{right:,} of {judged:,} judged responses are right, and a pair needs one by steps that hold "
            f"(chosen.steps): sample with `style: cot`, {reward}, or {more}"
        )
    other = "harder questions" if right * 2 > judged else "easier questions, or a stronger model"
    return (
        f"{right:,} of {judged:,} judged responses are right, and a pair needs a right and a wrong one to a question: "
        f"take {other}, or {more}"
    )


def _refuse_nothing(inputs: Inputs, config: Config) -> None:
    if not inputs.questions.paths():
        raise DataError(f"{config.name}: there are no questions in {inputs.questions.folder}; run that section first")
    if not inputs.verdicts.paths() and not inputs.continuations.paths():
        wanted = f"verdicts: {config.verdicts or 'none'}, continuations: {config.continuations or 'none'}"
        raise DataError(f"{config.name}: there is nothing to make pairs from ({wanted}); run those sections first")


WORDS = {
    DropReason.NONE_CORRECT: "{} never answered right",
    DropReason.WRONG_STEPS: "{} answered right by wrong steps alone (chosen.steps)",
    DropReason.ALL_CORRECT: "{} always answered right",
    DropReason.NO_GROUND_TRUTH: "{} without a ground truth",
    DropReason.UNDECIDED: "{} whose responses nobody could judge",
    DropReason.TOO_HARD: "{} too hard (difficulty)",
    DropReason.TOO_EASY: "{} too easy (difficulty)",
    DropReason.NO_IMAGE: "{} without a picture (DropoutNTP)",
    DropReason.SAME_TEXT: "{} repeated texts",
    DropReason.EMPTY: "{} empty texts",
    DropReason.TRUNCATED: "{} texts cut by the token limit",
    DropReason.UNVERIFIED: "{} right responses whose steps may be right or wrong (chosen.steps)",
    DropReason.OVER_CAP: "{} pairs above max_pairs of a question",
    DropReason.BAD_ROW: "{} records of other sections than the recipe names",
}
QUESTIONS = tuple(WORDS)[:8]
"""Reasons for which whole questions give no pair."""


def in_words(dropped: Mapping[str, int]) -> str:
    """What gave no pair, in the user's words: "questions: 48 never answered right …; 375 repeated texts"."""
    said = {reason: words.format(f"{dropped[reason]:,}") for reason, words in WORDS.items() if dropped.get(reason)}
    questions = ", ".join(said[reason] for reason in QUESTIONS if reason in said)
    others = ", ".join(words for reason, words in said.items() if reason not in QUESTIONS)
    return "; ".join(filter(None, (f"questions: {questions}" if questions else "", others)))
