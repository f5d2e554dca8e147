"""ms-swift's formats for DPO: JSON lines, images by path, `<image>` where one stands in a text.

{"messages": [{"role": "user", "content": "<image>…"}, {"role": "assistant", "content": chosen}],
 "rejected_response": …, "images": [path]}

Read are its documented forms (docs, Customization/Custom-dataset): `rejected_response` as text or messages,
`rejected_messages`, query/response/history, alpaca, ShareGPT's pairs, and marks of grounding
(`mixpo.pairs.formats.grounding`). A list of texts as `rejected_response` makes a pair each.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixpo.conversations import ROLES, Conversation, conversation, refuse_more, written
from mixpo.errors import BadRow, Unsupported
from mixpo.messages import IMAGE
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.formats.grounding import Ground
from mixpo.pairs.formats.row import Content, alpaca, is_own, marked, own_fields, refuse_marks
from mixpo.pictures import images_in, listed_images, same_images
from mixpo.records import PreferencePair, Role
from mixpo.tables import write_jsonl
from mixpo.values import parsed, short

FILE = "train.jsonl"
MARK = re.compile(IMAGE)
IN_TEXT = re.compile(r"<img>(?!<IMG_CONTEXT>)(.+?)</img>", re.DOTALL)
"""An image by its path in a text, read where a row has no other."""
CONVERSATIONS = ("messages", "conversation", "conversations")
SYSTEM = ("system", "system_prompt")
QUERY = ("query", "prompt", "input", "instruction", "question", "problem")
RESPONSE = ("response", "answer", "output", "targets", "target", "answer_key", "answers", "solution", "text",
            "completion", "content")  # fmt: skip
"""What a column may be called (ms-swift's `ResponsePreprocessor`)."""


def row(pair: PreferencePair, answers: Sequence[str], pictures: ExportPictures) -> dict[str, Any]:
    """Raises Unsupported for text that reads as an image, ImageError when an image is not there."""
    said = (pair.system, *(turn.text for turn in pair.turns), pair.prompt, pair.chosen, pair.rejected)
    refuse_marks(said, MARK if pair.images else IN_TEXT)
    system = [{"role": "system", "content": pair.system}] if pair.system else []
    asked = [{"role": str(turn.role), "content": turn.text} for turn in marked(pair)]
    return {
        "messages": [*system, *asked, {"role": "assistant", "content": pair.chosen}],
        "rejected_response": pair.rejected,
        "images": [pictures.copied(image) for image in pair.images],
        **own_fields(pair, answers),
    }


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes `train.jsonl`; image paths start at its folder: run `swift rlhf --dataset train.jsonl` there."""
    return write_jsonl(rows, out / FILE)


def contents(row: Mapping[str, Any], ground: Ground | None = None) -> Iterator[Content]:
    """What a row says; `ground` fills marks of grounding in. Raises BadRow or Unsupported."""
    ground = ground or Ground()
    refuse_more(row)
    given = images_in(row)
    if (other := row.get("rejected_images")) not in (None, []) and not same_images(listed_images(other), given):
        raise Unsupported("chosen and rejected have different images")
    prompt, answer = _parted(_messages(row))
    rejected = _rejected(row, prompt)
    chosen = conversation([*prompt, *answer])
    images = chosen.images(given)
    objects = row.get("objects"), row.get("rejected_objects") or row.get("objects")
    for number, (asked, reply) in enumerate(rejected, 1):
        sides = ([*prompt, *answer], [*asked, *reply])
        good, bad = (conversation(ground.filled(side, each, images)) for side, each in zip(sides, objects, strict=True))
        if replace(good, reply=None) != replace(bad, reply=None):
            raise Unsupported("chosen and rejected answer different prompts")
        read, shown = _with_images(good, bad.reply or "", images)
        part = f"/0>{number}" if len(rejected) > 1 else ""
        yield Content(asked=read, chosen=good.reply, rejected=bad.reply, images=shown, part=part)


def _with_images(read: Conversation, rejected: str, images: list[Any]) -> tuple[Conversation, list[Any]]:
    """A row's images and the conversation with as many marks for them.

    Without others they may stand in its text; marks that lack are put ahead of its first words, as ms-swift does.
    """
    said = [read.system, *(turn.text for turn in read.turns if turn.role == Role.ASSISTANT)]
    answers = [read.reply or "", rejected]
    if not images and any(IN_TEXT.search(text) for text in (*read.asked, *said, *answers)):
        if any(IN_TEXT.search(text) for text in (*said, *answers)):
            raise Unsupported("a picture in a turn that is not the user's")
        images = [path for text in read.asked for path in IN_TEXT.findall(text)]
        return read.saying([IN_TEXT.sub(IMAGE, text) for text in read.asked]), images
    marks = sum(text.count(IMAGE) for text in read.asked)
    if images and not read.pictures:
        if any(IMAGE in text for text in said) or (marks < len(images) and any(IMAGE in text for text in answers)):
            raise Unsupported(f"{IMAGE} in a turn that is not the user's")
        if 0 < marks < len(images):
            first, *others = read.asked
            return read.saying([IMAGE * (len(images) - marks) + first, *others]), images
    return read, images


def _messages(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conversation of a row, the answer that is chosen at its end."""
    found = next((parsed(row[name]) for name in CONVERSATIONS if row.get(name) is not None), None)
    if found is None:
        found = _in_columns(row)
    if not isinstance(found, list) or not all(isinstance(message, Mapping) for message in found):
        raise BadRow(f"messages must be a list of turns, not {short(found)}")
    said = ({key: value for key, value in message.items() if value is not None} for message in found)
    turns = [turn for message in said for turn in _spoken(message)]
    system = next((row[name] for name in SYSTEM if row.get(name)), None)
    if system is not None and not (turns and _role(turns[0]) == "system"):
        turns.insert(0, {"role": "system", "content": system})
    return _joined(turns)


def _spoken(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The turns of a message: one, or the two of ShareGPT's {"human": …, "assistant": …}."""
    if "role" in message or "from" in message:
        return [message]
    pair = [{"role": name, "content": text} for name, text in message.items() if name in ROLES and text is not None]
    return sorted(pair, key=lambda turn: ROLES[turn["role"]] == Role.ASSISTANT) if len(pair) == 2 else [message]


def _in_columns(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conversation of a row of query and response, or of alpaca's instruction, input and output."""
    if row.get("instruction") is not None and row.get("input") is not None:
        query = alpaca(row["instruction"], row["input"])
    else:
        query = _only(row, QUERY, "query")
    response = _only(row, RESPONSE, "response")
    if isinstance(response, list):
        response = response[0] if response else None
    before = parsed(row.get("history")) or []
    if not isinstance(before, list) or not all(isinstance(turn, list | tuple) and len(turn) == 2 for turn in before):
        raise BadRow(f"history must be a list of questions and answers, not {short(before)}")
    said = [text for turn in (*before, (query, response)) for text in turn]
    return [{"role": role, "content": text} for role, text in zip([*Role] * (len(before) + 1), said, strict=True)]


def _only(row: Mapping[str, Any], names: Sequence[str], what: str) -> Any:
    """The column that a row has under one of the names. Raises BadRow where it has none, or several."""
    found = [name for name in names if row.get(name) is not None]
    if len(found) != 1 and what not in found:
        raise BadRow(f"there is no {what}" if not found else f"{', '.join(found)} may each be the {what}; name one so")
    return row[what if what in found else found[0]]


def _role(message: Mapping[str, Any]) -> str:
    name = message.get("from", message.get("role"))
    return str(ROLES.get(name, name)) if isinstance(name, str) else ""


def _joined(turns: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The turns, what the assistant says in a row as one."""
    joined: list[Mapping[str, Any]] = []
    for turn in turns:
        if joined and _role(turn) == _role(joined[-1]) == Role.ASSISTANT:
            contents = [message.get("value", message.get("content")) for message in (joined[-1], turn)]
            if all(isinstance(content, str) for content in contents):
                joined[-1] = {**turn, "role": Role.ASSISTANT, "from": Role.ASSISTANT, "value": "".join(contents)}
                continue
        joined.append(turn)
    return joined


def _parted(turns: list[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """What stands up to the last turn of a user or a tool, and the answer to it."""
    last = max((place for place, turn in enumerate(turns) if _role(turn) != Role.ASSISTANT), default=-1)
    prompt, answer = turns[: last + 1], turns[last + 1 :]
    if not prompt or not answer:
        raise BadRow("messages must end with the assistant's answer to a user's turn")
    if answer[-1].get("loss") is False or answer[-1].get("loss_scale") not in (None, 1, True):
        raise Unsupported("an answer with a loss of its own")
    return prompt, answer


def _rejected(row: Mapping[str, Any], prompt: list[Any]) -> list[tuple[list[Any], list[Any]]]:
    """The prompt and the answer of each rejected one."""
    given = row.get("rejected_response")
    given = given if is_own(row) else written(given)
    if given is None or given == []:
        if row.get("rejected_messages") is None:
            raise BadRow("there is neither rejected_response nor rejected_messages")
        return [_parted(_messages({name: row.get(name) for name in SYSTEM} | {"messages": row["rejected_messages"]}))]
    if isinstance(given, list) and all(isinstance(message, Mapping) for message in given):
        answer = _joined(given)
        if any(_role(message) == Role.USER for message in answer):
            raise BadRow("rejected_response has a user's turn; it answers the last one of messages")
        return [(prompt, answer)]
    texts = given if isinstance(given, list) else [given]
    return [(prompt, [{"role": "assistant", "content": text}]) for text in texts]
