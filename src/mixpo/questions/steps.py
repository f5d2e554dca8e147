"""The steps of an answer whose truth is known step by step: to questions about drawn scenes and figures."""

from collections.abc import Mapping

from mixpo.questions.claims import Read
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


def steps_of(question: Question, text: str) -> list[bool]:
    """Whether each step of an answer is true; [] for other questions and for answers without steps."""
    return _read(question, text).steps


def all_hold(question: Question, text: str) -> bool | None:
    """Whether all steps of an answer are true. None: that cannot be told, since it has none, or says more than could be
    read."""
    read = _read(question, text)
    if False in read.steps:
        return False
    return None if read.doubtful or not read.steps else True


def _read(question: Question, text: str) -> Read:
    meta = question.meta
    try:
        if of_scene(question):
            return scenes.read(text, from_state(meta["scene"]), task_from_state(meta["task"]))
        if of_figure(question):
            return figures.read(text, dict(meta["facts"]), f"{question.text} {question.answer}", meta["chain"])
    except (LookupError, TypeError, ValueError):
        pass  # a user's own columns of these names
    return Read([], doubtful=True)
