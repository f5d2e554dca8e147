"""The records of a run as DuckDB tables, read once from its files: what the app pages through.

Only files inside the run folder are read, symbolic links followed. Questions and verdicts are there when `Store` is
made; responses, pairs and drops follow in a thread (`wait`), so that a run of a million responses opens at once.
"""

import json
import logging
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mixpo.app.confined import inside_run
from mixpo.errors import MissingExtra, UserError
from mixpo.files import RunFiles
from mixpo.references import Output, read_of

log = logging.getLogger(__name__)
LONGEST_LINE = 256_000_000
"""Bytes; a line above this is left out."""
FIELDS = {
    "questions": "id text system turns images:VARCHAR[] videos:JSON answer kind choices:VARCHAR[] domain category",
    "responses": "id question_id sample:INTEGER text finish_reason style completion_tokens:INTEGER logp:DOUBLE",
    "verdicts": "id question_id outcome extracted span:INTEGER[] rule kind reason",
    "pairs": "id question_id prompt system turns chosen rejected origin images:VARCHAR[] videos:JSON chosen_id "
    "rejected_id",
    "dropped": "id step reason detail count:INTEGER",
}
"""Output of record -> the fields that are shown, with their types (VARCHAR); others (tokens, prompts) are not read."""
COLUMNS: dict[str, dict[str, str]] = {
    kind: {name: type or "VARCHAR" for name, _, type in (field.partition(":") for field in fields.split())}
    for kind, fields in FIELDS.items()
}

RATES = """
CREATE TABLE rates AS
SELECT question_id, count(*) AS answers, count(*) FILTER (outcome = 'correct') AS correct
FROM verdicts GROUP BY question_id
"""
LISTED = """
CREATE TABLE listed AS
SELECT row_number() OVER () AS place, q.*, coalesce(r.answers, 0) AS answers, coalesce(r.correct, 0) AS correct,
  CASE WHEN r.answers > 0 THEN r.correct / r.answers END AS rate
FROM questions q LEFT JOIN rates r ON r.question_id = q.id
"""
ANSWERS = """
CREATE TABLE answers AS
SELECT row_number() OVER () AS place, r.*, v.outcome, v.extracted, v.span, v.rule, v.reason, v.kind, q.domain,
  q.category, length(r.text) AS characters
FROM responses r
LEFT JOIN verdicts v ON v.id = r.id AND v.section = r.judged_in
LEFT JOIN (SELECT DISTINCT ON (id) id, domain, category FROM questions) q ON q.id = r.question_id
"""
PAIRED = """
CREATE TABLE paired AS
SELECT row_number() OVER () AS place, p.*, q.domain, length(p.chosen) + length(p.rejected) AS characters,
  c.logp - d.logp AS margin
FROM pairs p
LEFT JOIN (SELECT DISTINCT ON (id) id, domain FROM questions) q ON q.id = p.question_id
LEFT JOIN (SELECT DISTINCT ON (id) id, logp FROM responses WHERE logp IS NOT NULL) c ON c.id = p.chosen_id
LEFT JOIN (SELECT DISTINCT ON (id) id, logp FROM responses WHERE logp IS NOT NULL) d ON d.id = p.rejected_id
"""


class Store:
    """Tables questions, verdicts, rates, listed at once; responses, answers, pairs, paired, dropped after `wait`."""

    def __init__(self, files: RunFiles, within: Path | None = None):
        """`within`: the folder that files must lie in; None: the run's. Raises UserError when there is no such run,
        MissingExtra without duckdb."""
        try:
            import duckdb
        except ImportError as error:
            raise MissingExtra("duckdb", "app") from error
        if not files.root.is_dir():
            raise UserError(f"{files.root} is no run folder; name the one that `mixpo run` wrote")
        self.files = files
        self.within = within or files.root
        self.folder = Path(tempfile.mkdtemp(prefix="mixpo-view-"))
        self.connection = duckdb.connect(str(self.folder / "run.duckdb"))
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
            self.connection.execute(f"SET {setting} = false")
        self.connection.execute(f"SET temp_directory = '{self.folder}/spill'")
        self.judged_in = self._judged_in()
        self._ready = threading.Event()
        self._problem: Exception | None = None
        self._load("questions", self.connection)
        self._load("verdicts", self.connection)
        self.connection.execute(RATES)
        self.connection.execute(LISTED)
        self._thread = threading.Thread(target=self._rest, daemon=True)
        self._thread.start()

    def _rest(self) -> None:
        try:
            cursor = self.connection.cursor()
            for kind in ("responses", "pairs", "dropped"):
                self._load(kind, cursor)
            cursor.execute(ANSWERS)
            cursor.execute(PAIRED)
        except Exception as error:
            # Raised again where the tables are asked for: a thread's own traceback reaches nobody.
            self._problem = error
        finally:
            self._ready.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether all tables are there, after at most so many seconds (None: however long it takes)."""
        done = self._ready.wait(seconds)
        if self._problem is not None:
            raise self._problem
        return done

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What a query gives, each row by column name. Safe from several threads."""
        cursor = self.connection.cursor()
        cursor.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def values(self, table: str, column: str) -> list[str]:
        """The different values of a column, for a filter's choices. The names are our own, never a user's."""
        found = self.rows(f"SELECT DISTINCT {column} AS value FROM {table} WHERE {column} IS NOT NULL ORDER BY 1")
        return [str(row["value"]) for row in found if row["value"] != ""]

    def close(self) -> None:
        self._ready.wait()
        self.connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _load(self, kind: str, cursor: Any) -> None:
        columns = COLUMNS[kind]
        types = ", ".join(f"{name} {type}" for name, type in columns.items())
        cursor.execute(f"CREATE TABLE {kind} (section VARCHAR, {types}, judged_in VARCHAR)")
        for section, paths in self._files(kind).items():
            cursor.execute(
                f"INSERT INTO {kind} SELECT ?, {', '.join(columns)}, ? FROM read_json(?, columns = "
                f"{json.dumps(columns)}, format = 'newline_delimited', ignore_errors = true, "
                f"maximum_object_size = {LONGEST_LINE}) WHERE id IS NOT NULL",
                [
                    section,
                    self.judged_in.get(section, "verify" if section == "sample" else section),
                    [str(path) for path in paths],
                ],
            )
        if kind == "questions":
            cursor.execute(
                "UPDATE questions SET domain = coalesce(domain, 'general'), category = coalesce(category, '')"
            )

    def _files(self, kind: str) -> dict[str, list[Path]]:
        sections: dict[str, list[Path]] = {}
        for section in self.files.sections(kind):
            paths = []
            for path in getattr(self.files, kind)(section).paths():
                if not inside_run(self.within, path):
                    log.warning("%s leads out of the run folder; it is not read", path)
                elif path.stat().st_size:
                    paths.append(path)
            if paths:
                sections[section] = paths
        return sections

    def _judged_in(self) -> dict[str, str]:
        """Responses section -> the section with its verdicts: as the recipe says, else the one of the same name."""
        found = {section: section for section in self.files.sections("verdicts")}
        for name, values in steps(self.files).items():
            if isinstance(values, dict) and values.get("uses") == "verify":
                found[read_of(values, Output.RESPONSES) or "sample"] = str(name)
        return found


def steps(files: RunFiles) -> dict[str, Any]:
    """The sections of the run's saved recipe; none when there is no recipe that can be read."""
    if not files.recipe.is_file() or not inside_run(files.root, files.recipe):
        return {}
    try:
        saved = yaml.safe_load(files.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    found = saved.get("steps") if isinstance(saved, dict) else None
    return found if isinstance(found, dict) else {}
