"""The steps of an answer whose truth is known step by step: to questions about drawn scenes and figures."""

from collections.abc import Mapping, Sequence

from mixpo.questions.claims import Held
from mixpo.questions.figures import steps as figures
from mixpo.questions.scenes import steps as scenes
from mixpo.questions.scenes.ask import task_from_state
from mixpo.questions.scenes.scene import from_state
from mixpo.records import Question


def truth_is_known(question: Question) -> bool:
    """Whether the question's own truth tells which steps are true."""
    return of_scene(question) or of_figure(question)


def of_scene(question: Question) -> bool:
    """Whether it is about a drawn scene; a user's own columns may have the same names."""
    return all(isinstance(question.meta.get(name), Mapping) for name in ("scene", "task"))


def of_figure(question: Question) -> bool:
    """Whether it is about a drawn figure, as `of_scene`."""
    facts, chain = question.meta.get("facts"), question.meta.get("chain")
    return isinstance(facts, Mapping) and isinstance(chain, list | tuple) and {*map(type, facts.values())} <= {str}


def steps_of(question: Question, text: str) -> list[Held]:
    """Whether each step of an answer is true; [] for other questions and for answers without steps."""
    meta = question.meta
    try:
        if of_scene(question):
            return scenes.steps(text, from_state(meta["scene"]), task_from_state(meta["task"]))
        if of_figure(question):
            return figures.checked(text, *_figure(question))
    except (LookupError, TypeError, ValueError):
        pass  # a user's own columns of these names
    return []


def all_hold(question: Question, text: str) -> bool | None:
    """Whether all steps of an answer are true. None: that cannot be told, since it has no steps, or rests on numbers
    that came from nowhere."""
    steps = steps_of(question, text)
    if False in steps:
        return False
    if not steps or None in steps or (of_figure(question) and figures.is_doubtful(text, *_figure(question))):
        return None
    return True


def _figure(question: Question) -> tuple[dict[str, str], str, Sequence[str]]:
    return dict(question.meta["facts"]), f"{question.text} {question.answer}", question.meta["chain"]
