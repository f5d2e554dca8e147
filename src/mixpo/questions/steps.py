"""The steps of an answer whose truth is known step by step: to questions about drawn scenes and figures."""

from mixpo.questions.figures import steps as figures
from mixpo.questions.scenes import steps as scenes
from mixpo.questions.scenes.ask import task_from_state
from mixpo.questions.scenes.scene import from_state
from mixpo.records import Question

SCENE, FIGURE = {"scene", "task"}, {"facts", "chain"}
"""What the `meta` of a question holds whose steps can be checked."""


def truth_is_known(question: Question) -> bool:
    """Whether the question's own truth tells which steps are true."""
    return question.meta.keys() >= SCENE or question.meta.keys() >= FIGURE


def steps_of(question: Question, text: str) -> list[bool]:
    """Whether each step of an answer is true; [] for other questions and for answers without steps."""
    meta = question.meta
    try:
        if meta.keys() >= SCENE:
            return scenes.steps(text, from_state(meta["scene"]), task_from_state(meta["task"]))
        if meta.keys() >= FIGURE:
            return figures.checked(text, dict(meta["facts"]))
    except (LookupError, TypeError, ValueError):
        pass  # a user's own columns of these names
    return []
