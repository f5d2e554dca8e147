"""The records that pass between steps: frozen, typed, one JSON object a line on disk.

Every id is made from its parent's: question `scenes-17`, response `scenes-17/3`, continuation
`scenes-17/3/half`, pair `scenes-17/3>5`. Who knows this file can read every step.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mixpo.values import encodable


class AnswerKind(StrEnum):
    """What sort of answer a question asks for: it decides how a response is judged."""

    CHOICE = "choice"
    YES_NO = "yes_no"
    INTEGER = "integer"
    DECIMAL = "decimal"
    NUMBER = "number"
    PERCENT = "percent"
    MONEY = "money"
    FRACTION = "fraction"
    RATIO = "ratio"
    INTERVAL = "interval"
    DATE = "date"
    TIME = "time"
    LIST = "list"
    SET = "set"
    EXPRESSION = "expression"
    TEXT = "text"
    DOCUMENT = "document"
    RELAXED = "relaxed"
    FREE_FORM = "free_form"


LISTS = (AnswerKind.LIST, AnswerKind.SET)
"""Kinds whose answer is a list; for the others a list is several accepted answers."""


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """The model wrote its end-of-turn token."""
    LENGTH = "length"
    """The token limit cut it."""


class Outcome(StrEnum):
    """What the verifier says of a response."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNPARSED = "unparsed"
    """No final answer was found in the text."""
    TRUNCATED = "truncated"
    """The token limit cut the response before a final answer."""
    UNDECIDED = "undecided"
    """The verifier ran out of time, or strings cannot tell (free-form): used for nothing."""


class Origin(StrEnum):
    """How a preference pair came to be."""

    CORRECTNESS = "correctness"
    """Chosen CORRECT, rejected INCORRECT."""
    FORMAT = "format"
    """Chosen CORRECT, rejected UNPARSED or TRUNCATED: kept apart, since it teaches form."""
    DROPOUT_NTP = "dropout_ntp"
    """Chosen the response, rejected its first part continued without the image (paper, section 3.2)."""
    PROCESS = "process"
    """Chosen CORRECT by right steps, rejected CORRECT by a wrong one (`mixpo.pairs.process`)."""
    IMPORTED = "imported"
    """Read from somebody else's preference file."""


class DropReason(StrEnum):
    """Why a record did not go on to the next step."""

    TORN_LINE = "torn_line"
    BAD_ROW = "bad_row"
    BAD_ANSWER = "bad_answer"
    """A ground truth that no answer can match: none of the options, or empty."""
    DUPLICATE_ID = "duplicate_id"
    BAD_IMAGE = "bad_image"
    PROMPT_TOO_LONG = "prompt_too_long"
    REFUSED = "refused"
    """The server that serves the model would not answer, or kept failing on this one."""
    COMPLETION_TOO_LONG = "completion_too_long"
    RESERVED_TOKEN = "reserved_token"
    """A completion has a token that stands for an image or ends a turn: no model can be trained on it."""
    ALL_CORRECT = "all_correct"
    NONE_CORRECT = "none_correct"
    UNDECIDED = "undecided"
    OVER_CAP = "over_cap"
    SAME_TEXT = "same_text"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    NO_GROUND_TRUTH = "no_ground_truth"
    NO_IMAGE = "no_image"
    """A question without a picture, where the method is about what the picture shows (DropoutNTP)."""
    BALANCED = "balanced"
    """Responses that were not drawn: the question had enough right and enough wrong ones."""
    TOO_HARD = "too_hard"
    """The question's pass rate is below the difficulty filter."""
    TOO_EASY = "too_easy"
    UNVERIFIED = "unverified"
    """A right response whose steps may be right or wrong, where only those with right steps are chosen."""
    WRONG_STEPS = "wrong_steps"
    """A question whose right responses all have a wrong step, where only those with right steps are chosen."""
    UNSUPPORTED = "unsupported"
    """A row of another format that says what ours cannot (video, tools), or a prompt that the model's chat template
    refuses."""
    DOUBTED = "doubted"
    """A pair whose preference the judge does not share (`mixpo relabel`)."""


