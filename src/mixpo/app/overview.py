"""The app's first page: accuracy before and after, the funnel, training curves; counted by the store's tables."""

import os
from collections import Counter
from typing import Any

from mixpo import notes
from mixpo.app.confined import inside_run
from mixpo.app.store import Store, steps
from mixpo.files import RunFiles
from mixpo.notes import CountedQuestions
from mixpo.records import DropReason, Origin, Outcome
from mixpo.report.collect import Drops, ReportData, add_trainings, evaluation_of


def overview(store: Store, files: RunFiles) -> ReportData:
    """What can be said now: of responses, pairs and drops only when the tables have them."""
    data = ReportData(name=files.root.resolve().name, steps=steps(files))
    data.questions = _counts(store, "questions")
    data.outcomes = _tallies(store, "verdicts", "outcome", Outcome)
    _add_evaluations(data, files)
    if store.wait(0):
        data.responses = _counts(store, "responses")
        data.origins = _tallies(store, "pairs", "origin", Origin)
        asked = store.rows("SELECT section, count(DISTINCT question_id) AS n FROM pairs GROUP BY section")
        data.paired = {row["section"]: row["n"] for row in asked}
        data.drops = _drops(store)
        for section in data.origins:
            path = files.json(f"funnel/{section}")
            with data.part("funnel"):
                if inside_run(files.root, path) and (counted := notes.read(path, CountedQuestions)):
                    data.funnels[section] = counted
    add_logged(data, files)
    return data


def add_logged(data: ReportData, files: RunFiles) -> None:
    """The curves as they stand in the logs: what is asked for again while a run trains."""
    sections = files.sections("checkpoints")
    inside = [name for name in sections if inside_run(files.root, files.checkpoints(name) / "log.jsonl")]
    add_trainings(data, files, inside, Counter())


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


def _add_evaluations(data: ReportData, files: RunFiles) -> None:
    for section in files.sections("evaluation"):
        inner = files.evaluation(section)
        read = [path for path in (inner.json("comparisons"), *inner.scores().paths()) if os.path.lexists(path)]
        if all(inside_run(files.root, path) for path in read):
            with data.part("evaluation"):
                data.evaluations.append(evaluation_of(section, inner))
