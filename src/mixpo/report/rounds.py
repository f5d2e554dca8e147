"""A line for each round of iterated MPO: what was sampled, how much of it was right, and the accuracy it led to."""

from mixpo.prompts import Style
from mixpo.records import Outcome
from mixpo.references import Output, read_of, references
from mixpo.report.accuracy import ALL, Table, TableRow, style_name
from mixpo.report.collect import Evaluation, ReportData
from mixpo.report.numbers import count, percent


def rounds(data: ReportData) -> Table:
    """Without lines when no training on pairs went on from another one's model."""
    chain = _chain(data)
    columns = [(e, name) for e in data.evaluations for name in dict.fromkeys(score.benchmark for score in e.scores)]
    heads = ["Round", "Responses", "Right", "Pairs", "Optimizer steps"]
    heads += [f"{benchmark}, {style_name(_style(evaluation))}" for evaluation, benchmark in columns]
    rows = []
    for number, section in enumerate(chain, 1):
        cells = [f"{number} ({section})", *_made(data, section)]
        cells += [_accuracy(data, evaluation, benchmark, section) for evaluation, benchmark in columns]
        rows.append(TableRow(cells))
    return Table("Rounds, each with the model of the one before it", heads, rows)


def _chain(data: ReportData) -> list[str]:
    """Trainings on pairs, each begun from the model of the one before; empty when there are no two."""
    trained = [
        name for name, values in data.steps.items()
        if values.get("uses") == "train" and read_of(values, Output.PAIRS)
    ]  # fmt: skip
    parents = {name: read_of(data.steps[name], Output.MODEL) for name in trained}
    chain = [name for name in trained if parents[name] in trained]
    return [parents[chain[0]], *chain] if chain else []


def _made(data: ReportData, section: str) -> list[str]:
    """Responses, the share of right ones, pairs and optimizer steps; empty for what has not run."""
    pairs = read_of(data.steps[section], Output.PAIRS)
    values = data.steps.get(pairs, {})
    responses = data.responses.get(read_of(values, Output.RESPONSES))
    outcomes = data.outcomes.get(read_of(values, Output.VERDICTS))
    origins = data.origins.get(pairs)
    steps = next((len(training.steps) for training in data.trainings if training.section == section), None)
    return [
        "" if responses is None else count(responses),
        percent(outcomes[Outcome.CORRECT] / outcomes.total()) if outcomes else "",
        "" if origins is None else count(origins.total()),
        "" if steps is None else count(steps),
    ]


def _style(evaluation: Evaluation) -> str:
    styles = [score.style for score in evaluation.scores]
    return Style.COT if Style.COT in styles else styles[-1]


def _accuracy(data: ReportData, evaluation: Evaluation, benchmark: str, section: str) -> str:
    """Of the model that the section trained, where the evaluation asked it."""
    read = references(data.steps.get(evaluation.name, {}))
    names = [reference.field.removeprefix("models.") for reference in read if reference.section == section]
    wanted = (benchmark, _style(evaluation), ALL, "accuracy")
    for score in evaluation.scores:
        if score.model in names and (score.benchmark, score.style, score.category, score.metric) == wanted:
            return percent(score.value)
    return ""
