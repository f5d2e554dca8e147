"""Process quality on scenes and figures: how many steps are true, how many right answers came by wrong ones."""

from mixpo.evaluation.metrics import Answered, Metric, ratio
from mixpo.questions.steps import steps_of


def checked(answered: Answered) -> list[bool]:
    return [] if answered.response is None else steps_of(answered.question, answered.response.text)


def _counts(answered: Answered) -> tuple[float, ...]:
    """Process quality on scenes and figures: how many steps are true, how many right answers came by wrong ones."""
    found = checked(answered)
    by_steps = bool(found) and answered.right
    return float(sum(found)), float(len(found)), float(by_steps), float(by_steps and not all(found))


METRICS = (
    Metric("steps_right", _counts, lambda sums: ratio(sums[0], sums[1])),
    Metric("right_by_wrong_steps", _counts, lambda sums: ratio(sums[3], sums[2])),
)
"""Process quality on scenes and figures: how many steps are true, how many right answers came by wrong ones."""
