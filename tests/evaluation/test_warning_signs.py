"""Signs that training harmed how a model writes, and that a training goes wrong."""

import json

from mixpo.evaluation.warning_signs import signs
from mixpo.records import Score
from mixpo.training.warning_signs import signs as in_log


def score(model: str, metric: str, value: float) -> Score:
    return Score(
        id=f"{model}/{metric}", model=model, benchmark="nlvr", style="cot", category="all", metric=metric,
        value=value, low=0.0, high=1.0, n=10,
    )  # fmt: skip


def named(base: dict[str, float], mpo: dict[str, float]) -> list[str]:
    scores = [
        score(model, metric, value) for model, own in (("base", base), ("mpo", mpo)) for metric, value in own.items()
    ]
    return [sign["sign"] for sign in signs(scores)]


def test_length_drift_loops_and_inconsistency():
    base = {"accuracy": 0.5, "consistency": 0.3, "length": 40.0, "looping": 0.0}
    assert named(base, base) == []
    assert named(base, {**base, "length": 70.0}) == ["length_drift"]
    # Longer and right more often is what training a chain of thought is for.
    assert named(base, {**base, "length": 70.0, "accuracy": 0.6}) == []
    assert named(base, {**base, "length": 20.0}) == ["length_drift"]
    assert named(base, {**base, "looping": 0.05}) == ["looping"]
    assert named(base, {**base, "consistency": 0.25}) == ["inconsistent"]
    # Accuracy fell as much: nothing to say beyond that.
    assert named(base, {**base, "accuracy": 0.44, "consistency": 0.25}) == []
    assert named({**base, "looping": 0.05}, base) == ["looping"]


def test_sentences_name_the_numbers():
    (found,) = signs([score("base", "length", 40.0), score("mpo", "length", 70.0)])
    advice = "look at some (`mixpo view`); where nothing is gained, train with a lower learning_rate or higher beta"
    assert found["text"] == f"answers of mpo to nlvr (cot) have 70 tokens, those of base 40: {advice}"
    json.dumps(found)


def test_a_loop_of_the_base_model_is_not_blamed_on_training():
    base, mpo = (found["text"] for found in signs([score("base", "looping", 0.1), score("mpo", "looping", 0.1)]))
    assert "end in a loop: it did so before training" in base
    assert "end in a loop: train with a lower learning_rate" in mpo


def log(chosen: list[float], margins: list[float], held_out: list[float]) -> list[dict[str, float]]:
    steps = [{"logps/chosen": c, "rewards/margins": m} for c, m in zip(chosen, margins)]
    return steps + [{"eval_rewards/accuracies": value} for value in held_out]


def test_a_falling_log_probability_of_the_chosen_completions():
    """First quarter -100, last quarter -106: 6 % lower."""
    falling = log([-100.0] * 4 + [-103.0] * 8 + [-106.0] * 4, [0.0] * 16, [])
    assert in_log(falling) == {"chosen_falls": {"before": -100.0, "after": -106.0}}
    assert in_log(log([-100.0] * 12 + [-104.0] * 4, [0.0] * 16, [])) == {}
    assert in_log(falling[:7]) == {}  # too short to tell


def test_overfitting_to_the_pairs():
    growing = [0.1 * n for n in range(16)]
    assert in_log(log([-100.0] * 16, growing, [0.7, 0.8, 0.72])) == {"overfits": {"before": 0.8, "after": 0.72}}
    assert in_log(log([-100.0] * 16, growing, [0.7, 0.8, 0.78])) == {}
    assert in_log(log([-100.0] * 16, growing[::-1], [0.7, 0.8, 0.72])) == {}
