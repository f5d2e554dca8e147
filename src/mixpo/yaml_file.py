"""The YAML of a recipe or a study: its values and their lines; for anything else, a sentence what it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mixpo.errors import RecipeError
from mixpo.text_files import like, not_utf8

COMMANDS = {"recipe": "mixpo run", "study": "mixpo ablate"}
"""What is written in YAML, and what runs it."""
DATA = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow", ".xlsx")
MODEL = ("config.json", "adapter_config.json")
"""A folder with one of these is a model's."""
OF_A_RUN = ("questions", "responses", "verdicts", "pairs", "checkpoints", "evaluation")


def read_yaml(path: Path, kind: str, keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """The mapping that a recipe or a study (`kind`) is, and the line of every key below it, by its path with dots.

    Raises RecipeError for what is none, with the line where it is a mistake of YAML's; `keys` are those of the kind.
    """
    if path.is_dir() or not path.exists():
        raise RecipeError(_nothing(path, kind))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if path.suffix in DATA:
            raise RecipeError(_data(path, kind)) from error
        if isinstance(error, UnicodeDecodeError):
            raise RecipeError(str(not_utf8(path))) from error
        raise RecipeError(f"{path}: the {kind} cannot be read ({error}); check the path") from error
    lines: dict[str, int] = {}
    try:
        raw = _read(text, lines)
    except yaml.YAMLError as error:
        if path.suffix in DATA:
            raise RecipeError(_data(path, kind)) from error
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise RecipeError(f"{where}: not valid YAML ({getattr(error, 'problem', error)})") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: nested too deeply, or an anchor that stands in itself; write it out") from error
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


def _read(text: str, lines: dict[str, int]) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _note_lines(node, "", lines)
        return loader.construct_document(node)
    finally:
        loader.dispose()


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
