"""DropoutNTP: a response's first part, continued without the image (MPO paper, section 3.2).

What the model writes when it no longer sees the picture is more often made up: the rejected completion of
a pair whose chosen one is the response itself. For questions without a ground truth.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mixpo.errors import ImageError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.progress import say, track
from mixpo.records import Continuation, Dropped, DropReason, FinishReason, Question, Response
from mixpo.responses.ahead import read_ahead
from mixpo.responses.backend import Backend, Completion, Request, SamplingParams
from mixpo.responses.backends.make import BackendConfig, make_backend
from mixpo.responses.ledger import Ledger, blocks
from mixpo.responses.sample import IMAGES_AHEAD

BROKEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, kw_only=True)
class Config:
    """What `dropout` may be told. The ratio is the paper's; its appendix also tries 0.25 and 0.75."""

    name: str = "dropout"
    model: str = "base"
    """`base`, `step:<section>`, a folder or a hub name."""
    seed: int = 0
    questions: str = "questions"
    """The questions section to read."""
    responses: str = "sample"
    """The section whose responses are cut."""
    ratio: float = 0.5
    """Share of the response's tokens that is kept, rounded down; 0: only the question is left."""
    with_image: bool = False
    """Whether the model still sees the image while it continues."""
    per_question: int = 1
    """Responses cut per question, from sample 0 on."""
    temperature: float = 0.7
    top_k: int = 50
    top_p: float = 1.0
    max_new_tokens: int = 512
    backend: BackendConfig = field(default_factory=BackendConfig)
    block: int = 1024
    """Continuations that are committed together: what a killed run does again at most."""

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise ValueError("ratio must be at least 0 and below 1")
        if self.per_question < 1 or self.block < 1:
            raise ValueError("per_question and block must be at least 1")
        self.sampling()

    def sampling(self) -> SamplingParams:
        """The part that the backend sees."""
        return SamplingParams(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
        )


def dropout(
    work: Iterable[tuple[Question, Response]], backend: Backend, image_roots: ImageRoots, config: Config
) -> Iterator[Continuation | Dropped]:
    """A continuation of each response, or a `Dropped` with the response's id, as they finish."""
    asked: dict[str, tuple[Response, tuple[int, ...]]] = {}
    refused: list[Dropped] = []

    def requests() -> Iterator[Request]:
        for question, response in work:
            reason = unusable(response)
            if reason is not None:
                refused.append(_dropped(response, *reason))
                continue
            try:
                images = tuple(image_roots.open(image) for image in question.images) if config.with_image else ()
            except ImageError as error:
                refused.append(_dropped(response, DropReason.BAD_IMAGE, str(error)))
                continue
            kept = cut(response.token_ids, config.ratio, backend)
            asked[response.id] = response, kept
            yield Request(id=response.id, prompt=response.prompt, images=images, prefix_token_ids=kept)

    for completion in backend.complete(read_ahead(requests(), IMAGES_AHEAD), config.sampling()):
        if isinstance(completion, Dropped):
            yield _dropped(asked[completion.id][0], completion.reason, completion.detail)
        else:
            yield _continuation(*asked[completion.request_id], completion, backend, config)
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
    response: Response, kept: tuple[int, ...], completion: Completion, backend: Backend, config: Config
) -> Continuation | Dropped:
    if completion.finish_reason is not FinishReason.STOP:
        return _dropped(response, DropReason.TRUNCATED, "the continuation was cut by the token limit")
    if not completion.token_ids:
        return _dropped(response, DropReason.EMPTY, "nothing was written after the kept part")
    if completion.text == response.text:
        return _dropped(response, DropReason.SAME_TEXT, "the continuation is the response itself")
    return Continuation(
        id=f"{response.id}/cut",
        question_id=response.question_id,
        response_id=response.id,
        ratio=config.ratio,
        with_image=config.with_image,
        kept=backend.decode(kept),
        text=completion.text,
        finish_reason=completion.finish_reason,
        kept_tokens=len(kept),
        completion_tokens=completion.completion_tokens,
    )


def _dropped(response: Response, reason: DropReason, detail: str) -> Dropped:
    return Dropped(id=response.id, step="dropout", reason=reason, detail=detail)


@dataclass(frozen=True, slots=True)
class Cut:
    """One piece of work: a response of a question without a ground truth."""

    question: Question
    response: Response

    @property
    def id(self) -> str:
        return self.response.id


def selected(questions: Iterable[Question], responses: Iterable[Response], per_question: int) -> list[Cut]:
    """The responses to cut: the first samples of each question that has no ground truth."""
    open_questions = {question.id: question for question in questions if question.answer is None}
    return [
        Cut(open_questions[response.question_id], response)
        for response in responses
        if response.question_id in open_questions and response.sample < per_question
    ]


def run(config: Config, files: RunFiles) -> None:
    """Appends what is missing to `continuations/<name>` and `dropped/<name>`."""
    cuts = selected(files.questions(config.questions), files.responses(config.responses), config.per_question)
    ledger: Ledger[Cut, Continuation] = Ledger(
        files.continuations(config.name), files.dropped(config.name), lambda item: [f"{item.id}/cut"]
    )
    todo = ledger.unfinished(blocks(cuts, config.block))
    if not todo:
        say(f"{config.name}: all continuations of {len(cuts)} responses are there")
        return
    backend = make_backend(config.backend, files.model(config.model))
    roots = ImageRoots.load(files.image_roots_file(config.questions))
    work = ledger.commit(todo, lambda block: dropout(((c.question, c.response) for c in block), backend, roots, config))
    for _ in track(work, config.name, total=len(cuts), done=ledger.finished):
        pass
