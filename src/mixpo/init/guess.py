"""Which column is which field of a question, where the loader does not know its name; and where pictures lie."""

import re
from collections.abc import Callable, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from mixpo.conversations import is_conversation
from mixpo.errors import BadRow, ImageError
from mixpo.images import is_url
from mixpo.init.ask import Asker
from mixpo.init.look import Data
from mixpo.pictures import content, entries, likely_root
from mixpo.questions.columns import NAMES, column
from mixpo.questions.marked import marked
from mixpo.questions.options import options_of

Rows = Sequence[Mapping[str, Any]]
READ = ("text", "images", "choices", "answer")
SAID = {"text": "the question", "images": "the picture", "choices": "the options", "answer": "the right answer"}
HINTS = {
    "text": "instruction input frage ask asked prompt_text question_text q caption_prompt user",
    "images": "img picture photo file filename file_name image_file image_name path bild figure screenshot",
    "choices": "choice candidates alternatives answers_options multiple_choices optionen",
    "answer": "solution answer_gt ground_truth groundtruth gt label target correct_answer final_answer gt_answer gold "
    "reference correct truth output answers antwort response reply",
}
"""Names that data sets and people give to a field, the likelier first."""
PICTURE = re.compile(r"\.(?:png|jpe?g|webp|gif|bmp|tiff?|avif)$", re.IGNORECASE)
SHORT_REPLY = 60
"""Characters of a conversation's reply that may be an answer."""


def guess(data: Data, asker: Asker) -> dict[str, Any]:
    """What a recipe has to say of the source for its rows to be read: `fields`, `answer_in`, `image_root` …"""
    rows, fields = data.first, {}
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    taken = {name for field in (*READ, "id", "kind", "domain", "category", "system", "videos") if
             (name := _known(rows, field)) is not None}  # fmt: skip
    for field in READ:
        if _known(rows, field) is not None or (field == "choices" and _lettered(rows)):
            continue
        found = _named(field, rows, [name for name in names if name not in taken])
        if found is None and field in ("text", "answer") and (left := _left(field, rows, names, taken)):
            found = asker.choose(f"Which column is {SAID[field]}?", [*left, *[""] * (field == "answer")], left[0])
        if found:
            fields[field] = found
            taken.add(found)
    more: dict[str, Any] = {"fields": fields} if fields else {}
    answer = _values(rows, fields.get("answer", "answer"))
    if any(isinstance(value, str) and marked(value) != value for value in answer):
        more["answer_in"] = "marked"
    if not answer and (replied := _replied(rows, fields)):
        more.setdefault("fields", {})["answer"] = replied
    return more | _places(data, _values(rows, fields.get("images") or _known(rows, "images") or ""), asker)


def _known(rows: Rows, field: str) -> str | None:
    """The column that the loader takes for a field by itself."""
    return next((name for row in rows if (name := column(row, field, {})[0]) is not None), None)


def _lettered(rows: Rows) -> bool:
    return all(any(name in row for row in rows) for name in "AB")


def _values(rows: Rows, name: str) -> list[Any]:
    return [row[name] for row in rows if row.get(name) not in (None, "", [], {})]


def _named(field: str, rows: Rows, names: list[str]) -> str | None:
    """A column whose name says it, in whatever case, and whose values may be it; of pictures, one of pictures."""
    known = [*NAMES.get(field, (field,)), *HINTS[field].split()]
    plain = {re.sub(r"[^a-z]+", "_", name.lower()).strip("_"): name for name in reversed(names)}
    ordered = [plain[name] for name in known if name in plain]
    if field == "images":
        ordered += [name for name in names if name not in ordered]
    return next((name for name in ordered if _fits(field, _values(rows, name))), None)


def _fits(field: str, values: list[Any]) -> bool:
    return bool(values) and FITS[field](values)


def _are_pictures(values: list[Any]) -> bool:
    return sum(map(_is_picture, values)) * 2 > len(values)


def _is_picture(value: Any) -> bool:
    try:
        data, name = content(entries(value)[0])
    except (IndexError, BadRow, ImageError, TypeError, ValueError):
        return False
    return data is not None or (isinstance(name, str) and bool(PICTURE.search(name.partition("?")[0])))


def _are_options(values: list[Any]) -> bool:
    try:
        return all(len(options_of(value).texts) > 1 for value in values)
    except BadRow:
        return False


def _are_texts(values: list[Any]) -> bool:
    return all(is_conversation(value) or (isinstance(value, str) and not _is_picture(value)) for value in values)


def _are_answers(values: list[Any]) -> bool:
    return all(isinstance(value, str | int | float | list) and not _is_picture(value) for value in values)


FITS: dict[str, Callable[[list[Any]], bool]] = {
    "text": _are_texts, "images": _are_pictures, "choices": _are_options, "answer": _are_answers,
}  # fmt: skip


def _left(field: str, rows: Rows, names: list[str], taken: set[str]) -> list[str]:
    """Columns that could be a question or an answer by their values, the likeliest first."""
    left = [name for name in names if name not in taken and _fits(field, _values(rows, name))]

    def likely(name: str) -> tuple[float, float]:
        values = _values(rows, name)
        length = sum(len(str(value)) for value in values) / len(values)
        asks = sum("?" in str(value) for value in values) / len(values)
        return (-asks, -length) if field == "text" else (0, length)

    return sorted(left, key=likely)


def _replied(rows: Rows, fields: Mapping[str, str]) -> str | None:
    """The column of conversations whose replies are short enough to be answers."""
    name = fields.get("text") or _known(rows, "text")
    talks = [talk for talk in _values(rows, name or "") if is_conversation(talk) and isinstance(talk, list)]
    last = [str(talk[-1].get("value", talk[-1].get("content", ""))) for talk in talks if len(talk) > 1]
    return name if last and sum(len(text) <= SHORT_REPLY for text in last) * 2 > len(last) else None


def _places(data: Data, values: list[Any], asker: Asker) -> dict[str, Any]:
    """Where paths of pictures start, if not at the file's folder; and whether addresses are fetched."""
    names = [name for value in values for entry in entries(value) if (name := _path(entry))]
    if any(is_url(name) for name in names):
        question = "Some pictures are http(s) addresses. Fetch them when the questions are collected?"
        return {"fetch_images": True} if asker.choose(question, ["yes", "no"], "yes") == "yes" else {}
    root = data.path if data.path.is_dir() else data.path.parent
    if not names or any((root / name).is_file() for name in names if not name.startswith("/")):
        return {}
    absolute = [name for name in names if name.startswith("/") and Path(name).is_file()]
    if absolute:
        near = Path(commonpath([str(Path(name).parent) for name in absolute]))
        return {} if near.is_relative_to(root.absolute()) else {"image_root": shown(near)}
    likely = next((found for name in names[:20] if (found := likely_root(name, root))), None)
    return {} if likely is None else {"image_root": shown(likely)}


def shown(path: Path) -> str:
    """A path as a recipe has it: from the working directory on, where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)


def _path(entry: Any) -> str:
    try:
        data, name = content(entry)
    except (BadRow, ImageError):
        return ""
    return name if data is None and isinstance(name, str) else ""
