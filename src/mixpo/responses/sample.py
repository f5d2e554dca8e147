"""Questions -> responses: the model writes n completions for each question (MPO paper, section 3.1).

Work goes in blocks whose boundaries depend on the list of questions alone. A block's records are appended
in order when all of them are there; a rerun does an unfinished block again as a whole, so that its batches,
and with them the rounding of logits, are those of an uninterrupted run: the files come out the same.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from mixpo.errors import ImageError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.left_out import LeftOut, counted
from mixpo.progress import say, track
from mixpo.prompts import Style, Template, resolve_style, system_text, user_text
from mixpo.records import Dropped, DropReason, Question, Response
from mixpo.references import Output
from mixpo.responses.backend import Backend, Completion, Request
from mixpo.responses.backends.make import is_spread, make_backend
from mixpo.responses.backends.response_cache import Remembered
from mixpo.responses.balance import Balance, Judge, until_balanced
from mixpo.responses.ledger import Ledger, blocks
from mixpo.responses.prefetch import opened_ahead
from mixpo.responses.sampling_config import SamplingConfig
from mixpo.responses.written import WritingTally
from mixpo.videos import opened


class Which(StrEnum):
    """Which questions are sampled."""

    ALL = "all"
    """Every question."""
    ANSWERED = "answered"
    """Those with a ground truth."""
    OPEN = "open"
    """Those without one: for DropoutNTP."""


WRITES = (Output.RESPONSES,)


@dataclass(frozen=True, kw_only=True)
class Config(SamplingConfig):
    """What `sample` may be told."""

    name: str = "sample"
    """The section's name: its folder in the run."""
    which: Which = Which.ALL
    """The questions that are asked."""
    n: int = 32
    """Responses per question; the most, with `stop_when_balanced`."""
    stop_when_balanced: Balance | None = None
    """Draw in rounds, and stop a question that has enough right and enough wrong responses; null: all are drawn."""
    style: Style | Template = Style.AUTO
    """How they are asked to answer: a style's name, or the recipe's own prompt."""
    system: str = ""
    """The system prompt; empty: the question's own, where it has one."""
    logps: bool = False
    """Whether responses carry their summed log-probability."""
    block: int = 2048
    """Responses that are committed together: what a killed run does again at most; a server's are kept as they come."""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError("n must be at least 1")
        super().__post_init__()


def sample(
    questions: Sequence[Question], backend: Backend, image_roots: ImageRoots, config: Config, judge: Judge | None = None
) -> Iterator[Response | Dropped]:
    """The responses to each question, as they finish; one `Dropped` for a question that cannot be asked.

    `judge` says which are right; only `stop_when_balanced` needs it.
    """
    if config.stop_when_balanced is None:
        return draw(questions, range(config.n), backend, image_roots, config)
    assert judge is not None, "stop_when_balanced needs a judge"
    return until_balanced(
        questions,
        config.n,
        config.stop_when_balanced,
        lambda some, numbers: draw(some, numbers, backend, image_roots, config),
        judge,
    )


def draw(
    questions: Iterable[Question], numbers: range, backend: Backend, image_roots: ImageRoots, config: Config
) -> Iterator[Response | Dropped]:
    """The numbered samples of each question, as they finish; one `Dropped` for a question that cannot be asked."""
    asked: dict[str, tuple[Question, str]] = {}
    left: dict[str, int] = {}
    """Samples of each question that have not come; with the last one it is forgotten: a stream may be a whole step."""
    refused: list[Dropped] = []

    def requests() -> Iterator[Request]:
        for question in questions:
            try:
                images = tuple(opened(question.images, question.videos, image_roots))
            except ImageError as error:
                refused.append(
                    Dropped(
                        id=question.id,
                        step="sample",
                        reason=DropReason.BAD_IMAGE,
                        detail=str(error),
                        transient=error.transient,
                    )
                )
                continue
            prompt = user_text(question, config.style)
            asked[question.id], left[question.id] = (question, prompt), len(numbers)
            yield Request(
                id=question.id, prompt=prompt, images=images, system=system_text(question, config.system),
                turns=question.turns, samples=tuple(numbers),
            )  # fmt: skip

    for completion in backend.complete(opened_ahead(requests()), config.sampling(logps=config.logps)):
        if isinstance(completion, Dropped):
            yield completion
            continue
        question, prompt = asked[completion.request_id]
        left[question.id] -= 1
        if not left[question.id]:
            del asked[question.id], left[question.id]
        yield _response(question, prompt, completion, config)
        while refused:
            yield refused.pop()
    yield from refused


