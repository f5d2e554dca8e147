"""Which right responses were reached by right steps, so that they may be chosen: a step beyond the paper.

A right answer by wrong steps is a chosen completion where answers alone are judged; with `chosen: {steps: verified}` it
is a rejected one. Steps about drawn scenes and figures are checked against their truth (`mixpo.questions.steps`), those
of other questions by a process reward model at an endpoint (VisualPRM, arXiv 2503.10291).
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.questions.steps import all_hold, truth_is_known
from mixpo.records import Question, Response
from mixpo.verdicts.process_reward import RewardConfig, Steps, StepScores


class Wanted(StrEnum):
    ANY = "any"
    """A right answer is enough, as in the paper."""
    VERIFIED = "verified"
    """Every step that can be read is right, one at least can be, and nothing leaves it in doubt."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a right response must have beside its answer, to be chosen."""

    steps: Wanted = Wanted.ANY
    """any: nothing; verified: right steps. A right answer by a wrong step is then rejected (`origin: process`)."""
    reward: RewardConfig | None = None
    """The process reward model that scores the steps of questions whose truth is not known step by step."""
    threshold: float = 0.5
    """A step is right from this score on."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError("threshold must be between 0 and 1")
        if self.reward is not None and self.steps is Wanted.ANY:
            raise ValueError("a reward model scores steps: say `steps: verified` with it")


class StepJudge:
    """Tells right responses with right steps from the others."""

    def __init__(self, config: Chosen, files: RunFiles, section: str, questions: str):
        """`section`: where the scores of a reward model are kept; `questions`: the section with the pictures."""
        self.config = config
        self.scores: StepScores | None = None
        if config.reward is not None:
            roots = ImageRoots.load(files.image_roots_file(questions))
            self.scores = StepScores(config.reward, roots, files.judge_replies(section, Steps))

    def judge(self, question: Question, right: Sequence[Response]) -> Mapping[str, bool | None]:
        """By the id of each right response, whether all of its steps hold; None: that cannot be told.

        Raises MissingExtra and UserError as `StepScores.ask`.
        """
        if self.scores is None or truth_is_known(question):
            return {response.id: all_hold(question, response.text) for response in right}
        self.score((question, response) for response in right)
        return {one.id: _all(self.scores.of((question, one)), self.config.threshold) for one in right}

    def score(self, answers: Iterable[tuple[Question, Response]]) -> None:
        """Asks the reward model for what it has to score and has not yet, several at a time. Raises as `judge`."""
        if self.scores is None:
            return
        missing = self.scores.missing(one for one in answers if not truth_is_known(one[0]))
        if missing:  # where all is known no key is needed
            deque(self.scores.ask(missing), maxlen=0)


def _all(scores: Sequence[float], threshold: float) -> bool | None:
    return min(scores) >= threshold if scores else None
