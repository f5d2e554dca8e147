"""What the report draws of the funnel and of a training."""

import math

from markupsafe import Markup

from mixpo.notes import CountedQuestions
from mixpo.records import Outcome
from mixpo.report.collect import ReportData, Training
from mixpo.report.figures import Bar, Series, bars, line_chart
from mixpo.report.numbers import count, tick

CURVES = {
    "Loss": ("loss",),
    "Preference loss": ("loss/preference",),
    "Quality loss": ("loss/quality",),
    "Generation loss": ("loss/generation",),
    "Pairs whose chosen reward is higher": ("rewards/accuracies",),
    "Reward margin": ("rewards/margins",),
    "Rewards": ("rewards/chosen", "rewards/rejected"),
    "Log-probabilities of completions": ("logps/chosen", "logps/rejected"),
}
"""Title -> logged keys; a key's held-out value is logged as `eval_<key>`."""


def funnel(data: ReportData) -> list[tuple[str, Markup]]:
    """A title and a figure for each stage that the run has: questions, responses, verdicts, pairs, trained."""
    stages = [
        ("Questions", _sections({**data.questions, **data.demonstrations})),
        ("Responses", _sections({**data.responses, **data.continuations})),
    ]
    for section, outcomes in data.outcomes.items():
        stages.append((_title("Verdicts", section, len(data.outcomes)), _outcomes(outcomes)))
    for section, counted in data.funnels.items():
        title = _title("Questions answered", section, len(data.funnels))
        stages.append((title, _questions(counted, data.paired.get(section, 0))))
        if counted.pass_rates:
            title = _title("Questions by share of right responses", section, len(data.funnels))
            stages.append((title, _pass_rates(counted.pass_rates)))
    for section, origins in data.origins.items():
        title = _title("Pairs", section, len(data.origins))
        stages.append((title, _sections({str(origin): number for origin, number in sorted(origins.items())})))
    stages.append(("Trained on", _trained(data)))
    return [(title, bars(title, rows, max(row.value for row in rows))) for title, rows in stages if rows]


def _title(stage: str, section: str, sections: int) -> str:
    return stage if sections == 1 else f"{stage} ({section})"


def _sections(counts: dict[str, int]) -> list[Bar]:
    return [Bar(section, number, count(number)) for section, number in counts.items()]


def _questions(counted: CountedQuestions, paired: int) -> list[Bar]:
    """Of the questions that were answered: those whose responses were all right or all wrong teach nothing."""
    dropped = counted.dropped
    rows = [("answered", counted.answered, "t1")]
    rows += [("all right", dropped.get("all_correct", 0), "t0"), ("none right", dropped.get("none_correct", 0), "t0")]
    if by_wrong_steps := dropped.get("wrong_steps", 0):
        rows.append(("right by wrong steps alone", by_wrong_steps, "t0"))
    rows += [("gave pairs", paired, "t1")]
    return [Bar(label, number, count(number), tone) for label, number, tone in rows]


def _pass_rates(counted: dict[str, int]) -> list[Bar]:
    labels = sorted(counted, key=lambda label: (float(label.partition("-")[0]), "-" in label))
    return [Bar(label, counted[label], count(counted[label])) for label in labels]


def _outcomes(counts: dict[Outcome, int]) -> list[Bar]:
    total = sum(counts.values())
    tones = {Outcome.CORRECT: "good", Outcome.INCORRECT: "bad"}
    return [
        Bar(str(outcome), counts[outcome], f"{count(counts[outcome])} · {100 * counts[outcome] / total:.0f} %",
            tones.get(outcome, "t0"))
        for outcome in Outcome if counts.get(outcome)
    ]  # fmt: skip


def _trained(data: ReportData) -> list[Bar]:
    rows = []
    for training in data.trainings:
        lost = sum(drops.count for drops in data.drops if drops.section == training.section)
        used = training.offered - lost if training.used is None else training.used
        rows.append(Bar(training.section, used, count(used)))
    return rows


def curves(training: Training) -> list[tuple[str, Markup]]:
    """A title and a chart for everything of interest that was logged."""
    charts = []
    for title, keys in CURVES.items():
        lines = []
        for key, tone in zip(keys, ("t1", "bad")):
            name, held_out, other = "training", "held-out", "t2"
            if len(keys) > 1:
                name = key.rpartition("/")[2]
                held_out, other = f"{name}, held-out", tone
            lines.append(Series(name, _points(training, key), tone))
            lines.append(Series(held_out, _points(training, f"eval_{key}"), other, dotted=True))
        lines = [line for line in lines if line.points]
        if lines:
            charts.append((title, line_chart(title, lines, _expected(training) if keys == ("loss",) else None)))
    return charts


def _points(training: Training, key: str) -> list[tuple[float, float]]:
    return [(row["step"], row[key]) for row in training.steps if key in row]


def _expected(training: Training) -> tuple[float, float, str] | None:
    """Where theory puts the first step's loss: 0.8 ln 2 + 0.4 ln 2 + generation loss."""
    for row in training.steps:
        if math.isfinite(row.get("expected_first_loss", math.nan)):
            return row["step"], row["expected_first_loss"], f"expected: {tick(row['expected_first_loss'])}"
    return None


def broken_steps(training: Training) -> int:
    """Steps at which something logged was NaN or infinite."""
    return sum(any(not math.isfinite(value) for value in row.values()) for row in training.steps)
