"""What the preference formats share: what a row becomes, its images, and the fields that only mixpo knows.

A row that `mixpo export` wrote carries the record's own fields beside the format's (`OWN`), so it is read back
as the same record. Programs that know nothing of them ignore them.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.errors import BadRow, ImageError, Unsupported
from mixpo.images import inside
from mixpo.json_lines import to_json
from mixpo.records import Dropped, DropReason, Origin, PreferencePair
from mixpo.tables import BadLine, Row
from mixpo.values import short

OWN = ("id", "question_id", "origin", "chosen_id", "rejected_id", "rejected_ended", "answer_gt")
"""The fields of a pair that no other format has, and the ground truth (named as in MMPR)."""
RARE = ("chosen_ended", "chosen_token_ids", "rejected_token_ids")
"""Fields that a row has only where they say something, anybody's row: what is not said is the default."""
IMAGES = "images"
"""The folder of an export's images; `images/<root name>/<path>` is the record's image `<root name>/<path>`."""
PLACEHOLDER = "<image>"
STEP = "import"
EXTENSIONS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row, read."""

    pair: PreferencePair
    answer: str | None = None
    """The ground truth, where the row has one."""
    pictures: dict[str, bytes] = field(default_factory=dict)
    """Images that came as bytes, by the path that the pair has for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a format's row says, read out of its columns."""

    prompt: str
    chosen: Any
    rejected: Any
    images: Sequence[Any] = ()
    """Paths, or mappings with `bytes` and `path` as in Parquet files of `datasets`."""


class PairSource:
    """Where the rows of one source come from: its name, and where the images that they name lie."""

    def __init__(self, name: str, root: Path, exported: str = IMAGES):
        """`exported`: the folder under `root` that an export of ours has its images in."""
        self.name = name
        self.root = root
        self.exported = exported
        self.roots: dict[str, Path] = {}
        """Image roots that the pairs' paths begin with, by name, as they are met."""

    def entry(self, content: Content, row: Mapping[str, Any], number: int) -> Entry | Dropped:
        """The pair of row `number` (from 1), or why it makes none."""
        own = is_own(row)
        try:
            pictures: dict[str, bytes] = {}
            images = tuple(self._image(image, own, pictures) for image in content.images)
            texts = {name: getattr(content, name) for name in ("prompt", "chosen", "rejected")}
            for name, value in texts.items():
                if not isinstance(value, str) or (name != "prompt" and not value):
                    raise BadRow(f"{name} must be text that is not empty, not {short(value)}")
            fields = _own_fields(row) if own else self._new_fields(content.prompt, images, number)
            fields |= _rare_fields(row)
            answer = row.get("answer_gt")
            pair = PreferencePair(**texts, images=images, **fields)
            to_json(pair).encode()
            return Entry(pair=pair, answer=None if answer in (None, "") else str(answer), pictures=pictures)
        except UnicodeEncodeError:
            return self.left_out(number, BadRow("a text is not valid Unicode (half a surrogate pair)"))
        except (BadRow, ImageError) as error:
            return self.left_out(number, error)

    def read(self, row: Row, content_of: Callable[[Mapping[str, Any]], Content]) -> Entry | Dropped:
        """The pair of a file's row, or why it makes none; `content_of` is the format's `content`."""
        try:
            if isinstance(row.content, BadLine):
                raise BadRow(str(row.content))
            if not isinstance(row.content, Mapping):
                raise BadRow(f"a row is a mapping of columns, not {short(row.content)}")
            return self.entry(content_of(row.content), row.content, row.number)
        except (BadRow, Unsupported) as error:
            return self.left_out(row.number, error)

    def left_out(self, number: int, error: Exception) -> Dropped:
        reasons = {Unsupported: DropReason.UNSUPPORTED, ImageError: DropReason.BAD_IMAGE}
        reason = reasons.get(type(error), DropReason.BAD_ROW)
        return Dropped(id=f"{self.name}:{number}", step=STEP, reason=reason, detail=str(error))

    def _new_fields(self, prompt: str, images: tuple[str, ...], number: int) -> dict[str, Any]:
        """Rows that ask the same of the same images belong to one question."""
        question = hashlib.sha256("\0".join([prompt, *images]).encode("utf-8", "replace")).hexdigest()[:16]
        return {
            "id": f"{self.name}-{number}",
            "question_id": f"{self.name}-{question}",
            "origin": Origin.IMPORTED,
            "chosen_id": "",
            "rejected_id": "",
            "rejected_ended": True,
        }

    def _image(self, image: Any, own: bool, pictures: dict[str, bytes]) -> str:
        """The record's path of an image. Raises ImageError when it leaves its root."""
        if isinstance(image, Mapping) and image.get("bytes") is not None:
            return self._picture(image, own, pictures)
        path = image.get("path") if isinstance(image, Mapping) else image
        if not isinstance(path, str) or not path:
            raise BadRow(f"an image must be a path, or bytes, not {short(image)}")
        if path.startswith("/") and Path(path).is_relative_to(self.root.absolute()):
            path = Path(path).relative_to(self.root.absolute()).as_posix()
        _refuse_upwards(path)
        inside(self.root, path)
        first, _, rest = path.removeprefix(f"{self.exported}/").partition("/")
        if own and rest and (not self.exported or path.startswith(f"{self.exported}/")):
            self.roots[first] = self.root / self.exported / first
            return f"{first}/{rest}"
        self.roots[self.name] = self.root
        return f"{self.name}/{path}"

    def _picture(self, image: Mapping[str, Any], own: bool, pictures: dict[str, bytes]) -> str:
        content = image["bytes"]
        if not isinstance(content, bytes) or not content:
            raise ImageError("the image is empty")
        extension = next((extension for start, extension in EXTENSIONS.items() if content.startswith(start)), ".img")
        path = f"{self.name}/{hashlib.sha256(content).hexdigest()[:20]}{extension}"
        if own and isinstance(image.get("path"), str) and "/" in image["path"]:
            path = image["path"]
            _refuse_upwards(path)
            inside(self.root, path)
        pictures[path] = content
        return path


