"""What a DropoutNTP pair cost in tokens, beside what was published."""

from mixpo.report.accuracy import Table, TableRow
from mixpo.report.collect import ReportData
from mixpo.report.numbers import count

PUBLISHED = {
    "DropoutNTP in the MPO paper (arXiv 2411.10442)": 571,
    "RLAIF-V's divide and conquer, as the MPO paper gives it": 993,
}
"""Tokens a pair; other models, questions and lengths of responses, so they are a scale and no contest."""


def dropout_cost(data: ReportData) -> Table:
    """A line for each section of continuations, then the published figures; no line when there is no continuation."""
    rows = []
    for section, cost in data.dropout_costs.items():
        if not cost.pairs:
            continue
        parts = (cost.responses / cost.pairs, cost.continuations / cost.pairs, cost.lost / cost.pairs)
        values = data.steps.get(section, {})
        shown = (
            f"{section} (ratio {values.get('ratio', '?')}, image {'kept' if values.get('with_image') else 'left out'})"
        )
        rows.append(TableRow([shown, count(cost.pairs), *map(count, parts), count(sum(parts))], strong=True))
    if rows:
        rows += [TableRow([name, "", "", "", "", count(tokens)]) for name, tokens in PUBLISHED.items()]
    heads = ["Section", "Continuations", "Response", "Continuation", "Left out", "Tokens a pair"]
    return Table("DropoutNTP: tokens that the model wrote for a pair", heads, rows)
