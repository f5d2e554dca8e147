"""Which column of a data set may be meant for a field of the question, where none has a name that is read: for messages
alone, never taken silently."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SYNONYMS = {
    "text": (
        "question text problem query prompt instruction conversations messages inputs input human user statement task "
        "exercise dialog dialogue sentence"
    ).split(),
    "answer": (
        "answer answers solution ground_truth groundtruth gt gold label target correct_answer correct expected "
        "reference final_answer truth"
    ).split(),
    "images": (
        "images image image_path img imgs picture pictures photo photos image_file image_name imgname filename "
        "file_name decoded_image figure screenshot"
    ).split(),
}
"""What other programs call a field, the likeliest first; those that are read anyway (`columns.NAMES`) among them, for
other spellings: "Question", "question_text"."""
SHOWN = 12
"""Columns named in a message."""
ABOUT = set("id ids index idx type kind path number no len length url width height".split())
"""Last words of columns that say something about a field and not what it is: question_id, answer_type."""
CLOSE = 0.8
"""How alike two names must be that differ by a slip of the pen (difflib's ratio)."""


def suggested(field: str, columns: Iterable[str]) -> str | None:
    """The column that is likeliest the field: it has a synonym's name, or ends or begins with one, or nearly so."""
    words = {column: tuple(re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1_\2", column).lower()))
             for column in columns}  # fmt: skip
    own = [tuple(synonym.split("_")) for synonym in SYNONYMS[field]]
    for fits in (
        lambda name, said: said == name,
        lambda name, said: said[-len(name) :] == name or (said[: len(name)] == name and said[-1] not in ABOUT),
        lambda name, said: bool(difflib.get_close_matches("_".join(name), ["_".join(said)], 1, CLOSE)),
    ):
        for name in own:
            if found := next((column for column, said in words.items() if said and fits(name, said)), None):
                return found
    return None


def absent(field: str, row: Mapping[str, Any], names: Sequence[str], given: str | None) -> str:
    """Why a row has no such field, and what to write. `names`: the columns that are read; `given`: the one that a
    recipe's `fields` names."""
    empty = next((name for name in names if name in row), None)
    if empty is not None:
        return f"its {empty!r} is empty"
    columns = [str(column) for column in row]
    if not columns:
        return "the row is empty"
    listed = ", ".join(columns[:SHOWN]) + (" …" if len(columns) > SHOWN else "")
    column = suggested(field, columns) or "COLUMN"
    missing = f"column {given!r}, which `fields` names for {field!r}" if given else f"{field!r}"
    return f"it has no {missing}; its columns are {listed}: set fields: {{{field}: {column}}}"


def hints(unused: Iterable[str], lacking: Sequence[str]) -> list[str]:
    """For fields that no question of a source has: the column, among those that were not used, that may be it."""
    columns = list(unused)
    found = [(field, column) for field in lacking if (column := suggested(field, columns))]
    return [
        f"no question has {'an answer' if field == 'answer' else 'a picture'}: if {column!r} is it, set "
        f"fields: {{{field}: {column}}}"
        for field, column in found
    ]  # fmt: skip
