"""The recipe as text: commented, and no longer than it must be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from mixpo.init.sizes import Sizes


@dataclass(kw_only=True)
class Draft:
    """What a recipe is written from."""

    name: str
    run: str
    model: str
    command: str
    """That wrote it."""
    file: str
    sizes: Sizes
    said: list[str] = field(default_factory=list)
    """What was understood of the data, a line each."""
    source: dict[str, Any] | None = None
    """Of questions."""
    open_ended: bool = False
    """Some have no ground truth."""
    judged: bool = True
    """Some have one."""
    pairs: dict[str, Any] | None = None
    """Of an `import`."""
    held_out_pairs: bool = False
    test: dict[str, Any] | None = None
    """What is evaluated on, as a source."""
    test_said: str = ""


def recipe(draft: Draft) -> str:
    """The YAML text."""
    comments = [f"Written by `{draft.command}`.", *draft.said, *draft.sizes.notes]
    lines = [f"# {' '.join(line.split())}" for line in comments]  # a reason may have several lines
    lines += [
        f"# What it would do and cost: mixpo run {draft.file} --dry-run.  Do it: mixpo run {draft.file}",
        "# What else can be said of a step: mixpo fields sample (train, evaluate ...)",
        *_plain({"name": draft.name, "run": draft.run, "seed": 0, "model": draft.model}),
        "steps:",
    ]
    steps = [*_questions(draft)] if draft.pairs is None else [*_pairs(draft)]
    steps += [*_train(draft), *_evaluate(draft), "# One page with all of it: report.html in the run folder."]
    steps += ["report: {}"]
    return "\n".join([*lines, *(f"  {line}" for line in steps)]) + "\n"


def _plain(values: Mapping[str, Any]) -> Iterable[str]:
    return (f"{key}: {_flow(value)}" for key, value in values.items())


def _flow(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.strip().removesuffix("...").strip()


def _questions(draft: Draft) -> Iterable[str]:
    assert draft.source is not None
    source = draft.source | ({"limit": draft.sizes.limit} if draft.sizes.limit else {})
    yield "questions:"
    yield "  sources:"
    yield f"    {draft.name}: {_flow(source)}"
    yield "# The model answers each question n times: some right, some wrong."
    sample = {"n": draft.sizes.n, "max_new_tokens": draft.sizes.max_new_tokens}
    yield f"sample: {_flow(sample | ({'temperature': 1.0} if draft.model == 'base' else {}))}"
    if draft.judged:
        yield "verify: {}"
    if draft.open_ended:
        yield "# Questions without a ground truth: half a response, continued without the picture, is the worse one."
        yield f"dropout: {_flow({'max_new_tokens': draft.sizes.max_new_tokens})}"
    yield "# A right response beside a wrong one: a preference pair; at most so many a question."
    yield f"pair: {_flow({'max_pairs': 15})}"


def _pairs(draft: Draft) -> Iterable[str]:
    yield f"import: {_flow(draft.pairs)}"


def _train(draft: Draft) -> Iterable[str]:
    train = dict(draft.sizes.train)
    if draft.held_out_pairs and train.get("reference") != "cached":
        yield "# A tenth of the prompts is held out: the report shows how well their pairs are told apart."
        train |= {"held_out": 0.1, "save_steps": 10, "logging_steps": 1}
    yield "train:"
    yield from (f"  {line}" for line in _plain(train))


def _evaluate(draft: Draft) -> Iterable[str]:
    if draft.test is None:
        yield "# To see what it has learned, questions that were not trained on, in any file that mixpo reads:"
        yield "# evaluate:"
        yield f"#   models: {_flow({'before': draft.model, 'after': 'step:train'})}"
        yield "#   benchmarks: {held-out: {loader: file, path: test.jsonl}}"
        return
    yield f"# Before and after, on {draft.test_said}."
    yield "evaluate:"
    yield f"  models: {_flow({'before': draft.model, 'after': 'step:train'})}"
    yield "  benchmarks:"
    yield f"    held-out: {_flow(draft.test)}"
    yield f"  styles: {_flow(list(draft.sizes.styles))}"
    yield f"  max_new_tokens: {draft.sizes.max_new_tokens}"
