"""TRL's preference formats (DPOTrainer): conversational and standard, with a prompt or with an implicit one.

{"images": [image], "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": …}]}],
 "chosen": [{"role": "assistant", "content": [{"type": "text", "text": …}]}], "rejected": [likewise]}

A message's content may be plain text; prompt, chosen and rejected may be texts; without `prompt` it is what chosen and
rejected begin with alike, as TRL's `extract_prompt` takes it. Written is the first form, in Parquet.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixpo.conversations import Conversation, alike, conversation, refuse_more, written
from mixpo.errors import BadRow, Unsupported
from mixpo.messages import PICTURE
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.formats.row import Content, Left, own_fields, refuse_beside
from mixpo.pictures import images_in
from mixpo.records import DropReason, PreferencePair, Role, Turn
from mixpo.tables import write_parquet
from mixpo.values import short

FILE = "train.parquet"
TEXT = {"dtype": "string", "_type": "Value"}
TOKENS = ("chosen_token_ids", "rejected_token_ids")
ASKED = ("question", "instruction", "query", "input", "problem", "messages", "conversations")
"""Columns that say that a prompt is not to be found in what two answers begin with alike."""
WRITTEN_OUT = re.compile(r"\n\nHuman:.*\n\nAssistant:", re.DOTALL)
"""A dialogue in one text, as Anthropic's HH-RLHF has it."""


def row(pair: PreferencePair, answers: Sequence[str], pictures: ExportPictures) -> dict[str, Any]:
    """Raises ImageError when an image is not there."""
    asked = [*pair.turns, Turn(role=Role.USER, text=pair.prompt)]
    ahead = len(pair.images) if not any(PICTURE in turn.text for turn in asked) else 0
    prompt = [_message("system", pair.system)] if pair.system else []
    for number, turn in enumerate(asked):
        prompt.append(_message(turn.role, turn.text, ahead if number == 0 else 0))
    return {
        "images": [pictures.embedded(image) for image in pair.images],
        "prompt": prompt,
        "chosen": [_message(Role.ASSISTANT, pair.chosen)],
        "rejected": [_message(Role.ASSISTANT, pair.rejected)],
        **own_fields(pair, answers),
    }


