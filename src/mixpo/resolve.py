"""Recipe -> configs: every section's dataclass, with the sections it reads filled in and checked, before anything runs.

What a recipe does not say of a reference follows from the order of its sections: a section reads what the last one
before it made, and of the same origin (`pair` takes the continuations of the responses that were judged; the images of
its pairs are those of the questions that were asked).
"""

import importlib
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mixpo.errors import RecipeError
from mixpo.files import RunFiles
from mixpo.recipe import Recipe, Section
from mixpo.references import Output, Reads, SectionReference, references
from mixpo.validation import closest

STEPS = {
    "questions": "mixpo.questions.collect",
    "demonstrations": "mixpo.questions.demonstrations",
    "base_model": "mixpo.models.base_model",
    "compose": "mixpo.models.compose",
    "sample": "mixpo.responses.sample",
    "dropout": "mixpo.responses.dropout",
    "verify": "mixpo.verdicts.verify",
    "pair": "mixpo.pairs.build",
    "import": "mixpo.pairs.import_pairs",
    "relabel": "mixpo.verdicts.relabel",
    "train": "mixpo.training.train",
    "evaluate": "mixpo.evaluation.evaluate",
    "best_of": "mixpo.evaluation.best_of",
    "report": "mixpo.report.page",
}
"""What a section may use, and the module with its `Config`, what it `WRITES`, and `run(config, files)`."""

MAKES = {
    Output.QUESTIONS: "collects questions",
    Output.DEMONSTRATIONS: "writes demonstrations",
    Output.RESPONSES: "writes responses",
    Output.CONTINUATIONS: "writes continuations",
    Output.VERDICTS: "writes verdicts",
    Output.PAIRS: "makes pairs",
    Output.MODEL: "trains a model",
}


def step_of(section: Section) -> Any:
    """The module of a section's step."""
    return importlib.import_module(STEPS[section.step])


def reads(config_type: type) -> dict[str, Reads]:
    """The fields of a config that name a section, models aside."""
    found = {}
    for name, hint in typing.get_type_hints(config_type, include_extras=True).items():
        marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Reads)]
        if marks and marks[0].kind is not Output.MODEL:
            found[name] = marks[0]
    return found


@dataclass
class _Made:
    """The sections so far: what each writes, and what it reads."""

    recipe: Recipe
    writes: dict[str, tuple[Output, ...]] = field(default_factory=dict)
    read: dict[str, dict[str, str]] = field(default_factory=dict)

    def last(self, kind: Output, fits: Callable[[str], bool]) -> str:
        """The last section of the recipe that makes such records; empty: there is none."""
        return next((name for name, kinds in reversed(self.writes.items()) if kind in kinds and fits(name)), "")

    def left(self, kind: Output) -> list[str]:
        """Sections that only the run folder has: of another recipe, or imported there."""
        there = RunFiles(self.recipe.run).sections(kind.folder)
        return [name for name in there if name not in self.recipe.sections]

    def names(self, kind: Output) -> list[str]:
        return [name for name, kinds in self.writes.items() if kind in kinds] + self.left(kind)


def resolve(recipe: Recipe) -> dict[str, Any]:
    """The dataclass of every section. Raises RecipeError before anything has started."""
    made = _Made(recipe)
    configs = {}
    for name, section in recipe.sections.items():
        if section.step not in STEPS:
            raise RecipeError(
                f"{recipe.at(f'steps.{name}')}: no step is called {section.step!r}; "
                f"{closest(section.step, tuple(STEPS)) or ', '.join(STEPS)}; "
                f"a section of another name says which it uses: `{name}: {{uses: sample, …}}`"
            )
        module = step_of(section)
        config = _followed(recipe.config(section, module.Config), section, made)
        _check(recipe, name, config, made)
        configs[name] = config
        made.writes[name] = module.WRITES
        made.read[name] = {reference.field: reference.section for reference in references(vars(config))}
    return configs


def _followed(config: Any, section: Section, made: _Made) -> Any:
    """The config with the references that the recipe does not state."""
    fields = reads(type(config))
    own: dict[str, str] = {name: getattr(config, name) for name in fields if name in section.values}
    # Pairs lead to their questions, verdicts to their responses: in the order of `Output` each follows from one before.
    for name in (kind for kind in Output if kind in fields and kind not in own):
        if name == Output.DEMONSTRATIONS and fields[name].optional:
            continue
        default = getattr(config, name)
        found = _from(own, name, made) or made.last(Output(name), _same_responses(own, name, made))
        own[name] = found or _left(default, Output(name), made, fields[name].optional)
    return replace(config, **own)


