"""Pages of questions, responses, pairs, drops and changed answers: filtered, sorted, a page at a time."""

from dataclasses import dataclass, field
from typing import Any

from mixpo.app.store import Store, steps
from mixpo.files import RunFiles

PAGE = 25
MOST_WORDS = 20
"""Words of a search; any more are not looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """What is looked for; an empty field says nothing."""

    text: str = ""
    """Words that stand in the text, case aside."""
    outcome: str = ""
    kind: str = ""
    domain: str = ""
    origin: str = ""
    reason: str = ""
    """Why a record was left out."""
    lowest: float = 0.0
    """Pass rate of a question, from …"""
    highest: float = 1.0
    sort: str = ""
    """A key of the list's orders; empty: as in the files."""

    @property
    def words(self) -> list[str]:
        """Those that are looked for: each of them is looked for in every record."""
        return self.text.split()[:MOST_WORDS]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that can be paged through: its table, its filters, its orders."""

    table: str
    columns: str
    texts: tuple[str, ...]
    """Columns that the words are looked for in."""
    equal: dict[str, str]
    """Field of the filter -> column."""
    orders: dict[str, str] = field(default_factory=dict)
    """Name of an order -> what SQL sorts by."""


LISTINGS = {
    "questions": Listing(
        "listed", "section, id, text, answer, kind, domain, answers, correct, rate",
        ("text", "system", "turns", "answer", "id"),
        {"kind": "kind", "domain": "domain"},
        {"fewest right": "rate NULLS LAST", "most right": "rate DESC NULLS LAST", "longest": "length(text) DESC"},
    ),
    "responses": Listing(
        "answers",
        "section, id, question_id, outcome, extracted, completion_tokens, characters, left(text, 200) AS text",
        ("text", "extracted", "id"), {"outcome": "outcome", "kind": "kind", "domain": "domain"},
        {"shortest": "characters", "longest": "characters DESC"},
    ),
    "pairs": Listing(
        "paired", "section, id, question_id, origin, margin, characters, left(chosen, 120) AS chosen, "
        "left(rejected, 120) AS rejected", ("chosen", "rejected", "prompt", "system", "turns", "id"),
        {"origin": "origin", "domain": "domain"},
        {"shortest": "characters", "longest": "characters DESC", "smallest margin": "margin NULLS LAST",
         "largest margin": "margin DESC NULLS LAST"},
    ),
    "dropped": Listing(
        "dropped", "section, id, step, reason, detail, coalesce(count, 1) AS count", ("id", "detail"),
        {"reason": "reason"}, {"most records": "coalesce(count, 1) DESC"},
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list."""

    rows: list[dict[str, Any]]
    number: int
    """From 1."""
    pages: int
    total: int


def page(store: Store, name: str, wanted: Filter, number: int) -> Page:
    """Page `number` (from 1; the nearest there is) of what the filter lets through."""
    listing = LISTINGS[name]
    if name != "questions":
        store.ready()
    where, parameters = _where(listing, wanted)
    (counted,) = store.rows(f"SELECT count(*) AS total FROM {listing.table}{where}", parameters)
    total = counted["total"]
    pages = max(1, -(-total // PAGE))
    number = min(max(1, number), pages)
    tie = "place" if listing.table != "dropped" else "rowid"
    order = ", ".join(filter(None, (listing.orders.get(wanted.sort), tie)))
    rows = store.rows(
        f"SELECT {listing.columns} FROM {listing.table}{where} ORDER BY {order} LIMIT ? OFFSET ?",
        [*parameters, PAGE, (number - 1) * PAGE],
    )
    return Page(rows, number, pages, total)


def _where(listing: Listing, wanted: Filter) -> tuple[str, list[Any]]:
    """The condition; everything that a user typed is a parameter."""
    conditions, parameters = [], []
    for name, column in listing.equal.items():
        if value := getattr(wanted, name):
            conditions.append(f"{column} = ?")
            parameters.append(value)
    for word in wanted.words:
        pattern = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        conditions.append("(" + " OR ".join(f"{column} ILIKE ? ESCAPE '\\'" for column in listing.texts) + ")")
        parameters += [pattern] * len(listing.texts)
    if listing.table == "listed" and (wanted.lowest > 0 or wanted.highest < 1):
        conditions.append("rate BETWEEN ? AND ?")
        parameters += [wanted.lowest, wanted.highest]
    return (" WHERE " + " AND ".join(conditions) if conditions else ""), parameters


def question(store: Store, own_id: str) -> dict[str, Any] | None:
    """One question with its pass rate."""
    found = store.rows("SELECT * FROM listed WHERE id = ? LIMIT 1", [own_id])
    return found[0] if found else None


def responses(store: Store, question_id: str, limit: int = 64) -> list[dict[str, Any]]:
    """All responses to a question with their verdicts, at most `limit`."""
    store.ready()
    return store.rows("SELECT * FROM answers WHERE question_id = ? ORDER BY place LIMIT ?", [question_id, limit])


def pair(store: Store, own_id: str) -> dict[str, Any] | None:
    store.ready()
    found = store.rows("SELECT * FROM paired WHERE id = ? LIMIT 1", [own_id])
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Change:
    """One question that training fixed or broke, with both answers."""

    question_id: str
    fixed: bool
    before: str
    after: str


def contests(files: RunFiles) -> dict[str, tuple[str, str, str]]:
    """`benchmark, style` -> evaluation, section of the first model, section of the last: what can be compared."""
    found = {}
    for name, values in steps(files).items():
        models, benchmarks, styles = (_named(values.get(key)) for key in ("models", "benchmarks", "styles"))
        if values.get("uses") != "evaluate" or len(models) < 2:
            continue
        for benchmark in benchmarks:
            for style in styles:
                label = f"{benchmark}, {style}: {models[0]} and {models[-1]}"
                found[label] = (name, f"{models[0]}-{benchmark}-{style}", f"{models[-1]}-{benchmark}-{style}")
    return found


def _named(values: Any) -> list[str]:
    """The names in a saved mapping or list, whose entries may be mappings with a name."""
    listed = values if isinstance(values, list | dict) else ()
    return [str(value.get("name")) if isinstance(value, dict) else str(value) for value in listed]


def changes(inner: Store, before: str, after: str) -> list[Change]:
    """Questions whose first answers were judged differently in two sections of an evaluation: fixed, then broken."""
    inner.ready()
    found = inner.rows(
        """
        SELECT b.question_id, a.outcome = 'correct' AS fixed, b.text AS before, a.text AS after
        FROM answers b JOIN answers a ON a.question_id = b.question_id AND a.section = ?
        WHERE b.section = ? AND a.sample = 0 AND b.sample = 0 AND coalesce(b.outcome, '') <> coalesce(a.outcome, '')
          AND (a.outcome = 'correct' OR b.outcome = 'correct')
        ORDER BY fixed DESC, b.place
        """,
        [after, before],
    )
    return [Change(row["question_id"], row["fixed"], row["before"], row["after"]) for row in found]
