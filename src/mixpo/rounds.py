"""Iterated MPO: `rounds: 2` in a recipe samples again with the trained model, which is the next round's reference.

    sample          verify          dropout          pair          train           -> a model
    sample-round-2  verify-round-2  dropout-round-2  pair-round-2  train-round-2   -> the next, begun from that model

A round is made of sections like any other, each with a folder of its own, so a killed run goes on in the middle of
round 2; the evaluation compares the model of every round.
"""

from dataclasses import replace
from typing import Any

from mixpo.errors import RecipeError
from mixpo.recipe import Recipe, Section
from mixpo.references import Output, pointed, read_of, references
from mixpo.resolve import pinned

REPEATED = ("sample", "verify", "dropout", "pair")
"""Steps between the model and its training: what follows from what it wrote."""


def section_name(section: str, number: int) -> str:
    """What a section is called in round `number`, from 1."""
    return section if number == 1 else f"{section}-round-{number}"


def with_rounds(recipe: Recipe, configs: dict[str, Any]) -> Recipe:
    """The recipe with the sections of all its rounds; `configs` are those of its own sections.

    Raises RecipeError when nothing in it can be repeated.
    """
    if recipe.rounds == 1:
        return recipe
    trained = _trained(recipe, configs)
    chain = _behind(trained, recipe, configs)
    if not any(recipe.sections[name].step == "sample" for name in chain):
        raise RecipeError(f"{recipe.at('rounds')}: the pairs of {trained!r} come from no section that samples")
    recipe = replace(recipe, sections=pinned(recipe, configs))
    sections: dict[str, Section] = {}
    for name, section in recipe.sections.items():
        sections[name] = _evaluated(recipe, section, trained)
        if name == trained:
            for number in range(2, recipe.rounds + 1):
                sections |= _round(recipe, configs, chain, trained, number)
    return replace(recipe, sections=sections, rounds=1)


def _trained(recipe: Recipe, configs: dict[str, Any]) -> str:
    """The last section that trains on pairs."""
    for name, section in reversed(recipe.sections.items()):
        if section.step == "train" and read_of(vars(configs[name]), Output.PAIRS):
            return name
    raise RecipeError(f"{recipe.at('rounds')}: the recipe has no section that trains on pairs; remove `rounds`")


def _behind(trained: str, recipe: Recipe, configs: dict[str, Any]) -> list[str]:
    """The training and what its pairs are made of, in the order of the recipe."""
    found, waiting = set(), [trained]
    while waiting:
        name = waiting.pop()
        found.add(name)
        named = [reference.section for reference in references(vars(configs[name]))]
        waiting += [other for other in named if other in recipe.sections and recipe.sections[other].step in REPEATED]
    return [name for name in recipe.sections if name in found]


def _round(recipe: Recipe, configs: dict[str, Any], chain: list[str], trained: str, number: int) -> dict[str, Section]:
    """The sections of one round after the first."""
    start = configs[trained].model
    renamed = {old: section_name(old, number) for old in chain}
    sections = {}
    for old, name in renamed.items():
        section, config = recipe.sections[old], configs[old]
        if name in recipe.sections:
            raise RecipeError(f"{recipe.at(f'steps.{name}')}: round {number} needs this name; give the section another")
        values = {**section.values, **pointed(section.values, renamed)}
        if getattr(config, "model", None) == start:
            values["model"] = f"step:{section_name(trained, number - 1)}"
        if section.step in ("sample", "dropout"):
            # Other noise: with the same, what training left alone would be written again word for word.
            values["seed"] = config.seed + number - 1
        sections[name] = Section(name, section.step, values)
    return sections


def _evaluated(recipe: Recipe, section: Section, trained: str) -> Section:
    """An evaluation of the trained model also evaluates the models of later rounds."""
    models = section.values.get("models")
    if section.step != "evaluate" or not isinstance(models, dict):
        return section
    every = {}
    for name, model in models.items():
        every[name] = model
        if model == f"step:{trained}":
            later = range(2, recipe.rounds + 1)
            added = {f"{name}-round-{number}": f"step:{section_name(trained, number)}" for number in later}
            clash = next((other for other in added if other in models), None)
            if clash:
                where = f"steps.{section.name}.models.{clash}"
                raise RecipeError(f"{recipe.at(where)}: a later round needs this name; give the model another")
            every |= added
    return replace(section, values={**section.values, "models": every})