class Role(StrEnum):
    """Who speaks in a turn."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Role
    text: str
    """What is said; pictures between words as in a question's text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A run of a record's `images` that are the frames of one video."""

    start: int
    """Which of the images is the first frame, from 0."""
    frames: int
    fps: float
    """Frames a second, of these frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question about one or more images."""

    id: str
    """Unique in a run, for example `scenes-train-17`; responses' ids are made from it."""
    text: str
    """What is asked, without prompt wording: "How many red circles are there?". A picture that stands between the
    words is U+FFFC (`mixpo.messages`), and so is a video; without any, all pictures come first, in the first user
    turn."""
    images: tuple[str, ...] = ()
    """Paths `<root name>/<relative path>` (`mixpo.images.ImageRoots`), in the order the prompt shows them."""
    videos: tuple[Video, ...] = ()
    """Which of the images are frames of videos, in order; each video has one place in the text."""
    system: str = ""
    """The system prompt, where the question brings one."""
    turns: tuple[Turn, ...] = ()
    """What was said before `text`, from a user's turn on."""
    answer: str | None = None
    """The ground truth as text ("3", "yes", "B"); None when there is none (DropoutNTP)."""
    accepted: tuple[str, ...] = ()
    """Further ground truths, each as right as `answer`: a response is right when it gives any of them."""
    kind: AnswerKind | None = None
    """How an answer is judged; None: the verifier infers it, conservatively."""
    choices: tuple[str, ...] = ()
    """The texts of options (A), (B), …; empty when it is not multiple choice."""
    domain: str = "general"
    """Chooses the chain-of-thought prompt: general, science, chart, math, ocr, document, description."""
    category: str = ""
    """The group under which accuracy is reported, for example "count" or "chain of 3"."""
    precision: int | None = None
    """Decimals to which a decimal answer is judged; None: as many as the ground truth shows."""
    unit: str | None = None
    """The unit that the ground truth is in, when its text does not say it."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What only the data set knows: `steps` (length of the chain), `group` (NLVR), the scene's state …"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demonstration:
    """A supervised example: a prompt and the completion to imitate."""

    id: str
    """`<question_id>/<style>`."""
    question_id: str
    prompt: str
    """The last user turn's text; U+FFFC: a picture's place (`mixpo.messages`)."""
    text: str
    """The completion, end-of-turn token excluded."""
    ended: bool = True
    """Whether an end-of-turn token is learned after it; false: the text was cut."""
    images: tuple[str, ...] = ()
    """Paths `<root name>/<relative path>` (`mixpo.images.ImageRoots`)."""
    videos: tuple[Video, ...] = ()
    """Which of them are frames of videos."""
    system: str = ""
    """The system prompt."""
    turns: tuple[Turn, ...] = ()
    """What was said before `prompt`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One completion that a model wrote for a question."""

    id: str
    """`<question_id>/<sample>`."""
    question_id: str
    sample: int
    """Number of the sample, from 0; with the run's seed it fixes the sampling noise."""
    text: str
    """The completion as text, end-of-turn token excluded."""
    finish_reason: FinishReason
    prompt: str = ""
    """The last user turn's text as the model saw it (question plus prompt wording); U+FFFC: a picture's place."""
    system: str = ""
    """The system prompt as the model saw it."""
    style: str = ""
    """The prompt style, for example "cot" (`mixpo.prompts`)."""
    token_ids: tuple[int, ...] = ()
    """The completion's tokens, end-of-turn excluded; empty when the backend does not give them."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Tokens the model wrote, end-of-turn included."""
    logp: float | None = None
    """Summed log-probability (nats, temperature 1) of the completion, when asked for."""
    thought_open: bool = False
    """Whether the chat template opened a thought at the prompt's end: the text then begins in one, without a tag."""
    canonical: bool = True
    """Whether the model's tokenizer makes `token_ids` of `text`; where not, a pair carries them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Continuation:
    """A response's first part and what the model wrote after it (DropoutNTP)."""

    id: str
    """`<response_id>/cut`."""
    question_id: str
    response_id: str
    ratio: float
    """Share of the response's tokens that was kept."""
    with_image: bool
    """Whether the model saw the image while it continued."""
    kept: str
    """The kept part's text."""
    text: str
    """Kept part and continuation together: the rejected completion."""
    finish_reason: FinishReason
    kept_tokens: int
    completion_tokens: int
    """Tokens written after the kept part, end-of-turn included."""
    response_tokens: int = 0
    """Tokens of the response that was cut, end-of-turn included: with the above, what the pair cost."""
    token_ids: tuple[int, ...] = ()
    """The tokens of `text`, end-of-turn excluded, where the model's tokenizer would make others of it; else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the verifier says of one response."""

    id: str
    """The id of the response judged."""
    question_id: str
    outcome: Outcome
    extracted: str | None = None
    """The final answer as it stands in the response; None when none was found."""
    span: tuple[int, int] | None = None
    """Where in the response's text it stands, [start, end) in characters."""
    rule: str = ""
    """The extraction rule that found it, for example "marker"."""
    kind: AnswerKind | None = None
    """As what kind of answer it was judged (given or inferred)."""
    reason: str = ""
    """Why, in a few words, when the outcome does not say it all."""
    score: float | None = None
    """How far it is right, in [0, 1], where an LLM judged; None elsewhere."""
    transient: bool = False
    """Whether it is undecided since the LLM gave no reply: the next run asks again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRate:
    """How often one question was answered right: its difficulty for the model that was sampled."""

    id: str
    """The id of the question."""
    correct: int
    """CORRECT responses."""
    decided: int
    """Responses with a verdict other than UNDECIDED, at least 1."""

    @property
    def value(self) -> float:
        """Share of right ones among the decided, in [0, 1]."""
        return self.correct / self.decided


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair:
    """Two completions of one prompt, the first preferred."""

    id: str
    """`<question_id>/<chosen sample>><rejected sample>`."""
    question_id: str
    prompt: str
    """The last user turn's text; U+FFFC: a picture's place (`mixpo.messages`)."""
    chosen: str
    rejected: str
    origin: Origin
    images: tuple[str, ...] = ()
    """Paths `<root name>/<relative path>` (`mixpo.images.ImageRoots`)."""
    videos: tuple[Video, ...] = ()
    """Which of them are frames of videos."""
    system: str = ""
    """The system prompt."""
    turns: tuple[Turn, ...] = ()
    """What was said before `prompt`."""
    chosen_id: str = ""
    """The record that the chosen completion comes from."""
    rejected_id: str = ""
    rejected_ended: bool = True
    """Whether the model ended the rejected completion itself. If the token limit cut it there is no end-of-turn
    token to score: appending one would teach the model not to stop."""
    chosen_ended: bool = True
    """The same of the chosen one; `pair` chooses none that the limit cut, other people's files may."""
    chosen_token_ids: tuple[int, ...] = ()
    """The tokens that were sampled, end-of-turn excluded, where the tokenizer would make others of the text; else
    empty."""
    rejected_token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """A record that a step left out, and why: nothing disappears silently."""

    id: str
    """The id of what was left out, or `<file>:<line>` when it never became a record."""
    step: str
    """The step that left it out."""
    reason: DropReason
    detail: str = ""
    """One sentence for people."""
    count: int = 1
    """How many records this line stands for (pairs above the cap are counted, not listed)."""
    tokens: int = 0
    """Tokens that a model wrote for it in vain, where that is known."""
    transient: bool = False
    """Whether the cause may pass (a picture that is not there, a server that fails): the next run tries it again."""

    def __post_init__(self) -> None:
        # Both may name a file, whose name need not be text.
        object.__setattr__(self, "id", encodable(self.id))
        object.__setattr__(self, "detail", encodable(self.detail))


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """How one model did on one group of questions under one prompt."""

    id: str
    """`<model>/<benchmark>/<style>/<category>`."""
    model: str
    """Its name in the report: "base", "mpo"."""
    benchmark: str
    style: str
    category: str
    """"all", or the questions' category."""
    metric: str
    """"accuracy", or what the benchmark declares."""
    value: float | None
    """Share in [0, 1] unless the metric says otherwise. None: not scored, since nothing says of any answer how good it
    is (free-form answers without an LLM judge)."""
    low: float | None
    """Lower end of the 95 % interval; None where `value` is."""
    high: float | None
    n: int
    """Number of questions (or groups of questions, for consistency)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two models, or two prompt styles of one model, on the same questions: after minus before."""

    benchmark: str
    category: str
    """"all", or the questions' category."""
    before_model: str
    before_style: str
    after_model: str
    after_style: str
    value: float
    """Accuracy after minus accuracy before, in [-1, 1]."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    p: float
    """McNemar's test, two-sided; sign flips of whole groups where answers come in groups."""
    n: int
    fixed: int
    """Answers wrong before and right after."""
    broken: int
    """Answers right before and wrong after."""
    metric: str = "accuracy"
    """What is compared; `fixed` and `broken` say nothing of another metric, and p is then a bootstrap's."""


WRITTEN: dict[type, tuple[str, ...]] = {
    Question: (),
    Demonstration: (),
    Response: ("text",),
    Continuation: ("kept", "text"),
    PreferencePair: ("chosen", "rejected"),
    Verdict: ("extracted", "reason"),
    Dropped: ("id", "detail"),
}
"""Fields with what a model wrote, in which half a surrogate pair is replaced; anywhere else it makes a bad row."""
