"""DropoutNTP: a response's first part, continued without the image (MPO paper, section 3.2).

What the model writes when it no longer sees the picture is more often made up: the rejected completion of
a pair whose chosen one is the response itself. For questions without a ground truth.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mixpo.errors import DataError, ImageError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.left_out import LeftOut, counted
from mixpo.progress import say, track
from mixpo.records import Continuation, Dropped, DropReason, FinishReason, Question, Response
from mixpo.references import Output, Responses
from mixpo.responses.backend import Backend, Completion, Request
from mixpo.responses.backends.make import is_spread, make_backend
from mixpo.responses.ledger import Ledger, blocks
from mixpo.responses.prefetch import opened_ahead
from mixpo.responses.sample import may_open
from mixpo.responses.sampling_config import SamplingConfig
from mixpo.responses.written import WritingTally
from mixpo.videos import opened

BROKEN = "\N{REPLACEMENT CHARACTER}"


WRITES = (Output.CONTINUATIONS,)


@dataclass(frozen=True, kw_only=True)
class Config(SamplingConfig):
    """What `dropout` may be told. The ratio is the paper's; its appendix also tries 0.25 and 0.75."""

    name: str = "dropout"
    """The section's name: its folder in the run."""
    responses: Responses = "sample"
    """The section whose responses are cut."""
    ratio: float = 0.5
    """Share of the response's tokens that is kept, rounded down; 0: only the question is left."""
    with_image: bool = False
    """Whether the model still sees the image while it continues."""
    per_question: int = 1
    """Responses cut per question, from sample 0 on."""

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise ValueError("ratio must be at least 0 and below 1")
        if self.per_question < 1:
            raise ValueError("per_question must be at least 1")
        super().__post_init__()


@dataclass(frozen=True, slots=True)
class Cut:
    """One piece of work: a response of a question without a ground truth."""

    response: Response
    question: Question

    @property
    def id(self) -> str:
        return self.response.id


def dropout(
    cuts: Iterable[Cut], backend: Backend, image_roots: ImageRoots, config: Config
) -> Iterator[Continuation | Dropped]:
    """A continuation of each response, or a `Dropped` with the response's id, as they finish."""
    asked: dict[str, tuple[Response, tuple[int, ...]]] = {}
    refused: list[Dropped] = []

    def requests() -> Iterator[Request]:
        for work in cuts:
            response = work.response
            reason = unusable(response)
            if reason is not None:
                refused.append(_dropped(response, *reason))
                continue
            try:
                shown = work.question if config.with_image else None
                images = tuple(opened(shown.images, shown.videos, image_roots)) if shown else ()
            except ImageError as error:
                refused.append(_dropped(response, DropReason.BAD_IMAGE, str(error), transient=error.transient))
                continue
            kept = cut(response.token_ids, config.ratio, backend)
            asked[response.id] = response, kept
            yield Request(
                id=response.id, prompt=response.prompt, images=images, system=response.system,
                turns=work.question.turns, prefix_token_ids=kept,
            )  # fmt: skip

    for completion in backend.complete(opened_ahead(requests()), config.sampling()):
        if isinstance(completion, Dropped):
            cut_of = asked.pop(completion.id)[0]
            yield _dropped(cut_of, completion.reason, completion.detail, transient=completion.transient)
        else:
            yield _continuation(*asked.pop(completion.request_id), completion, backend, config)
        while refused:
            yield refused.pop()
    yield from refused


def unusable(response: Response) -> tuple[DropReason, str] | None:
    """Why a response cannot be cut; None when it can."""
    if response.finish_reason is not FinishReason.STOP:
        return DropReason.TRUNCATED, "the response was cut by the token limit"
    if not response.token_ids:
        return DropReason.EMPTY, "the response is empty, or its backend gave no tokens"
    return None


def cut(token_ids: Sequence[int], ratio: float, backend: Backend) -> tuple[int, ...]:
    """The first `ratio` of the tokens, rounded down, and fewer when the cut would fall inside a character."""
    # A hair is added because 0.29 * 100 is 28.999999999999996 in binary.
    count = int(len(token_ids) * ratio + 1e-9)
    # Byte-level tokens can end in the middle of a character, at most three bytes in.
    while count and backend.decode(token_ids[:count]).endswith(BROKEN):
        count -= 1
    return tuple(token_ids[:count])


