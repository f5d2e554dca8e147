"""The YAML of a recipe or a study: its values and their lines; for anything else, a sentence what it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mixpo.errors import DataError, RecipeError, first_line
from mixpo.text_files import damaged, like, read_bytes

COMMANDS = {"recipe": "mixpo run", "study": "mixpo ablate"}
"""What is written in YAML, and what runs it."""
DATA = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow", ".xlsx")
MODEL = ("config.json", "adapter_config.json")
"""A folder with one of these is a model's."""
OF_A_RUN = ("questions", "responses", "verdicts", "pairs", "checkpoints", "evaluation")

LARGEST = 4 << 20
"""Bytes of a file of YAML: a recipe takes thousands, and each million takes seconds to read."""
MOST_VALUES = 200_000
"""Values that all anchors written out come to: nine aliases of nine aliases … are billions in a few lines."""


def read_yaml(path: Path, kind: str, keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """The mapping that a recipe or a study (`kind`) is, and the line of every key below it, by its path with dots.

    Raises RecipeError for what is none, with the line where it is a mistake of YAML's; `keys` are those of the kind.
    """
    if path.is_dir() or not path.exists():
        raise RecipeError(_nothing(path, kind))
    try:
        text = read_bytes(path, LARGEST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if path.suffix in DATA:
            raise RecipeError(_data(path, kind)) from error
        raise RecipeError(str(damaged(path, error, f"give the {kind}'s file, in UTF-8"))) from error
    lines: dict[str, int] = {}
    try:
        raw = parse(text, lines)
    except yaml.YAMLError as error:
        if path.suffix in DATA:
            raise RecipeError(_data(path, kind)) from error
        raise RecipeError(_invalid(path, error)) from error
    _refuse_other(path, raw, lines, kind, keys)
    return raw, lines


def _refuse_other(path: Path, raw: Any, lines: Mapping[str, int], kind: str, keys: Sequence[str]) -> None:
    """Raises RecipeError for values that are no mapping, those of the other kind, or data."""
    own = {"recipe": "steps", "study": "study"}
    has = [name for name, key in own.items() if isinstance(raw, dict) and key in raw]
    if has and kind not in has:
        where = f"{path}:{lines[own[has[0]]]}: {own[has[0]]}"
        raise RecipeError(f"{where}: this is a {has[0]}; run it with `{COMMANDS[has[0]]} {path}`")
    if not has and path.name in MODEL:
        raise RecipeError(_model(path.parent, kind))
    if not has and path.suffix in DATA:
        raise RecipeError(_data(path, kind))
    if raw is None:
        raise RecipeError(f"{path} is empty; a {kind} has the keys {', '.join(keys)}")
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}: a {kind} is a mapping with the keys {', '.join(keys)}")


def _nothing(path: Path, kind: str) -> str:
    """Of a path that is no file."""
    if not path.is_dir():
        return f"{path} is not there; {like(path) or f'give the path of a {kind}'}"
    if any((path / name).is_file() for name in MODEL):
        return _model(path, kind)
    found = sorted(str(file) for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
    instead = f"; give the file: {', '.join(found[:3])}{' …' * (len(found) > 3)}" if found else ""
    if kind == "study":
        return f"{path} is a folder, no study{instead}"
    if not instead and any((path / name).is_dir() for name in OF_A_RUN):
        instead = ", though it has records of a run; give the recipe itself"
    return f"{path} is no run folder: it has no recipe.yaml{instead}"


def _data(path: Path, kind: str) -> str:
    return f"{path} is data, no {kind}: a recipe names the data and says what is done (`mixpo init` writes one)"


def _model(folder: Path, kind: str) -> str:
    name = folder if folder.is_absolute() else f"./{folder}"
    return f"{folder} is a model, no {kind}: a recipe names it (model: {name}), `mixpo evaluate` takes it as --model"


def read_saved(path: Path) -> dict[str, Any]:
    """The recipe that a run was last begun with: each of its `steps` is a mapping, under a name that is text. Raises
    DataError for a file that holds none."""
    try:
        saved = parse(read_bytes(path, LARGEST).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, error) from error
    except yaml.YAMLError as error:
        raise DataError(f"{_invalid(path, error)}; delete it, then run again") from error
    steps = saved.get("steps", {}) if isinstance(saved, dict) else None
    if not isinstance(steps, dict) or not all(isinstance(values, dict | None) for values in steps.values()):
        raise DataError(f"{path} is no saved recipe (a mapping with `steps`); delete it, then run again")
    return {**saved, "steps": {str(name): values or {} for name, values in steps.items()}}


def parse_value(text: str, given: str) -> Any:
    """The value of an option or an override, `given`. Raises RecipeError for what is no YAML."""
    try:
        return parse(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{given}: the value is not valid YAML") from error


def _invalid(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    return f"{where}: not valid YAML ({getattr(error, 'problem', None) or first_line(error)})"


def parse(text: str, lines: dict[str, int] | None = None) -> Any:
    """The value of a YAML text; `lines` takes the line of every key. Raises yaml.YAMLError, and nothing else."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:  # a control character
        mark = yaml.Mark("", 0, text.count("\n", 0, error.position), 0, "", 0)
        raise yaml.MarkedYAMLError(problem=error.reason, problem_mark=mark) from error
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {})
        if lines is not None:
            _note_lines(node, "", lines)
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.MarkedYAMLError(problem="nested too deeply") from error
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Says of every value that cannot be made of its text where it stands."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            # The 31st of February, !!int without digits: each of PyYAML's types has its own way to fail.
            raise yaml.MarkedYAMLError(problem=first_line(error), problem_mark=node.start_mark) from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node comes to when every alias is written out. Raises MarkedYAMLError for too many."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES  # what stands in itself has no end
        below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        inside = below if isinstance(node, yaml.CollectionNode) else ()
        known[id(node)] = 1 + sum(_size(part, known) for part in inside)
    if known[id(node)] > MOST_VALUES - 1:
        problem = f"an anchor that stands in itself, or aliases of more than {MOST_VALUES:,} values; write it out"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    return known[id(node)]


def _note_lines(node: yaml.Node, prefix: str, lines: dict[str, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}.{key.value}" if prefix else str(key.value)
            if path in lines:
                raise yaml.MarkedYAMLError(problem=f"the key {path} stands twice", problem_mark=key.start_mark)
            lines[path] = key.start_mark.line + 1
            _note_lines(value, path, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[f"{prefix}.{number}"] = value.start_mark.line + 1
            _note_lines(value, f"{prefix}.{number}", lines)
