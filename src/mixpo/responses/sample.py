"""Questions -> responses: the model writes n completions for each question (MPO paper, section 3.1).

Work goes in blocks whose boundaries depend on the list of questions alone. A block's records are appended
in order when all of them are there; a rerun does an unfinished block again as a whole, so that its batches,
and with them the rounding of logits, are those of an uninterrupted run: the files come out the same.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from mixpo.errors import ImageError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.progress import say, track
from mixpo.prompts import Style, resolve_style, user_text
from mixpo.records import Dropped, DropReason, Question, Response
from mixpo.responses.ahead import read_ahead
from mixpo.responses.backend import Backend, Completion, Request, SamplingParams
from mixpo.responses.backends.make import BackendConfig, make_backend
from mixpo.responses.ledger import Ledger, blocks

IMAGES_AHEAD = 32
"""Questions whose images are opened before the backend asks for them."""


class Which(StrEnum):
    """Which questions are sampled."""

    ALL = "all"
    ANSWERED = "answered"
    """Those with a ground truth."""
    OPEN = "open"
    """Those without one: for DropoutNTP."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What `sample` may be told."""

    name: str = "sample"
    model: str = "base"
    """`base`, `step:<section>`, a folder or a hub name."""
    seed: int = 0
    questions: str = "questions"
    """The questions section to read."""
    which: Which = Which.ALL
    n: int = 32
    """Responses per question."""
    style: Style = Style.AUTO
    temperature: float = 0.7
    """0: the most probable token every time."""
    top_k: int = 50
    """Only the k most probable tokens; 0: all."""
    top_p: float = 1.0
    """Only the smallest set of tokens with this probability mass; 1: all."""
    max_new_tokens: int = 512
    logps: bool = False
    """Whether responses carry their summed log-probability."""
    backend: BackendConfig = field(default_factory=BackendConfig)
    block: int = 2048
    """Responses that are committed together: what a killed run does again at most."""

    def __post_init__(self) -> None:
        if self.n < 1 or self.block < 1:
            raise ValueError("n and block must be at least 1")
        self.sampling()

    def sampling(self) -> SamplingParams:
        """The part that the backend sees."""
        return SamplingParams(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
            logps=self.logps,
        )


def sample(
    questions: Iterable[Question], backend: Backend, image_roots: ImageRoots, config: Config
) -> Iterator[Response | Dropped]:
    """`config.n` responses of each question, as they finish; one `Dropped` for a question that cannot be asked."""
    asked: dict[str, tuple[Question, str]] = {}
    refused: list[Dropped] = []

    def requests() -> Iterator[Request]:
        for question in questions:
            try:
                images = tuple(image_roots.open(image) for image in question.images)
            except ImageError as error:
                refused.append(Dropped(id=question.id, step="sample", reason=DropReason.BAD_IMAGE, detail=str(error)))
                continue
            prompt = user_text(question, config.style)
            asked[question.id] = question, prompt
            yield Request(id=question.id, prompt=prompt, images=images, samples=tuple(range(config.n)))

    for completion in backend.complete(read_ahead(requests(), IMAGES_AHEAD), config.sampling()):
        if isinstance(completion, Dropped):
            yield completion
            continue
        yield _response(*asked[completion.request_id], completion, config.style)
    yield from refused


def _response(question: Question, prompt: str, completion: Completion, style: Style) -> Response:
    return Response(
        id=f"{question.id}/{completion.sample}",
        question_id=question.id,
        sample=completion.sample,
        text=completion.text,
        finish_reason=completion.finish_reason,
        prompt=prompt,
        style=resolve_style(style, question),
        token_ids=completion.token_ids,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        logp=completion.logp,
    )


def selected(questions: Iterable[Question], which: Which) -> Iterator[Question]:
    """The questions that `which` names, in their order."""
    for question in questions:
        if which is Which.ALL or (question.answer is not None) == (which is Which.ANSWERED):
            yield question


def run(config: Config, files: RunFiles) -> None:
    """Appends what is missing to `responses/<name>` and `dropped/<name>`."""
    sample_into(config, files, lambda: make_backend(config.backend, files.model(config.model)))


def sample_into(config: Config, files: RunFiles, load: Callable[[], Backend]) -> None:
    """What `run` does with the backend that `load` gives; it is not asked for one when nothing is missing."""
    questions = list(selected(files.questions(config.questions), config.which))
    ledger: Ledger[Question, Response] = Ledger(
        files.responses(config.name),
        files.dropped(config.name),
        lambda question: [f"{question.id}/{number}" for number in range(config.n)],
    )
    todo = ledger.unfinished(blocks(questions, max(1, config.block // config.n)))
    if not todo:
        say(f"{config.name}: all responses of {len(questions)} questions are there")
        return
    backend = load()
    roots = ImageRoots.load(files.image_roots_file(config.questions))
    work = ledger.commit(todo, lambda block: sample(block, backend, roots, config))
    for _ in track(work, config.name, total=len(questions) * config.n, done=ledger.finished):
        pass