def _message(role: str, text: str, ahead: int = 0) -> dict[str, Any]:
    """A message of so many images ahead, and the words and images of a user's text."""
    content = [{"type": "image"}] * ahead
    for number, words in enumerate(text.split(PICTURE) if role == Role.USER else [text]):
        content += [{"type": "image"}] if number else []
        content += [{"type": "text", "text": words}] if words else []
    return {"role": str(role), "content": content or [{"type": "text", "text": ""}]}


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes `train.parquet`, which `load_dataset(folder)` reads with its images decoded."""
    import pyarrow as pa

    part = pa.struct({"type": pa.string(), "text": pa.string()})
    messages = pa.list_(pa.struct({"role": pa.string(), "content": pa.list_(part)}))
    images = pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    columns = {"images": images, **dict.fromkeys(("prompt", "chosen", "rejected"), messages)}
    schema = pa.schema({**columns, **own_columns()})
    turns = {
        "_type": "List",
        "feature": {"role": TEXT, "content": {"_type": "List", "feature": {"type": TEXT, "text": TEXT}}},
    }
    features = {
        "images": {"_type": "List", "feature": {"_type": "Image"}},
        **dict.fromkeys(("prompt", "chosen", "rejected"), turns),
        **own_features(),
    }
    return write_parquet(rows, out / FILE, schema, features)


def own_columns() -> dict[str, Any]:
    """Arrow types of the fields that only mixpo knows."""
    import pyarrow as pa

    texts = dict.fromkeys(("id", "question_id", "origin", "chosen_id", "rejected_id", "answer_gt"), pa.string())
    flags = dict.fromkeys(("rejected_ended", "chosen_ended", "in_place"), pa.bool_())
    return {**texts, **flags, "accepted": pa.list_(pa.string()), **dict.fromkeys(TOKENS, pa.list_(pa.int64()))}


def own_features() -> dict[str, Any]:
    texts = dict.fromkeys(("id", "question_id", "origin", "chosen_id", "rejected_id", "answer_gt"), TEXT)
    flag, number = ({"dtype": dtype, "_type": "Value"} for dtype in ("bool", "int64"))
    flags = dict.fromkeys(("rejected_ended", "chosen_ended", "in_place"), flag)
    tokens = {name: {"_type": "List", "feature": number} for name in TOKENS}
    return {**texts, **flags, "accepted": {"_type": "List", "feature": TEXT}, **tokens}


def contents(row: Mapping[str, Any]) -> Iterator[Content]:
    """What a row says. Raises BadRow or Unsupported."""
    refuse_more(row)
    refuse_beside(row, ("system", "history"))
    prompt, chosen, rejected = (written(row.get(name)) for name in ("prompt", "chosen", "rejected"))
    if chosen is None or rejected is None:
        raise BadRow(f"there is no {'chosen' if chosen is None else 'rejected'}, of which a pair has one")
    if type(chosen) is not type(rejected):
        raise BadRow("chosen and rejected must both be texts, or lists of messages")
    given = images_in(row)
    if isinstance(chosen, str):
        if prompt is None:
            refuse_beside(row, ASKED)
        asked, chosen, rejected = _texts(prompt, chosen, rejected)
        yield Content(asked=asked, chosen=chosen, rejected=rejected, images=asked.images(given), marks=False)
        return
    chosen, rejected = _messages("chosen", chosen), _messages("rejected", rejected)
    # A prompt that is a text, beside conversations that have it: an older form, of which TRL takes the latter.
    if prompt is None or (isinstance(prompt, str) and any(message.get("role") == "user" for message in chosen)):
        prompt, chosen, rejected = _implicit(chosen, rejected)
    begun = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else _messages("prompt", prompt)
    asked = conversation(begun)
    if asked.reply is not None:
        raise Unsupported("a prompt that ends with the assistant's turn, which the answers would go on with")
    replies = [_reply(name, messages) for name, messages in (("chosen", chosen), ("rejected", rejected))]
    yield Content(asked=asked, chosen=replies[0], rejected=replies[1], images=asked.images(given), marks=False)


def _texts(prompt: Any, chosen: str, rejected: str) -> tuple[Conversation, str, str]:
    """What is asked, and the two answers, where these are texts."""
    if prompt is None:
        if chosen == rejected:
            raise Left(DropReason.SAME_TEXT, "chosen and rejected are the same")
        if not (length := alike(chosen, rejected)):
            raise BadRow("there is no prompt, and chosen and rejected do not begin alike")
        prompt, chosen, rejected = chosen[:length], chosen[length:], rejected[length:]
    asked = Conversation(text=prompt) if isinstance(prompt, str) else conversation(_messages("prompt", prompt))
    if asked.reply is not None:
        raise Unsupported("a prompt that ends with the assistant's turn, which the answers would go on with")
    if WRITTEN_OUT.search(asked.text):
        raise Unsupported("a dialogue written out in one text (Human: … Assistant: …); give it as messages")
    return asked, chosen, rejected


def _implicit(chosen: list[Any], rejected: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """The messages with which two conversations begin alike, and how each goes on."""
    if chosen == rejected:
        raise Left(DropReason.SAME_TEXT, "chosen and rejected are the same")
    length = alike(chosen, rejected)
    return chosen[:length], chosen[length:], rejected[length:]


def _messages(name: str, given: Any) -> list[Any]:
    if not isinstance(given, list) or not all(isinstance(message, Mapping) for message in given):
        raise BadRow(f"{name} must be text or a list of messages, not {short(given)}")
    return given


def _reply(name: str, messages: list[Any]) -> str:
    """The text of a completion. Raises Unsupported for one that is more than an assistant's message."""
    roles = [str(message.get("role")) for message in messages]
    if roles != ["assistant"]:
        raise Unsupported(f"{name} has the turns {', '.join(roles) or 'none'}; a completion is one of the assistant")
    read = conversation([{"role": "user", "content": ""}, *messages])
    assert read.reply is not None
    return read.reply