def _refuse_upwards(path: str) -> None:
    """A path's first part becomes the name of a root: it must be a name."""
    if any(part in (".", "..") for part in path.split("/")):
        raise ImageError(f"{path}: image paths with . or .. are not followed")


def is_own(row: Mapping[str, Any]) -> bool:
    """Whether `mixpo export` wrote the row: it carries the fields that no other format has."""
    return all(row.get(name) is not None for name in OWN if name != "answer_gt")


def own_fields(pair: PreferencePair, answer: str | None) -> dict[str, Any]:
    """The columns that bring a pair back as it was."""
    values = {name: getattr(pair, name) for name in OWN if name != "answer_gt"}
    rare = {name: value for name in RARE if (value := getattr(pair, name)) not in (True, ())}
    return {**values, **rare, "origin": str(pair.origin), "answer_gt": answer}


def _rare_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row[name] for name in RARE if row.get(name) is not None}
    if not isinstance(values.get("chosen_ended", True), bool):
        raise BadRow(f"chosen_ended must be true or false, not {short(row['chosen_ended'])}")
    for name in values.keys() - {"chosen_ended"}:
        if not isinstance(values[name], list) or not all(isinstance(token, int) for token in values[name]):
            raise BadRow(f"{name} must be a list of numbers, not {short(row[name])}")
        values[name] = tuple(values[name])
    return values


def _own_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row[name] for name in OWN if name != "answer_gt"}
    if values["origin"] not in list(Origin):
        raise BadRow(f"origin {short(values['origin'])} is none of {', '.join(Origin)}")
    if not isinstance(values["rejected_ended"], bool):
        raise BadRow(f"rejected_ended must be true or false, not {short(values['rejected_ended'])}")
    for name in ("id", "question_id", "chosen_id", "rejected_id"):
        if not isinstance(values[name], str):
            raise BadRow(f"{name} must be text, not {short(values[name])}")
    return {**values, "origin": Origin(values["origin"])}


def images_of(row: Mapping[str, Any]) -> list[Any]:
    """The column `images`, one image or a list. Raises Unsupported for a row with video or audio."""
    if row.get("videos") or row.get("audios"):
        raise Unsupported("video or audio: a pair has images only")
    images = row.get("images") or []
    return images if isinstance(images, list) else [images]


def without_placeholders(text: Any, images: int, after: str = "") -> str:
    """The prompt without its leading `<image>` marks, each followed by `after` where that stands there.

    Raises Unsupported when they stand elsewhere or are not as many as the images: a pair shows its images first.
    """
    if not isinstance(text, str):
        raise BadRow(f"the prompt must be text, not {short(text)}")
    marks = text.count(PLACEHOLDER)
    if marks not in (0, images):
        raise Unsupported(f"the prompt names {marks} images and the row has {images}")
    for _ in range(marks):
        if not text.startswith(PLACEHOLDER):
            raise Unsupported("images within the text: a pair shows its images first")
        text = text.removeprefix(PLACEHOLDER).removeprefix(after)
    return text


def refuse_placeholders(pair: PreferencePair) -> None:
    """Raises Unsupported for a pair whose own words would be taken for an image."""
    if any(PLACEHOLDER in text for text in (pair.prompt, pair.chosen, pair.rejected)):
        raise Unsupported(f"its text contains {PLACEHOLDER!r}, which the format takes for an image")


def only_message(messages: Any, role: str, what: str) -> Any:
    """The content of the one message there should be. Raises Unsupported when there are more, or another role."""
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise BadRow(f"{what} must be a list of messages, not {short(messages)}")
    roles = [message.get("role") for message in messages]
    if roles != [role]:
        raise Unsupported(f"{what} has the turns {', '.join(map(str, roles)) or 'none'}; a pair has one of {role}")
    return messages[0].get("content")