def _response(question: Question, prompt: str, completion: Completion, config: Config) -> Response:
    return Response(
        id=f"{question.id}/{completion.sample}",
        question_id=question.id,
        sample=completion.sample,
        text=completion.text,
        finish_reason=completion.finish_reason,
        prompt=prompt,
        system=system_text(question, config.system),
        style=str(resolve_style(config.style, question)),
        token_ids=completion.token_ids,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        logp=completion.logp,
        thought_open=completion.thought_open,
        canonical=completion.canonical,
    )


def is_selected(question: Question, which: Which) -> bool:
    return which is Which.ALL or (question.answer is not None) == (which is Which.ANSWERED)


def wanted(config: Config) -> Callable[[Question], list[str]]:
    """The ids of all responses that a question may get."""
    return lambda question: [f"{question.id}/{number}" for number in range(config.n)]


def run(config: Config, files: RunFiles, judge: Judge | None = None) -> None:
    """Appends what is missing to `responses/<name>` and `dropped/<name>`, and says what there is.

    Raises DataError when no question could be asked.
    """
    responses = files.responses(config.name)
    written = WritingTally(responses)
    load = lambda: make_backend(config.backend, files.model(config.model), config.inputs)  # noqa: E731
    left_out = sample_into(config, files, load, judge, written)
    if not written.count and left_out.counts:
        again = "the same command asks" if left_out.may_pass else f"add `--redo {config.name}` to ask"
        what = f"{config.name}: no question could be asked (mended, {again} again)"
        raise left_out.nothing_left(what)
    left_out.tell()
    say(f"{config.name}: {written.summary('response', config.max_new_tokens)}; in {responses.folder}")


def sample_into(
    config: Config,
    files: RunFiles,
    load: Callable[[], Backend],
    judge: Judge | None = None,
    written: WritingTally | None = None,
) -> LeftOut:
    """What `run` does with the backend that `load` gives; it is not asked for one when nothing is missing.

    `written` counts what is new; returns what was left out, by this call or an earlier one.
    """

    def all_blocks() -> Iterator[list[Question]]:
        questions = (one for one in files.questions(config.questions) if is_selected(one, config.which))
        return blocks(questions, questions_per_block(config))

    dropped = files.dropped(config.name)
    paid = not config.backend.redoes_blocks
    ledger: Ledger[Question, Response] = Ledger(files.responses(config.name), dropped, wanted(config), paid=paid)
    roots = ImageRoots.load(files.image_roots_file(config.questions))
    if again := ledger.again(all_blocks(), lambda question: may_open(question, roots)):
        say(f"{config.name}: {counted(again, 'question')} that could not be asked before: asked again")
    ledger.survey(all_blocks())
    if ledger.todo:
        backend = load()
        if paid:
            owing = {question.id for block in all_blocks() for question in block if not ledger.is_done(question)}
            there = (response for response in files.responses(config.name) if response.question_id in owing)
            backend = Remembered(backend, chain(there, ledger.begun.values()))
        if is_spread(backend) and config.stop_when_balanced is None:
            numbers = range(config.n)
            work = ledger.commit_in_one_stream(all_blocks(), lambda asked: draw(asked, numbers, backend, roots, config))
        else:
            work = ledger.commit(all_blocks(), lambda block: sample(block, backend, roots, config, judge))
        shown = track(work, config.name, total=ledger.total, done=ledger.finished)
        deque((written or WritingTally()).watch(shown, ledger.written), maxlen=0)
    left_out = LeftOut(config.name, "question", place=dropped.folder)
    deque(left_out.watch(dropped), maxlen=0)
    return left_out


def may_open(question: Question, roots: ImageRoots) -> bool:
    """Whether a question's pictures are there to be looked at, whatever may be wrong with them."""
    try:
        opened(question.images, question.videos, roots)
    except ImageError as error:
        return not error.transient
    return True


def questions_per_block(config: Config) -> int:
    """So many that a block has about `config.block` responses."""
    return max(1, config.block // config.n)
