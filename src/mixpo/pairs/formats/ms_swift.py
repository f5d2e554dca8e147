"""ms-swift's standard format for DPO: JSON lines, images by path, `<image>` where one stands in the prompt.

{"messages": [{"role": "user", "content": "<image>…"}, {"role": "assistant", "content": chosen}],
 "rejected_response": …, "images": [path]}

`rejected_messages` (ms-swift 3.8), which repeats the prompt, is read too.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mixpo.errors import BadRow, Unsupported
from mixpo.pairs.formats.pictures import ExportPictures
from mixpo.pairs.formats.row import (
    PLACEHOLDER,
    Content,
    images_of,
    only_message,
    own_fields,
    refuse_placeholders,
    without_placeholders,
)
from mixpo.records import PreferencePair
from mixpo.tables import write_jsonl
from mixpo.values import short

FILE = "train.jsonl"


def row(pair: PreferencePair, answer: str | None, pictures: ExportPictures) -> dict[str, Any]:
    """Raises Unsupported for text that reads as an image, ImageError when an image is not there."""
    refuse_placeholders(pair)
    return {
        "messages": [
            {"role": "user", "content": PLACEHOLDER * len(pair.images) + pair.prompt},
            {"role": "assistant", "content": pair.chosen},
        ],
        "rejected_response": pair.rejected,
        "images": [pictures.copied(image) for image in pair.images],
        **own_fields(pair, answer),
    }


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes `train.jsonl`; image paths start at its folder: run `swift rlhf --dataset train.jsonl` there."""
    return write_jsonl(rows, out / FILE)


def content(row: Mapping[str, Any]) -> Content:
    """What a row says. Raises BadRow or Unsupported."""
    images = images_of(row)
    if row.get("rejected_images") not in (None, [], images):
        raise Unsupported("chosen and rejected have different images")
    prompt, chosen = _turns(row.get("messages"))
    rejected = row.get("rejected_response")
    if rejected is None and row.get("rejected_messages") is not None:
        other, rejected = _turns(row["rejected_messages"])
        if other != prompt:
            raise Unsupported("chosen and rejected answer different prompts")
    return Content(prompt=without_placeholders(prompt, len(images)), chosen=chosen, rejected=rejected, images=images)


def _turns(messages: Any) -> tuple[Any, Any]:
    if not isinstance(messages, list) or len(messages) < 2:
        raise BadRow(f"messages must be a list of a user's and an assistant's turn, not {short(messages)}")
    return only_message(messages[:-1], "user", "the prompt"), only_message(messages[-1:], "assistant", "the answer")
