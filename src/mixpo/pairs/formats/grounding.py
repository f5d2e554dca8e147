"""ms-swift's marks of grounding, `<ref-object>` and `<bbox>`, filled in from a row's `objects`.

{"objects": {"ref": ["sheep"], "bbox": [[90.9, 160.8, 135, 212.8]], "bbox_type": "real", "image_id": [0]}}

The n-th mark of a side's texts stands for the n-th entry; marks behind the last entry are words. How an entry is
written differs from family to family (`replace_ref`, `replace_bbox` of ms-swift's templates): a recipe says how.
Coordinates are thousandths of the image's width and height, as most families have them.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from mixpo.errors import BadRow, Unsupported
from mixpo.values import parsed, short

REF, BOX = "<ref-object>", "<bbox>"
MARKS = re.compile(f"{REF}|{BOX}")


class Grounding(StrEnum):
    """How objects and their boxes are written into texts."""

    DROP = "drop"
    """Not at all: a row with such marks is left out."""
    PLAIN = "plain"
    """`sheep` and `[(90,160),(135,212)]`: most of ms-swift's templates."""
    QWEN2_VL = "qwen2_vl"
    """`<|object_ref_start|>sheep<|object_ref_end|>` and `<|box_start|>(90,160),(135,212)<|box_end|>`."""
    QWEN3_VL = "qwen3_vl"
    """`sheep` and `[90, 160, 135, 212]`."""
    INTERNVL = "internvl"
    """`<ref>sheep</ref>` and `<box>[[90, 160, 135, 212]]</box>`."""


FORMS = {
    Grounding.PLAIN: ("{ref}", "[{points}]"),
    Grounding.QWEN2_VL: ("<|object_ref_start|>{ref}<|object_ref_end|>", "<|box_start|>{points}<|box_end|>"),
    Grounding.QWEN3_VL: ("{ref}", "{box}"),
    Grounding.INTERNVL: ("<ref>{ref}</ref>", "<box>[{box}]</box>"),
}


class Ground:
    """Fills the marks in; `size` gives an image's width and height in pixels."""

    def __init__(self, form: Grounding = Grounding.DROP, size: Callable[[Any], tuple[int, int]] | None = None):
        self.form = form
        self.size = size

    def filled(self, messages: Sequence[Mapping[str, Any]], objects: Any, images: Sequence[Any]) -> list[Any]:
        """A side's messages. Raises Unsupported where marks are to be dropped, BadRow for objects that are none."""
        given = parsed(objects)
        marks = sum(len(MARKS.findall(text)) for message in messages for text in _texts(message))
        if not given or not marks:
            return list(messages)
        if not isinstance(given, Mapping):
            raise BadRow(f"objects must be a mapping of ref and bbox, not {short(objects)}")
        if self.form is Grounding.DROP:
            names = ", ".join(form for form in Grounding if form is not Grounding.DROP)
            raise Unsupported(f"marks of grounding, which each family writes in its own way: say `grounding`: {names}")
        entries = {REF: self._refs(given), BOX: self._boxes(given, images)}
        return [_replaced(message, lambda mark: next(entries[mark[0]], mark[0])) for message in messages]

    def _refs(self, objects: Mapping[str, Any]) -> Iterator[str]:
        for ref in _listed(objects, "ref"):
            if not isinstance(ref, str):
                raise BadRow(f"a ref is a text, not {short(ref)}")
            yield FORMS[self.form][0].replace("{ref}", ref)

    def _boxes(self, objects: Mapping[str, Any], images: Sequence[Any]) -> Iterator[str]:
        which = _listed(objects, "image_id")
        for number, box in enumerate(_listed(objects, "bbox")):
            if not isinstance(box, list) or len(box) not in (2, 4) or not all(map(_is_number, box)):
                raise BadRow(f"a bbox is a list of 2 or 4 numbers, not {short(box)}")
            if len(box) == 4:
                box = [min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])]
            image = which[number] if number < len(which) else 0
            if objects.get("bbox_type") == "norm1":
                scale: tuple[float, float] = (1, 1)
            elif objects.get("bbox_type") not in (None, "real"):
                raise Unsupported(f"bbox_type {short(objects['bbox_type'])}")
            elif self.size is None or not isinstance(image, int) or not 0 <= image < len(images):
                raise BadRow(f"box {number + 1} lies in image {image}, and there are {len(images)}")
            else:
                scale = self.size(images[image])
            # ms-swift's rounding: Python's, of the product of the ratio.
            whole = [round(value / scale[place % 2] * 1000) for place, value in enumerate(box)]
            points = ",".join(f"({x},{y})" for x, y in zip(whole[::2], whole[1::2], strict=True))
            yield FORMS[self.form][1].replace("{points}", points).replace("{box}", str(whole))


def _listed(objects: Mapping[str, Any], name: str) -> list[Any]:
    given = objects.get(name)
    if given is None or isinstance(given, list):
        return given or []
    raise BadRow(f"{name} of objects must be a list, not {short(given)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _texts(message: Mapping[str, Any]) -> list[str]:
    content = message.get("value", message.get("content"))
    parts = content if isinstance(content, list) else [content]
    each = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return [text for text in each if isinstance(text, str)]


def _replaced(message: Mapping[str, Any], fill: Callable[[re.Match[str]], str]) -> dict[str, Any]:
    def replaced(part: Any) -> Any:
        if isinstance(part, str):
            return MARKS.sub(fill, part)
        return {**part, "text": replaced(part["text"])} if isinstance(part, Mapping) and part.get("text") else part

    key = "value" if "value" in message else "content"
    content = message.get(key)
    return {**message, key: [replaced(part) for part in content] if isinstance(content, list) else replaced(content)}
