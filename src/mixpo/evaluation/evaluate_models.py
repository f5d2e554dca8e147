"""`mixpo evaluate --model M --benchmark mathvista --prompt cot,direct`: an evaluation without a recipe."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mixpo.config import build
from mixpo.errors import RecipeError, UserError
from mixpo.evaluation.benchmarks import source
from mixpo.evaluation.evaluate import Config, evaluate
from mixpo.evaluation.same_questions import refuse_changed_questions
from mixpo.evaluation.table import show
from mixpo.files import RunFiles
from mixpo.prompts import Style
from mixpo.registry import chosen
from mixpo.responses.backends.make import make_backend
from mixpo.yaml_file import parse_value


def evaluate_models(
    models: Sequence[str],
    benchmarks: Sequence[str],
    prompts: str,
    out: Path,
    options: Sequence[str] = (),
    max_new_tokens: int | None = None,
) -> None:
    """Evaluates models, each a path, a hub name or `name=path`, on benchmarks, each `name` or `name=path to a copy`.

    A name that no benchmark has, with a path, is a file of questions of one's own (`mixpo.questions.file`).

    `options` are further fields of the benchmarks, `split=test` or `mathvista.limit=100`. Raises UserError.
    """
    values: dict[str, Any] = {
        "models": _models(models),
        "benchmarks": _benchmarks(benchmarks, options),
        "styles": _styles(prompts),
    }
    if max_new_tokens is not None:
        values["max_new_tokens"] = max_new_tokens
    config = build(Config, values, "evaluate")
    files = RunFiles(out)
    for name, asked in config.benchmarks.items():
        if asked["loader"] == "file":
            refuse_changed_questions(name, asked, files.evaluation(config.name))
    evaluate(config, files, partial(make_backend, inputs=config.inputs), show)


def _models(models: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for model in models:
        name, equals, path = model.partition("=")
        if not equals:
            name, path = Path(model).name, model
        name = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).lstrip("-")
        if name in found:
            raise UserError(f"two models are called {name!r}; write --model NAME=PATH")
        found[name] = path
    return found


def _benchmarks(benchmarks: Sequence[str], options: Sequence[str]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for text in benchmarks:
        name, loader, path = source.named(text, "--benchmark")
        if name in found:
            raise UserError(f"two benchmarks are called {name!r}; write --benchmark NAME=PATH with another name")
        found[name] = {"loader": loader, **({"path": path} if path else {})}
    for option in options:
        key, equals, value = option.partition("=")
        of, dot, field = key.rpartition(".")
        if not equals or (dot and of not in found):
            raise RecipeError(
                f"option {option!r}: write FIELD=VALUE or BENCHMARK.FIELD=VALUE, of a benchmark asked for"
            )
        for name in [of] if dot else found:
            found[name][field] = _value(option, value)
    return found


def _value(option: str, text: str) -> Any:
    """Numbers, mappings and lists; other text stays as it is: YAML would make false of `no`."""
    if text[:1] not in ("{", "["):
        return int(text) if text.isdecimal() else text
    return parse_value(text, f"option {option!r}")


def _styles(prompts: str) -> list[str]:
    styles = [style.strip() for style in prompts.split(",") if style.strip()]
    return [chosen(style, Style, "--prompt") for style in styles]
