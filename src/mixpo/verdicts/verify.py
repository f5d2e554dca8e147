"""Responses -> verdicts: is the final answer right? Strict, typed, deterministic, and impossible to hang."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from mixpo.files import RunFiles
from mixpo.ids import Ids
from mixpo.images import ImageRoots
from mixpo.progress import say, track
from mixpo.prompts import THOUGHTS
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response, Verdict
from mixpo.references import Output, Questions, Responses
from mixpo.values import encodable
from mixpo.verdicts.aftermath import withdrawn
from mixpo.verdicts.body import Body, body_of
from mixpo.verdicts.extract import KINDS, Extraction, extract
from mixpo.verdicts.infer import infer_kind
from mixpo.verdicts.limits import beyond
from mixpo.verdicts.llm_judge import JudgeReply, LLMJudgeConfig, decide
from mixpo.verdicts.mathematics.symbolic import start_clock
from mixpo.verdicts.parallel import in_parallel
from mixpo.verdicts.reading import Undecided
from mixpo.verdicts.statements import trimmed
from mixpo.verdicts.summary import VerdictTally, ending

log = logging.getLogger(__name__)


WRITES = (Output.VERDICTS,)


@dataclass(frozen=True, kw_only=True)
class Config:
    """How responses are judged."""

    RUNTIME: ClassVar[tuple[str, ...]] = ("workers", "time_limit")

    name: str = "verify"
    """The section's name: its verdicts lie under it."""
    questions: Questions = "questions"
    """The section that collected the questions."""
    responses: Responses = "sample"
    """The section that wrote the responses."""
    workers: int = 0
    """Processes that judge; 0: as many as there are cores."""
    time_limit: float = 1.5
    """Seconds for the symbolic comparisons of one verdict, after which it is UNDECIDED."""
    thoughts: tuple[str, ...] = ()
    """Further tags that open a thought, for example `<reflection>`, closed by `</reflection>`."""
    llm_judge: LLMJudgeConfig | None = None
    """A model that judges free-form answers; null: they stay UNDECIDED."""


def verify(question: Question, response: Response, thoughts: tuple[str, ...] = ()) -> Verdict:
    """The verdict on one response. Never raises on what a model wrote, never runs it.

    `thoughts`: tags that open a thought, besides those that are known.
    """
    if question.answer is None:
        return _verdict(question, response, Outcome.UNDECIDED, None, reason="no ground truth")
    start_clock()
    first = _verified(question, response, thoughts)
    if first.outcome is Outcome.CORRECT or not question.accepted:
        return first
    others = []
    for truth in question.accepted:
        others.append(_verified(replace(question, answer=truth, accepted=()), response, thoughts))
        if others[-1].outcome is Outcome.CORRECT:
            return others[-1]
    # One that could not be compared may have been the right one.
    return next((verdict for verdict in (first, *others) if verdict.outcome is Outcome.UNDECIDED), first)


def _verified(question: Question, response: Response, thoughts: tuple[str, ...]) -> Verdict:
    """The verdict by `question.answer` alone."""
    kind = question.kind or infer_kind(question)
    if kind is AnswerKind.FREE_FORM:
        return _verdict(
            question, response, Outcome.UNDECIDED, kind, reason="free-form answers are not judged by string"
        )
    if unread := beyond(question, kind):
        return _verdict(question, response, Outcome.UNDECIDED, kind, reason=unread)
    try:
        return _judged(question, response, kind, thoughts)
    except Undecided as reason:
        return _verdict(question, response, Outcome.UNDECIDED, kind, reason=str(reason))
    except Exception as error:  # the one broad except: around the answer that a model wrote
        log.exception("the judge failed on response %s", response.id)
        return _verdict(
            question, response, Outcome.UNDECIDED, kind, reason=f"the judge failed ({type(error).__name__})"
        )


def answering(question: Question, answer: str) -> Response:
    """A response that gives this answer and says nothing else."""
    own_id = f"{question.id}/0"
    text = f"Final answer: {answer}"
    return Response(id=own_id, question_id=question.id, sample=0, text=text, finish_reason=FinishReason.STOP)


def _judged(question: Question, response: Response, kind: AnswerKind, thoughts: tuple[str, ...]) -> Verdict:
    known = THOUGHTS + tuple((tag.lower(), f"{tag[:1]}/{tag[1:]}".lower()) for tag in thoughts)
    body = body_of(response.text, known, response.thought_open)
    found = extract(body, question, kind)
    truncated = response.finish_reason is FinishReason.LENGTH and not body.cut
    if found is None or (truncated and _unfinished(body, kind, found)):
        outcome = Outcome.TRUNCATED if truncated else Outcome.UNPARSED
        return _verdict(question, response, outcome, kind, reason="no final answer")
    reading = found.reading
    if reading.value is None:
        outcome = Outcome.INCORRECT if reading.problem == "unreadable" else Outcome.UNPARSED
        return _verdict(question, response, outcome, kind, found, reading.problem)
    try:
        right = KINDS[kind].right(reading, question)
    except Undecided as reason:
        return _verdict(question, response, Outcome.UNDECIDED, kind, found, str(reason))
    return _verdict(question, response, Outcome.CORRECT if right else Outcome.INCORRECT, kind, found)


