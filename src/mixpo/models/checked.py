"""What a model's folder says is looked at before anything is made of it: it may be damaged, or crafted.

Sizes that no model has would take all memory, or for ever, before anybody could say what is wrong; a name in an index
may lead out of the folder. What else is wrong makes transformers fail, in one of a hundred ways: `loading` says it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from mixpo.errors import UserError, first_line
from mixpo.models.weight_files import INDEX, WEIGHTS, weight_names
from mixpo.progress import say

TOLD_BY = ("config.json", "processor_config.json", "preprocessor_config.json")
MOST_OF = {
    **{"layers": 1_000, "depth": 1_000, "blocks": 1_000, "experts": 4_096},
    **{"image_seq_length": 100_000, "height": 20_000, "width": 20_000},
}
"""The largest value of a field whose name ends so. Layers, blocks and experts are objects of their own, the largest
models have some hundred; the others are the tokens and the sides of a picture."""
PACKED = 16
"""Weights that one stored number of a quantised checkpoint may hold."""
SMALL = 10**8
"""Weights that may be missing before they are counted: a model of so many does no harm."""


@contextmanager
def loading(path: str) -> Iterator[None]:
    """Raises UserError instead of whatever is raised for a model's folder that is damaged, crafted, or of another
    kind."""
    try:
        yield
    except BaseException as error:
        # Rust's own kind of error is none of Python's: a tokenizer that the library did not expect.
        if isinstance(error, UserError) or not (isinstance(error, Exception) or type(error).__name__ == _RUST):
            raise
        if type(error).__name__ == "OutOfMemoryError":  # torch's; whoever loads may have less to load
            raise
        raise UserError(f"model {path!r} cannot be loaded as a vision-language model: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Why a model's folder cannot be loaded, in a line."""
    told, line = str(error), first_line(error)
    if "trust_remote_code" in told:
        return CODE
    if "ignore_mismatched_sizes" in told:  # it refers to a table that is not shown
        return "its weights have other shapes than its config says"
    said = " ".join(told.split()) if line.endswith(":") else line
    return said if len(said) <= WORDS else f"{said[:WORDS]}…"


_RUST = "PanicException"
WORDS = 200
"""Characters of a reason that are told."""
CODE = (
    "it brings code of its own, which is run only where a recipe says `trust_remote_code: true`; read that code first, "
    "or take a model that transformers knows by itself"
)


@cache
def say_trusted(path: str) -> None:
    """That a model's own code may run, once."""
    say(f"note: trust_remote_code: code that comes with {path} is run")


def refuse_crafted(path: str, trusted: bool) -> None:
    """Raises UserError for a model's folder that says what no model says, or leads to another one.

    `trusted`: whether code that comes with it may run, which is said then. The hub's models are as it has them.
    """
    if trusted:
        say_trusted(path)
    refuse_adapter(path)
    for name in TOLD_BY:
        file = Path(path) / name
        if file.is_file():
            _refuse_extremes(_object(file), file, trusted)


def refuse_adapter(path: str) -> None:
    """Raises UserError for a folder with an adapter of peft's, which would be loaded with whatever model it names."""
    told = Path(path) / "adapter_config.json"
    if told.is_file():
        base = _object(told).get("base_model_name_or_path") or "its base model"
        raise UserError(
            f"model {path!r} is an adapter alone, of {base}: merge it into that (peft: PeftModel.from_pretrained, "
            "merge_and_unload), save the model and its processor to a folder, and give that"
        )


def _object(file: Path) -> Mapping[str, Any]:
    """The JSON object in a file. Raises UserError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({first_line(error)}); take it as its publisher has it") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} holds no JSON object; take it as its publisher has it")
    return found


def _refuse_extremes(told: Mapping[str, Any], file: Path, trusted: bool, where: str = "") -> None:
    for name, value in told.items():
        most = next((most for end, most in MOST_OF.items() if name.endswith(end)), None)
        if isinstance(value, Mapping):
            _refuse_extremes(value, file, trusted, f"{where}{name}.")
        elif most is not None and isinstance(value, int | float) and not 0 <= value <= most:
            raise UserError(
                f"{file}: {where}{name} is {value:.6g}, and no model has more than {most:,}; take the file as its "
                "publisher has it"
            )
        elif name.endswith("attn_implementation") and "/" in str(value) and not trusted:
            raise UserError(f"{file}: {where}{name} {value!r} is code on the hub: {CODE}")


def refuse_missing(parameters: int, path: str, quantized: bool) -> None:
    """Raises UserError where a folder's files hold far fewer weights than the model of its config has: room for the
    others would be made, and filled with noise."""
    stored = stored_weights(Path(path))
    if stored is None:
        return
    if parameters > 2 * max(stored * (PACKED if quantized else 1), SMALL):
        raise UserError(
            f"model {path!r} cannot be loaded: by its config.json it has {parameters:,} weights, its files hold "
            f"{stored:,}; take all files from one place"
        )


def stored_weights(folder: Path) -> int | None:
    """How many numbers a folder's safetensors files hold, by their headers; None where there are none.

    Raises UserError for an index that is none or leads out of the folder.
    """
    from safetensors import safe_open

    if not (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        return None
    try:
        names = weight_names(folder)
    except ValueError as error:
        raise UserError(f"{folder}: {error}; take it as its publisher has it") from error
    found = 0
    for name in names:
        with safe_open(folder / name, framework="pt") as weights:
            for key in weights.keys():  # noqa: SIM118 (not a dictionary)
                numbers = 1
                for side in weights.get_slice(key).get_shape():
                    numbers *= side
                found += numbers
    return found
