"""The app's first page: accuracy before and after, the funnel, training curves; counted by the store's tables."""

from collections import Counter
from typing import Any

from mixpo.app.confined import inside_run, json_inside
from mixpo.app.store import Store, steps
from mixpo.files import RunFiles
from mixpo.records import Comparison, DropReason, Origin, Outcome
from mixpo.report.collect import Drops, Evaluation, ReportData, training_of


def overview(store: Store, files: RunFiles) -> ReportData:
    """What can be said now: of responses, pairs and drops only when the tables have them."""
    data = ReportData(name=files.root.resolve().name, steps=steps(files))
    data.questions = _counts(store, "questions")
    data.outcomes = _tallies(store, "verdicts", "outcome", Outcome)
    data.evaluations = _evaluations(files)
    if store.wait(0):
        data.responses = _counts(store, "responses")
        data.origins = _tallies(store, "pairs", "origin", Origin)
        asked = store.rows("SELECT section, count(DISTINCT question_id) AS n FROM pairs GROUP BY section")
        data.paired = {row["section"]: row["n"] for row in asked}
        data.drops = _drops(store)
        for section in data.origins:
            counted = json_inside(files.root, files.json(f"funnel/{section}"))
            if isinstance(counted, dict) and isinstance(counted.get("dropped"), dict) and "answered" in counted:
                data.funnels[section] = counted
    add_trainings(data, files)
    return data


def add_trainings(data: ReportData, files: RunFiles) -> None:
    """The curves as they stand in the logs: what is asked for again while a run trains."""
    tokens: Counter[str] = Counter()
    for section in files.sections("checkpoints"):
        log = files.checkpoints(section) / "log.jsonl"
        if inside_run(files.root, log):
            training = training_of(data, files, section, tokens)
            if training.steps:
                data.trainings.append(training)


def _counts(store: Store, table: str) -> dict[str, int]:
    rows = store.rows(f"SELECT section, count(*) AS n FROM {table} GROUP BY section ORDER BY section")
    return {row["section"]: row["n"] for row in rows}


def _tallies(store: Store, table: str, column: str, kind: Any) -> dict[str, Counter[Any]]:
    """Section -> how often each value of an enum stands in a column; others are not ours and not counted."""
    found: dict[str, Counter[Any]] = {}
    for row in store.rows(f"SELECT section, {column} AS value, count(*) AS n FROM {table} GROUP BY ALL ORDER BY 1"):
        if row["value"] in list(kind):
            found.setdefault(row["section"], Counter())[kind(row["value"])] = row["n"]
    return found


def _drops(store: Store) -> list[Drops]:
    sql = "SELECT section, step, reason, sum(coalesce(count, 1)) AS n FROM dropped GROUP BY ALL ORDER BY n DESC"
    return [
        Drops(row["section"], str(row["step"]), DropReason(row["reason"]), int(row["n"]), [])
        for row in store.rows(sql)
        if row["reason"] in list(DropReason)
    ]


def _evaluations(files: RunFiles) -> list[Evaluation]:
    found = []
    for section in files.sections("evaluation"):
        inner = files.evaluation(section)
        shards = inner.scores()
        rows = json_inside(files.root, inner.json("comparisons")) or []
        if not all(inside_run(files.root, path) for path in shards.paths()) or not isinstance(rows, list):
            continue
        try:
            found.append(Evaluation(section, list(shards), [Comparison(**row) for row in rows]))
        except TypeError:
            continue  # not a comparison of ours
    return found
