"""LLaMA-Factory's ranking formats, sharegpt and alpaca, as a `dataset_info.json` declares them (its data/README.md).

{"conversations": [{"from": "human", "value": "<image>…"}], "chosen": {"from": "gpt", "value": …},
 "rejected": {"from": "gpt", "value": …}, "system": …, "images": [path]}
{"instruction": …, "input": …, "chosen": …, "rejected": …, "system": …, "history": [[asked, said]], "images": [path]}

Its rule holds that columns which a declaration does not list are not read; a file alone, without a declaration, is read
by the usual names. Written is the first form, with its declaration.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mixpo.conversations import Conversation, conversation, history, refuse_more, written
from mixpo.errors import BadRow, DataError, Unsupported
from mixpo.names import is_folder_name
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.formats.row import (
    Content,
    Entry,
    PairSource,
    alpaca,
    drawn,
    marked,
    own_fields,
    refuse_marks,
)
from mixpo.pictures import images_in
from mixpo.progress import say
from mixpo.records import Dropped, PreferencePair, Role
from mixpo.registry import chosen as chosen_name
from mixpo.tables import ENDINGS, Row, ending, rows, write_jsonl
from mixpo.text_files import lies_in, read_bytes
from mixpo.values import parsed, short, whole

FILE = "mixpo_pairs.jsonl"
"""LLaMA-Factory reads .json and .jsonl alike, through `datasets`."""
INFO = "dataset_info.json"
LISTED = {name: name for name in ("chosen", "rejected", "system", "images")} | {"messages": "conversations"}
DECLARATION = {
    "mixpo_pairs": {"file_name": FILE, "formatting": "sharegpt", "ranking": True, "columns": LISTED},
}
MARK = re.compile("<image>|<video>|<audio>")
"""What LLaMA-Factory counts in prompts and answers; it must be as many as there are images, videos and audios."""
USUAL: dict[str, tuple[str, ...]] = {
    "messages": ("conversations", "messages"), "prompt": ("instruction",), "query": ("input",),
    "system": ("system",), "history": ("history",), "images": ("images", "image"),
    "chosen": ("chosen",), "rejected": ("rejected",),
}  # fmt: skip
"""What columns are called where nothing declares them."""
COLUMNS = {"messages": "conversations", "prompt": "instruction", "query": "input"}
"""What a declaration without `columns` means."""
TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system",
    "observation_tag": "observation", "function_tag": "function_call",
}  # fmt: skip
ELSEWHERE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
"""Keys of a data set that lies elsewhere; they come before `file_name`."""


def row(pair: PreferencePair, answers: Sequence[str], pictures: ExportPictures) -> dict[str, Any]:
    """Raises Unsupported for text that reads as an image, ImageError when an image is not there."""
    refuse_marks([*(turn.text for turn in pair.turns), pair.prompt, pair.chosen, pair.rejected], MARK)
    names = {Role.USER: "human", Role.ASSISTANT: "gpt"}
    return {
        "conversations": [{"from": names[turn.role], "value": turn.text} for turn in marked(pair)],
        "chosen": {"from": "gpt", "value": pair.chosen},
        "rejected": {"from": "gpt", "value": pair.rejected},
        "system": pair.system,
        "images": [pictures.copied(image) for image in pair.images],
        **own_fields(pair, answers),
    }


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes the rows and `dataset_info.json`: `dataset_dir` and `media_dir` are this folder."""
    count = write_jsonl(rows, out / FILE)
    (out / INFO).write_text(json.dumps(DECLARATION, indent=2) + "\n", encoding="utf-8")
    return count


@dataclass(frozen=True, kw_only=True)
class Declared:
    """An entry of a `dataset_info.json`."""

    name: str
    files: list[Path]
    columns: Mapping[str, tuple[str, ...]]
    tags: Mapping[str, str | None]
    alpaca: bool
    samples: int | None = None
    """So many rows are drawn; None: all."""
    unread: dict[str, None] = field(default_factory=dict)
    """Takes the names of columns that rows have and the entry does not list."""


def declared(path: Path, dataset: str) -> Declared:
    """The entry that is meant: `dataset`, or the only one of preferences. Raises DataError, FieldError."""
    try:
        info = json.loads(read_bytes(path).decode("utf-8-sig"))
        ranking = [name for name, entry in info.items() if entry.get("ranking")]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is no {INFO} ({type(error).__name__}); it maps names to entries") from error
    if not dataset and len(ranking) != 1:
        found = f"several of preferences: {', '.join(ranking)}; name one in `dataset`" if ranking else (
            "no entry with `ranking: true`, which preferences have")  # fmt: skip
        raise DataError(f"{path} has {found}")
    name = chosen_name(dataset or ranking[0], info, "dataset")
    entry = info[name]
    if name not in ranking:
        raise DataError(f"{path}: {name} is no entry of preferences (`ranking: true`); these are {', '.join(ranking)}")
    if key := next((key for key in ELSEWHERE if entry.get(key)), None):
        raise DataError(f"{path}: {name} lies elsewhere ({key}: {entry[key]}); download it, and import its file")
    place = path.parent / str(entry.get("file_name"))
    if not is_folder_name(str(place)) or not lies_in(place, path.parent):
        raise DataError(f"{path}: {name} names {place}, which lies outside its folder; import that file itself")
    inside = sorted(file for file in place.iterdir() if ending(file) in ENDINGS) if place.is_dir() else [place]
    if not inside or not inside[0].exists():
        raise DataError(f"{path}: {name} names {place}, which is not there; put it there")
    columns, tags = entry.get("columns") or COLUMNS, entry.get("tags") or TAGS
    if not isinstance(columns, Mapping) or not isinstance(tags, Mapping):
        raise DataError(f"{path}: `columns` and `tags` of {name} must be mappings")
    if not columns.get("chosen") or not columns.get("rejected"):
        raise DataError(f"{path}: `columns` of {name} lists no chosen and rejected; without them it has no preferences")
    return Declared(
        name=name, files=inside, tags=tags,
        columns={key: (str(column),) for key, column in columns.items() if column},
        alpaca=entry.get("formatting", "alpaca") == "alpaca", samples=whole(entry.get("num_samples")),
    )  # fmt: skip


