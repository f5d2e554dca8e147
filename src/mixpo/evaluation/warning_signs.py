"""Signs, in an evaluation, that training harmed how a model writes: length, loops, contradicting answers."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mixpo.evaluation.scores import ALL
from mixpo.evaluation.writing import LOOPING_WARNING
from mixpo.files import RunFiles
from mixpo.records import Score
from mixpo.text_files import write_text

DRIFT = 1.5
"""Times longer or shorter that answers have to become while they are not right more often: longer chains of thought
that are right are what training is for."""
INCONSISTENT = 0.02
"""How much of the groups (a share) must no longer be answered alike, beyond what accuracy lost."""
NAMES = ("length", "accuracy", "consistency")
MESSAGES = {
    "length_drift": "answers of {model} to {benchmark} ({style}) have {after:.0f} tokens, those of {before_model} "
    "{before:.0f}: look at some (`mixpo view`); where nothing is gained, train with a lower learning_rate or higher "
    "beta",
    "looping": "{after:.1%} of the answers of {model} to {benchmark} ({style}) end in a loop: {advice}",
    "inconsistent": "{model} answers equivalent questions of {benchmark} ({style}) alike less often: {before:.1%} of "
    "the groups right with {before_model}, {after:.1%} now, though accuracy fell less: lower learning_rate, or add "
    "pairs of such questions",
}
ADVICE = "train with a lower learning_rate or a higher generation_weight"
OF_THE_FIRST = "it did so before training; another prompt or a smaller max_new_tokens may help"


def signs(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Each sign with its values and its sentence, `text`; the first model of the scores is what the others are compared
    with."""
    return [{**found, "text": _sentence(found)} for found in _signs(scores)]


def _sentence(found: dict[str, Any]) -> str:
    advice = OF_THE_FIRST if found["model"] == found["before_model"] else ADVICE
    return MESSAGES[found["sign"]].format(**found, advice=advice)


def _signs(scores: Sequence[Score]) -> Iterator[dict[str, Any]]:
    found = {(s.model, s.benchmark, s.style, s.metric): s.value for s in scores if s.category == ALL}
    models = list(dict.fromkeys(score.model for score in scores))
    for benchmark, style in dict.fromkeys((score.benchmark, score.style) for score in scores):
        for model in models:
            about = {"model": model, "benchmark": benchmark, "style": style, "before_model": models[0]}
            after = found.get((model, benchmark, style, "looping")) or 0.0
            if after > LOOPING_WARNING:
                yield {"sign": "looping", **about, "after": after}
            if model == models[0]:
                continue
            ends = [[found.get((m, benchmark, style, name)) for m in (models[0], model)] for name in NAMES]
            (short, long), (right, now_right), (same, now_same) = ends
            better = right is not None and now_right is not None and now_right > right
            if short and long and not better and not 1 / DRIFT <= long / short <= DRIFT:
                yield {"sign": "length_drift", **about, "before": short, "after": long}
            if right is None or now_right is None or same is None or now_same is None:
                continue
            if (same - now_same) - max(0.0, right - now_right) > INCONSISTENT:
                yield {"sign": "inconsistent", **about, "before": same, "after": now_same}


def write(rows: Sequence[dict[str, Any]], inner: RunFiles) -> None:
    """Writes `signatures.json` of an evaluation, which the report shows: of each sign its sentence is `text`."""
    write_text(inner.json("signatures"), json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
