"""The records of a run as DuckDB tables, read once from its files: what the app pages through.

Only files inside the run folder are read, symbolic links followed. Questions and verdicts are there when `Store` is
made; responses, pairs and drops follow in a thread (`wait`), so that a run of a million responses opens at once.
"""

import json
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mixpo.app.confined import inside_run, opened_inside
from mixpo.errors import DataError, MissingExtra, UserError, first_line
from mixpo.files import RunFiles
from mixpo.references import Output, read_of

LONGEST_LINE = 256_000_000
"""Bytes; a file with a line above this is not read on from there."""
TOGETHER = 100
"""Files that are open at a time."""
PAGE_SECONDS = 10.0
"""What a page may take of the tables: any page of the web may ask for it, and others wait."""
SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
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
        self.damaged: list[str] = []
        """What could not be read of the run, a sentence each."""
        try:
            # It goes with this object, or when Python ends, where `close` is never called.
            self.folder = tempfile.TemporaryDirectory(prefix="mixpo-view-", ignore_cleanup_errors=True)
            database, spill = (str(Path(self.folder.name, name)) for name in ("run.duckdb", "spill"))
            self.connection = duckdb.connect(database, config={**SETTINGS, "temp_directory": spill})
        except (OSError, duckdb.Error) as error:
            raise UserError(
                f"no tables can be kept in the folder for temporary files ({first_line(error)}); name another in TMPDIR"
            ) from error
        try:
            files.saved_recipe()
        except DataError as error:
            self.damaged.append(str(error))
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

    def ready(self) -> None:
        """Returns when all tables are there. Raises DataError when they are not so far, after a while."""
        if not self.wait(PAGE_SECONDS):
            raise DataError("the run's records are still being read; load the page again in a moment")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What a query gives, each row by column name. Safe from several threads.

        Raises DataError for one that takes longer than `PAGE_SECONDS`, or more memory than there is.
        """
        import duckdb

        cursor = self.connection.cursor()
        late = threading.Timer(PAGE_SECONDS, cursor.interrupt)
        late.start()
        try:
            cursor.execute(sql, list(parameters))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row)) for row in cursor.fetchall()]
        except duckdb.InterruptException as error:
            raise DataError(f"this takes longer than {PAGE_SECONDS:g} seconds; look for less") from error
        except duckdb.Error as error:
            raise DataError(f"the run's tables cannot be asked this ({first_line(error)}); look for less") from error
        finally:
            late.cancel()

    def values(self, table: str, column: str) -> list[str]:
        """The different values of a column, for a filter's choices. The names are our own, never a user's."""
        found = self.rows(f"SELECT DISTINCT {column} AS value FROM {table} WHERE {column} IS NOT NULL ORDER BY 1")
        return [str(row["value"]) for row in found if row["value"] != ""]

    def close(self) -> None:
        self._ready.wait()
        self.connection.close()
        self.folder.cleanup()

    def _load(self, kind: str, cursor: Any) -> None:
        columns = COLUMNS[kind]
        types = ", ".join(f"{name} {type}" for name, type in columns.items())
        cursor.execute(f"CREATE TABLE {kind} (section VARCHAR, {types}, judged_in VARCHAR)")
        for section in self.files.sections(kind):
            paths = getattr(self.files, kind)(section).paths()
            for start in range(0, len(paths), TOGETHER):
                self._insert(kind, section, paths[start : start + TOGETHER], cursor)
        if kind == "questions":
            cursor.execute(
                "UPDATE questions SET domain = coalesce(domain, 'general'), category = coalesce(category, '')"
            )

    def _insert(self, kind: str, section: str, paths: Sequence[Path], cursor: Any) -> None:
        """Reads files into a table; those that cannot be read are left out with a sentence."""
        import duckdb

        columns, judged_in = COLUMNS[kind], self.judged_in.get(section, "verify" if section == "sample" else section)
        with ExitStack() as stack:
            files = {}
            for path in paths:
                try:
                    files[path] = stack.enter_context(opened_inside(self.within, path)).fileno()
                except DataError as error:
                    self.damaged.append(str(error))
            if not files:
                return
            # DuckDB reads `[`, `*` and `?` of a path as a pattern for others: what it is given has no such letters.
            places = [f"/proc/self/fd/{number}" for number in files.values()]
            sql = (
                f"INSERT INTO {kind} SELECT ?, {', '.join(columns)}, ? FROM read_json(?, columns = "
                f"{json.dumps(columns)}, format = 'newline_delimited', ignore_errors = true, "
                f"maximum_object_size = {LONGEST_LINE}) WHERE id IS NOT NULL"
            )
            try:
                cursor.execute(sql, [section, judged_in, places])
            except duckdb.Error as error:
                if len(files) == 1:
                    self.damaged.append(f"{paths[0]} cannot be read ({first_line(error)})")
                for path in files if len(files) > 1 else ():
                    self._insert(kind, section, [path], cursor)

    def _judged_in(self) -> dict[str, str]:
        """Responses section -> the section with its verdicts: as the recipe says, else the one of the same name."""
        found = {section: section for section in self.files.sections("verdicts")}
        for name, values in steps(self.files).items():
            if values.get("uses") == "verify":
                found[read_of(values, Output.RESPONSES) or "sample"] = name
        return found


def steps(files: RunFiles) -> dict[str, dict[str, Any]]:
    """The sections of the run's saved recipe; none when there is none in the run, or none that can be read."""
    try:
        return files.saved_recipe().get("steps", {}) if inside_run(files.root, files.recipe) else {}
    except DataError:
        return {}  # `Store` says it