def read(entry: Declared, source: PairSource, seed: int) -> Iterator[Entry | Dropped]:
    """The pairs of a declared data set, and at its end a word of what its rows have and it does not list."""
    taken: Iterable[Row | Dropped] = _rows(entry)
    if (samples := entry.samples) is not None:
        taken = drawn(lambda: _rows(entry), lambda _: samples, source.name, seed, f"num_samples is {samples}")
    yield from source.read_all(taken, partial(contents, entry=entry))
    if entry.unread:
        say(f"{source.name}: not read, since `columns` of {entry.name} does not list them: {', '.join(entry.unread)}")


def _rows(entry: Declared) -> Iterator[Row]:
    """The rows of all its files, numbered through."""
    found = (row for file in entry.files for row in rows(file))
    return (row._replace(number=number) for number, row in enumerate(found, 1))


def contents(row: Mapping[str, Any], entry: Declared | None = None) -> Iterator[Content]:
    """What a row says, as the entry declares it. Raises BadRow or Unsupported."""
    refuse_more(row)
    asked_in = ("prompt",) if entry and entry.alpaca else ("messages",) if entry else ("messages", "prompt")
    columns = entry.columns if entry else USUAL
    if entry and _of(row, columns, asked_in[0]) is None:  # it is written in the other way, and cannot be misread
        entry, columns, asked_in = None, USUAL, ("messages", "prompt")
    if entry:
        refuse_more({name: _of(row, columns, name) for name in ("videos", "audios", "tools")})
        _note_unread(row, entry)
    values = {name: _of(row, columns, name) for name in USUAL}
    tags = entry.tags if entry else None
    if "messages" in asked_in and values["messages"] is not None:
        asked = conversation(_turns(values["messages"], tags))
    elif values["prompt"] is not None:
        asked = Conversation(text=alpaca(values["prompt"], values["query"]))
    else:
        raise BadRow(f"there is neither a conversation nor an instruction: {', '.join(map(str, row))}")
    if asked.reply is not None:
        raise BadRow("the conversation ends with the assistant's turn; the answers are chosen and rejected")
    turns = (*history(values["history"] or []), *asked.turns)
    system = asked.system or values["system"] or ""
    if not isinstance(system, str):
        raise BadRow(f"system must be text, not {short(system)}")
    asked = replace(asked, system=system, turns=turns)
    answers = [_answer(name, values[name], tags) for name in ("chosen", "rejected")]
    images = asked.images(images_in(row, columns.get("images", ())))
    yield Content(asked=asked, chosen=answers[0], rejected=answers[1], images=images)


def _of(row: Mapping[str, Any], columns: Mapping[str, tuple[str, ...]], name: str) -> Any:
    return next((row[column] for column in columns.get(name, ()) if row.get(column) is not None), None)


def _note_unread(row: Mapping[str, Any], entry: Declared) -> None:
    """Raises Unsupported for a row whose images the entry does not list: it means another prompt."""
    for name in ("system", "history", "images"):
        if name not in entry.columns and (column := next((each for each in USUAL[name] if row.get(each)), None)):
            if name == "images":
                raise Unsupported(f"its {column}, which `columns` of {entry.name} in {INFO} does not list")
            entry.unread[column] = None


def _turns(given: Any, tags: Mapping[str, str | None] | None) -> Any:
    """The turns with the names that `tags` declares made usual ones."""
    found = parsed(given)
    return given if tags is None or not isinstance(found, list) else [_turn(turn, tags) for turn in found]


def _turn(turn: Any, tags: Mapping[str, str | None]) -> dict[str, Any]:
    names = {tags.get(f"{name}_tag"): name for name in ("user", "assistant", "system", "observation", "function")}
    role = turn.get(tags.get("role_tag")) if isinstance(turn, Mapping) else None
    if not isinstance(role, str):
        raise BadRow(f"a turn has `{tags.get('role_tag')}` and `{tags.get('content_tag')}`, not {short(turn)}")
    if role not in names:
        raise BadRow(f"a turn of {role!r}, which `tags` does not list")
    return {"role": names[role], "content": turn.get(tags.get("content_tag"))}


def _answer(name: str, given: Any, tags: Mapping[str, str | None] | None) -> Any:
    """The text of an answer: a turn of the assistant, or a text."""
    given = written(given)
    if not isinstance(given, Mapping):
        return given
    reply = conversation([{"role": "user", "content": ""}, _turn(given, tags) if tags else given]).reply
    if reply is None:
        raise BadRow(f"{name} must be a turn of the assistant, not {short(dict(given))}")
    return reply
