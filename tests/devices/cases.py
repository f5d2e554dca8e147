"""Cases of `scripts/step_memory.py`: what the plan says of them, without a GPU."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from mixpo.batches.layout import Layout
from mixpo.models.shape import Prompt, Shape, shape_of, tower_tokens
from mixpo.training.memory import Setup
from published import MODELS, examples, make


@cache
def shape_named(model: str) -> Shape:
    return shape_of(make(MODELS[model](), device="meta"))


def prompts_of(model: str, **pairs: int) -> list[Prompt]:
    """The lengths of `published.examples`."""
    found: dict[bytes, Prompt] = {}
    config, patch = MODELS[model](), shape_named(model).patch
    for example in examples(config, **pairs):
        before = found.get(example.key or b"")
        completions = (*(before.completions if before else ()), *map(len, example.completions))
        found[example.key or b""] = Prompt(
            tokens=len(example.prompt_ids),
            completions=completions,
            images=tower_tokens(example.image_inputs, patch),
            image_tokens=example.prompt_ids.count(config.image_token_id),
        )
    return list(found.values())


def setup_from(given: dict[str, Any]) -> Setup:
    """From JSON."""
    layout = Layout(given.get("layout", Layout.SHARED))
    return Setup(**{**given, "layout": layout, "freeze": frozenset(given.get("freeze", ()))})