def _continuation(
    response: Response, kept_ids: tuple[int, ...], completion: Completion, backend: Backend, config: Config
) -> Continuation | Dropped:
    kept = backend.decode(kept_ids)
    reason = unfit(response.text, kept, completion)
    if reason is not None:
        return _dropped(response, *reason, completion.completion_tokens)
    return Continuation(
        id=f"{response.id}/cut",
        question_id=response.question_id,
        response_id=response.id,
        ratio=config.ratio,
        with_image=config.with_image,
        kept=kept,
        text=completion.text,
        finish_reason=completion.finish_reason,
        kept_tokens=len(kept_ids),
        completion_tokens=completion.completion_tokens,
        response_tokens=response.completion_tokens,
        token_ids=() if completion.canonical else (*kept_ids, *completion.token_ids),
    )


def unfit(response: str, kept: str, completion: Completion) -> tuple[DropReason, str] | None:
    """Why a continuation makes no rejected completion; None when it makes one. Outer white space does not count."""
    if completion.finish_reason is not FinishReason.STOP:
        return DropReason.TRUNCATED, "the continuation was cut by the token limit"
    if completion.text.strip() == kept.strip():
        return DropReason.EMPTY, "nothing was written after the kept part"
    if completion.text.strip() == response.strip():
        return DropReason.SAME_TEXT, "the continuation is the response itself"
    return None


def _dropped(
    response: Response, reason: DropReason, detail: str, tokens: int = 0, *, transient: bool = False
) -> Dropped:
    spent = response.completion_tokens + tokens
    return Dropped(id=response.id, step="dropout", reason=reason, detail=detail, tokens=spent, transient=transient)


def selected(questions: Iterable[Question], responses: Iterable[Response], per_question: int) -> Iterator[Cut]:
    """The responses to cut: the first samples of each question with a picture and without a ground truth."""
    wanted = {question.id: question for question in questions if question.answer is None and question.images}
    for response in responses:
        if response.question_id in wanted and response.sample < per_question:
            yield Cut(response, wanted[response.question_id])


def _say_without_pictures(config: Config, files: RunFiles) -> None:
    """How many questions are left out since they have no picture. Raises DataError when that is all of them."""
    pictured = [bool(question.images) for question in files.questions(config.questions) if question.answer is None]
    blind = pictured.count(False)
    if not blind:
        return
    what = f"{config.name}: {blind:,} of {len(pictured):,} questions without a ground truth have no picture"
    if blind == len(pictured):
        raise DataError(
            f"{what}: DropoutNTP leaves the picture out, so there is nothing to do for them; give the questions of "
            f"{config.questions!r} their pictures (`image`, `images`), or take {config.name} out of the recipe"
        )
    say(f"{what}: they are left out")


def run(config: Config, files: RunFiles) -> None:
    """Appends what is missing to `continuations/<name>` and `dropped/<name>`.

    Raises DataError when no question is without a ground truth and with a picture.
    """
    _say_without_pictures(config, files)

    def all_blocks() -> Iterator[list[Cut]]:
        questions, responses = files.questions(config.questions), files.responses(config.responses)
        return blocks(selected(questions, responses, config.per_question), config.block)

    ledger: Ledger[Cut, Continuation] = Ledger(
        files.continuations(config.name), files.dropped(config.name), lambda work: [f"{work.id}/cut"],
        paid=not config.backend.redoes_blocks,
    )  # fmt: skip
    roots = ImageRoots.load(files.image_roots_file(config.questions))
    shown_pictures = (lambda cut: may_open(cut.question, roots)) if config.with_image else (lambda cut: True)
    if again := ledger.again(all_blocks(), shown_pictures):
        say(f"{config.name}: {counted(again, 'response')} that could not be continued before: continued again")
    ledger.survey(all_blocks())
    written = WritingTally(files.continuations(config.name))
    if ledger.todo:
        backend = make_backend(config.backend, files.model(config.model), config.inputs)
        commit = ledger.commit_in_one_stream if is_spread(backend) else ledger.commit
        work = commit(all_blocks(), lambda cuts: dropout(cuts, backend, roots, config))
        shown = track(work, config.name, total=ledger.total, done=ledger.finished)
        deque(written.watch(shown, ledger.written), maxlen=0)
    left_out = LeftOut(config.name, "response", place=files.dropped(config.name).folder)
    deque(left_out.watch(files.dropped(config.name)), maxlen=0)
    left_out.tell()
    said = written.summary("continuation", config.max_new_tokens)
    say(f"{config.name}: {said}; in {files.continuations(config.name).folder}")
