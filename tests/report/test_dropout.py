"""Tokens a DropoutNTP pair cost, from the files of a run to the table."""

from mixpo.files import RunFiles
from mixpo.records import Continuation, Dropped, DropReason, FinishReason
from mixpo.report.collect import DropoutCost, ReportData, collect
from mixpo.report.dropout import dropout_cost


def test_cost_per_pair(tmp_path):
    """Two pairs of 300 + 200 and 260 + 180 tokens and 100 in vain: (560 + 380 + 100) / 2 = 280 + 190 + 50 = 520."""
    files = RunFiles(tmp_path)
    files.continuations("dropout").append(
        Continuation(
            id=f"q/{number}/cut", question_id="q", response_id=f"q/{number}", ratio=0.5, with_image=False, kept="a",
            text="a b", finish_reason=FinishReason.STOP, kept_tokens=1, completion_tokens=written,
            response_tokens=whole,
        )
        for number, (whole, written) in enumerate([(300, 200), (260, 180)])
    )  # fmt: skip
    files.dropped("dropout").append([Dropped(id="q/2", step="dropout", reason=DropReason.SAME_TEXT, tokens=100)])
    data = collect(files)
    assert data.dropout_costs == {"dropout": DropoutCost(pairs=2, responses=560, continuations=380, lost=100)}
    data.steps["dropout"] = {"uses": "dropout", "ratio": 0.5, "with_image": False}
    ours, *published = dropout_cost(data).rows
    assert ours.cells == ["dropout (ratio 0.5, image left out)", "2", "280", "190", "50", "520"]
    assert [row.cells[-1] for row in published] == ["571", "993"]


def test_no_continuation_no_table():
    assert not dropout_cost(ReportData(name="x")).rows
    empty = ReportData(name="x", dropout_costs={"dropout": DropoutCost(0, 0, 0, 512)})
    assert not dropout_cost(empty).rows, "not even the published figures stand alone"
