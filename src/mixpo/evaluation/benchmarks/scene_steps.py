"""Process quality on scenes: how many steps are true, and how many right answers were reached by wrong ones."""

from mixpo.evaluation.metrics import Answered, Metric, ratio
from mixpo.questions.scenes.steps import steps_of


def checked(answered: Answered) -> list[bool]:
    return [] if answered.response is None else steps_of(answered.question, answered.response.text)


def _counts(answered: Answered) -> tuple[float, ...]:
    """True steps, steps, right answers with steps, those of them with a wrong step."""
    found = checked(answered)
    by_steps = bool(found) and answered.right
    return float(sum(found)), float(len(found)), float(by_steps), float(by_steps and not all(found))


METRICS = (
    Metric("steps_right", _counts, lambda sums: ratio(sums[0], sums[1])),
    Metric("right_by_wrong_steps", _counts, lambda sums: ratio(sums[3], sums[2])),
)
"""The share of steps that are true; of right answers reached in steps, the share in which one was wrong."""
