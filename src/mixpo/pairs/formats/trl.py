"""TRL's conversational preference format for vision-language models (DPOTrainer), Parquet with the images in it.

{"images": [image], "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": …}]}],
 "chosen": [{"role": "assistant", "content": [{"type": "text", "text": …}]}], "rejected": [likewise]}

Read from Parquet or JSON lines; a message's content may also be plain text.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mixpo.errors import BadRow, Unsupported
from mixpo.pairs.formats.pictures import ExportPictures
from mixpo.pairs.formats.row import Content, only_message, own_fields
from mixpo.records import PreferencePair
from mixpo.tables import write_parquet
from mixpo.values import short

FILE = "train.parquet"
TEXT = {"dtype": "string", "_type": "Value"}
TOKENS = ("chosen_token_ids", "rejected_token_ids")


def row(pair: PreferencePair, answer: str | None, pictures: ExportPictures) -> dict[str, Any]:
    """Raises ImageError when an image is not there."""
    content = [{"type": "image"} for _ in pair.images]
    return {
        "images": [pictures.embedded(image) for image in pair.images],
        "prompt": [{"role": "user", "content": [*content, {"type": "text", "text": pair.prompt}]}],
        "chosen": _answer(pair.chosen),
        "rejected": _answer(pair.rejected),
        **own_fields(pair, answer),
    }


def _answer(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


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

    names = ("id", "question_id", "origin", "chosen_id", "rejected_id")
    own = {**dict.fromkeys(names, pa.string()), "rejected_ended": pa.bool_(), "answer_gt": pa.string()}
    return own | {"chosen_ended": pa.bool_(), **dict.fromkeys(TOKENS, pa.list_(pa.int64()))}


def own_features() -> dict[str, Any]:
    names = ("id", "question_id", "origin", "chosen_id", "rejected_id")
    truth, number = ({"dtype": dtype, "_type": "Value"} for dtype in ("bool", "int64"))
    own = {**dict.fromkeys(names, TEXT), "rejected_ended": truth, "answer_gt": TEXT}
    return own | {"chosen_ended": truth, **{name: {"_type": "List", "feature": number} for name in TOKENS}}


def content(row: Mapping[str, Any]) -> Content:
    """What a row says. Raises BadRow or Unsupported."""
    images = row.get("images")
    if images is None:
        images = [] if row.get("image") is None else [row["image"]]
    prompt = row.get("prompt")
    if not isinstance(prompt, str):
        prompt = _text(only_message(prompt, "user", "the prompt"), len(images))
    completions = []
    for name in ("chosen", "rejected"):
        value = row.get(name)
        completions.append(value if isinstance(value, str) else _text(only_message(value, "assistant", name), 0))
    return Content(prompt=prompt, chosen=completions[0], rejected=completions[1], images=images)


def _text(content: Any, images: int) -> str:
    """A message's text. Raises Unsupported for images after text, or another number of them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        raise BadRow(f"a message's content is text or a list of parts, not {short(content)}")
    kinds = [part.get("type") for part in content]
    if set(kinds) - {"image", "text"}:
        raise Unsupported(f"parts of the type {', '.join(sorted(map(str, set(kinds) - {'image', 'text'})))}")
    named = kinds.count("image")
    if named not in (0, images):
        raise Unsupported(f"the prompt names {named} images and the row has {images}")
    if "image" in kinds[kinds.index("text") if "text" in kinds else 0 :] and "text" in kinds:
        raise Unsupported("images within the text: a pair shows its images first")
    return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
