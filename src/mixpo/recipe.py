"""YAML recipe -> sections, strict: an unknown key or a wrong type fails at once, with file and line.

name: quickstart
run: runs/quickstart          # the run folder
seed: 0                       # fills `seed` of every section that does not state it
model: base                   # the same for `model`, `system` (the system prompt), `images`, `chat_template` and
                              # `trust_remote_code`
rounds: 1                     # more: sample again with the trained model, and train on from it
steps:                        # sections, in order; a section is named after its step …
  questions: {…}
  sample: {…}
  warmup: {uses: train, …}    # … or says which step it uses
"""

import dataclasses
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mixpo.config import build, refuse_unknown
from mixpo.errors import RecipeError
from mixpo.names import at_home, is_folder_name, wrong_name, wrong_run_name
from mixpo.yaml_file import parse_value, read_yaml

T = TypeVar("T")
SHARED = ("seed", "model", "system", "images", "chat_template", "trust_remote_code")
TOP_LEVEL = ("name", "run", *SHARED, "rounds", "steps", "versions")
"""`versions` is what a run folder's resolved recipe says of the run that wrote it; it is read over."""


@dataclasses.dataclass(frozen=True)
class Section:
    """One entry of `steps`: which step, and the values given for it."""

    name: str
    step: str
    values: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe as written, overrides applied; sections become dataclasses when their step is known."""

    path: str
    name: str
    run: str
    shared: dict[str, Any]
    sections: dict[str, Section]
    lines: dict[str, int]
    rounds: int = 1
    overrides: tuple[str, ...] = ()
    """As they were given."""
    command: str = "mixpo run"
    """What runs it."""
    given: str = ""
    """The run folder, where it was given instead of the recipe's own path."""

    def at(self, key: str) -> str:
        """`file:line: key`, for messages; the line of the closest enclosing key that the file has."""
        probe = key
        while probe and probe not in self.lines:
            probe = probe.rpartition(".")[0]
        line = f":{self.lines[probe]}" if probe in self.lines else ""
        return f"{self.path}{line}: {key}" if key else f"{self.path}{line}"

    def config(self, section: Section, config_type: type[T]) -> T:
        """The section's dataclass; its name and what is `SHARED` are filled in where it has such a field."""
        if wrong := wrong_name(section.name, "a section"):
            raise RecipeError(f"{self.at(f'steps.{section.name}')}: {wrong}")
        names = {field.name for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
        values = {key: value for key, value in self.shared.items() if key in names}
        if section.values.get("name", section.name) != section.name:
            where = self.at(f"steps.{section.name}.name")
            raise RecipeError(f"{where}: a section's name is what it stands under; rename the section")
        if "name" in names:
            values["name"] = section.name
        where = f"steps.{section.name}"

        def at(place: str) -> str:
            """Of a value that the section does not state itself: where the recipe's top does."""
            shared = place.removeprefix(f"{where}.")
            name = shared.partition(".")[0]
            return self.at(shared if name in self.shared and name not in section.values else place)

        return build(config_type, {**values, **section.values}, where, at)


def load_recipe(path: Path | str, overrides: typing.Sequence[str] = ()) -> Recipe:
    """Reads a recipe, or a run folder's, and applies `section.field=value` overrides.

    Raises RecipeError with file and line.
    """
    path = at_home(path)
    if (path / "recipe.yaml").exists():  # a run folder: its own recipe, wherever the folder has been moved to
        return dataclasses.replace(load_recipe(path / "recipe.yaml", overrides), given=str(path), run=str(path))
    raw, lines = read_yaml(path, "recipe", TOP_LEVEL)
    for override in overrides:
        _apply(raw, override)
    return dataclasses.replace(_recipe(str(path), raw, lines), overrides=tuple(overrides))


def _recipe(path: str, raw: dict, lines: dict[str, int]) -> Recipe:
    recipe = Recipe(path, "", "", {}, {}, lines)
    refuse_unknown(raw, TOP_LEVEL, "", recipe.at)
    steps = raw.get("steps")
    if not isinstance(steps, dict) or not steps:
        raise RecipeError(f"{recipe.at('steps')}: must list at least one step, for example `sample: {{}}`")
    sections = {}
    for name, values in steps.items():
        values = {} if values is None else values
        if not isinstance(values, dict):
            raise RecipeError(f"{recipe.at(f'steps.{name}')}: must be a mapping, not {values!r}")
        # A saved recipe says the name, too.
        rest = {key: value for key, value in values.items() if key != "uses" and (key, value) != ("name", name)}
        sections[str(name)] = Section(str(name), str(values.get("uses", name)), rest)
    name, run = named(raw, path, recipe.at)
    shared = {key: raw[key] for key in SHARED if key in raw}
    rounds = raw.get("rounds", 1)
    if type(rounds) is not int or rounds < 1:
        raise RecipeError(f"{recipe.at('rounds')}: must be a whole number from 1 on, not {rounds!r}")
    return Recipe(path, name, run, shared, sections, lines, rounds)


def named(raw: dict, path: str, at: Callable[[str], str]) -> tuple[str, str]:
    """Name and run folder of a recipe or a study; what says no folder lies in `runs/`, under its name.

    Raises RecipeError for a name that leads elsewhere or is no text, and for what no folder can be called.
    """
    for key in ("name", "run"):
        if isinstance(raw.get(key), dict | list | bool):
            raise RecipeError(f"{at(key)}: must be text, not {raw[key]!r}")
    name = str(raw.get("name") or Path(path).stem)
    if raw.get("run"):
        run = str(at_home(str(raw["run"])))
        if not is_folder_name(run):
            raise RecipeError(f"{at('run')}: no folder can be called so; give another path")
        return name, run
    if wrong := wrong_run_name(name):
        raise RecipeError(f"{at('name')}: {wrong}")
    return name, f"runs/{name}"


def _apply(raw: dict, override: str) -> None:
    """`sample.n=8` sets it in section `sample`; `seed=1` and `images.max_pixels=200000` at the top."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"override {override!r}: write it as section.field=value")
    value = parse_value(text, f"override {override!r}")
    *parents, last = key.split(".")
    at_top = parents[0] in SHARED and parents[0] not in (raw.get("steps") or {}) if parents else last in TOP_LEVEL
    if not at_top:
        parents = ["steps", *parents]
    place = raw
    for number, parent in enumerate(parents):
        found = place.get(parent)
        if number == 1 and parent not in place:
            raise RecipeError(f"override {override!r}: the recipe has no section {parent!r}; it has {', '.join(place)}")
        if found is None:
            found = place[parent] = {}
        if not isinstance(found, dict):
            raise RecipeError(f"override {override!r}: {parent!r} is not a mapping")
        place = found
    place[last] = value