def _left(default: str, kind: Output, made: _Made, optional: bool) -> str:
    """What is read when no section of the recipe makes it: what the run folder has under the usual name, or alone."""
    left = made.left(kind)
    if default in left:
        return default
    return "" if optional else left[0] if len(left) == 1 else default


def _from(own: dict[str, str], name: str, made: _Made) -> str:
    """What the sections that are read read themselves: of a verdict its responses, of anything its questions."""
    for field_name in Output:
        source = own.get(field_name, "")
        if field_name == name or not source:
            continue
        if name == Output.QUESTIONS and Output.QUESTIONS in made.writes.get(source, ()):
            return source
        if name in (Output.QUESTIONS, Output.RESPONSES) and made.read.get(source, {}).get(name):
            return made.read[source][name]
    return ""


def _same_responses(own: dict[str, str], name: str, made: _Made) -> Callable[[str], bool]:
    """Whether a section is about the responses that are read already, where that matters."""
    responses = own.get(Output.RESPONSES, "")
    if name not in (Output.VERDICTS, Output.CONTINUATIONS) or not responses:
        return lambda section: True
    return lambda section: made.read[section].get(Output.RESPONSES) == responses


def _check(recipe: Recipe, name: str, config: Any, made: _Made) -> None:
    """Raises RecipeError for a reference to a section that is not there, comes later, or makes something else."""
    fields = reads(type(config))
    models = {"model": getattr(config, "model", None)}
    models |= {f"models.{key}": model for key, model in getattr(config, "models", {}).items()}
    empty = [place for place, mark in fields.items() if not mark.optional and not getattr(config, place)]
    if getattr(config, "demonstrations", ""):
        empty = [place for place in empty if place != Output.PAIRS]
    if nameless := [*empty, *(place for place, model in models.items() if model in ("", "step:"))]:
        raise RecipeError(f"{recipe.at(f'steps.{name}.{nameless[0]}')}: names no section; leave it out, or name one")
    for reference in references(vars(config)):
        if reference.section not in made.names(reference.kind):
            where = recipe.at(f"steps.{name}.{reference.field}")
            raise RecipeError(
                f"{where}: no section before this one {MAKES[reference.kind]} called {reference.section!r}; "
                f"{_hint(recipe, reference, made)}"
            )
    either = [field_name for field_name, mark in fields.items() if mark.optional]
    if len(either) > 1 and not any(getattr(config, field_name) for field_name in either):
        raise RecipeError(
            f"{recipe.at(f'steps.{name}')}: there is nothing to make pairs from; put a section before it that uses "
            "verify (right and wrong responses) or dropout (continuations without the image)"
        )


def _hint(recipe: Recipe, reference: SectionReference, made: _Made) -> str:
    names = made.names(reference.kind)
    if reference.section in made.writes:
        does = " and ".join(MAKES[kind] for kind in made.writes[reference.section]) or "makes nothing that is read"
        return f"it {does}" + (f"; {' and '.join(names)} would do" if names else "")
    if reference.section in recipe.sections:
        return "it stands further down: put it before this one"
    if near := closest(reference.section, names):
        return near
    return f"there is {', '.join(names)}" if names else f"put the section that {MAKES[reference.kind]} before this one"


def unread(recipe: Recipe, configs: dict[str, Any]) -> Iterator[str]:
    """A sentence for every section whose records a later one could have read, and none reads."""
    names = list(configs)
    read = {(reference.kind, reference.section) for c in configs.values() for reference in references(vars(c))}
    for number, name in enumerate(names):
        for kind in step_of(recipe.sections[name]).WRITES:
            later = [other for other in names[number + 1 :] if kind in _could_read(configs[other])]
            if later and (kind, name) not in read and not any((other, name) in read for other in Output):
                where = recipe.at(f"steps.{name}")
                thing = "model" if kind is Output.MODEL else str(kind)
                yield f"{where}: nothing reads its {thing}; name it in {' or '.join(later)}, or leave the section out"


def _could_read(config: Any) -> set[Output]:
    kinds = {mark.kind for mark in reads(type(config)).values()}
    return kinds | ({Output.MODEL} if hasattr(config, "model") or hasattr(config, "models") else set())


def pinned(recipe: Recipe, configs: dict[str, Any]) -> dict[str, Section]:
    """The sections with every reference written out: they mean the same wherever others are put between them."""
    written = {}
    for name, section in recipe.sections.items():
        fields = {key: getattr(configs[name], key) for key in reads(type(configs[name]))}
        written[name] = replace(section, values={**section.values, **fields})
    return written