def _unfinished(body: Body, kind: AnswerKind, found: Extraction) -> bool:
    """Whether the cut leaves the final answer open: a sentence on the way, or words that could have gone on."""
    if withdrawn(body, found.reading.end):
        return True  # it was thinking again when it was cut
    if found.rule in ("box", "tag"):
        return False
    if found.rule in ("first", "last"):
        return True
    start, end = trimmed(body.text, body.start, body.end)
    closed = kind in (AnswerKind.CHOICE, AnswerKind.YES_NO)  # "B" is whole, "1" may have become "12"
    if found.rule == "direct" and (end - start) - (found.reading.end - found.reading.start) > 4:
        return True
    return found.reading.end >= end and not closed


def _verdict(
    question: Question,
    response: Response,
    outcome: Outcome,
    kind: AnswerKind | None,
    found: Extraction | None = None,
    reason: str = "",
) -> Verdict:
    span = (found.reading.start, found.reading.end) if found else None
    return Verdict(
        id=response.id,
        question_id=question.id,
        outcome=outcome,
        extracted=encodable(response.text[slice(*span)]) if span else None,
        span=span,
        rule=found.rule if found else "",
        kind=kind,
        reason=reason,
    )


def judge(
    questions: Mapping[str, Question] | Iterable[Question], responses: Iterable[Response], config: Config
) -> Iterator[Verdict]:
    """The verdicts on responses, in their order; responses to questions that are not there are left out.

    By rules alone: the LLM judge, which needs a cache and a network, is asked by `run`.
    """
    known = questions if isinstance(questions, Mapping) else {question.id: question for question in questions}
    pairs = ((known[response.question_id], response) for response in responses if response.question_id in known)
    judging = partial(verify, thoughts=config.thoughts) if config.thoughts else verify
    return in_parallel(judging, pairs, config.workers, config.time_limit)


def outcome(question: Question, response: Response) -> Outcome:
    """Whether a response is right: what a step that may not import this package is handed (adaptive sampling)."""
    return verify(question, response).outcome


def run(config: Config, files: RunFiles) -> None:
    """Judges the responses that have no verdict yet, and says how all of them were judged."""
    judged = verify_into(config, files)
    for sentence in judged.sentences(files.verdicts(config.name).folder):
        say(f"{config.name}: {sentence}")
    first = (response for response in files.responses(config.responses) if response.id == judged.unparsed)
    if judged.unparsed and (response := next(first, None)):
        say(f"{config.name}: no answer was found in {response.id}, which ends: {ending(response.text)}")


def verify_into(config: Config, files: RunFiles, *, passing: bool = False) -> VerdictTally:
    """What `run` does without a word; responses and verdicts are read one at a time. `passing`: so is its bar."""
    # Judging needs neither a drawn scene's state nor the images: without them a hundred thousand questions are small.
    small = (replace(question, meta={}, images=(), videos=()) for question in files.questions(config.questions))
    questions = {question.id: question for question in small}
    roots = ImageRoots.load(files.image_roots_file(config.questions)).roots
    judged = VerdictTally((name for name, question in questions.items() if question.answer is None), roots)
    verdicts, done, again, still = files.verdicts(config.name), Ids(), Ids(), Ids()
    for verdict in verdicts:
        if verdict.transient:
            again.add(verdict.id)
        else:
            done.add(verdict.id)
            judged.add(verdict)

    def changes(verdict: Verdict) -> bool:
        """Whether it is not what was said before: asked again in vain."""
        return not (verdict.transient and verdict.id in again and still.add(verdict.id))

    total = sum(1 for _ in files.responses(config.responses))

    def unjudged() -> Iterator[Response]:
        for response in files.responses(config.responses):
            if response.question_id not in questions:
                judged.lost += 1
            elif response.id not in done:
                yield response

    new = judge(questions, unjudged(), config)
    if config.llm_judge is not None:
        by_id = {response.id: response for response in files.responses(config.responses) if response.id not in done}
        new = decide(new, questions, by_id, config.llm_judge, files.judge_replies(config.name, JudgeReply))
    shown = track(judged.watch(new), config.name, total=total, done=len(done), passing=passing)
    verdicts.append(filter(changes, shown))
    if len(still) < len(again):
        verdicts.replace(one for one in verdicts if not one.transient or one.id in still or one.id not in again)
    return judged
