"""A row in any form that TRL's DPOTrainer takes: what it shows, asks and answers.

{"images": [picture], "prompt": [{"role": "user", "content": …}], "chosen": [{"role": "assistant", …}], "rejected": …}
{"image": picture, "prompt": "<image>\\nWhat is it?", "chosen": " A cat.", "rejected": " A dog."}

Pictures are Pillow images, `Frames`, paths, bytes, `datasets`' mappings of these, and lie in a column or in the image
parts of the prompt. Without `prompt` it is what chosen and rejected begin with alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo.conversations import alike, refuse_more, what_is_shown
from mixpo.errors import BadRow, DataError, ImageError
from mixpo.images import decode, is_url, loaded, open_file
from mixpo.models.as_messages import pictures_of, text_of
from mixpo.names import at_home
from mixpo.pictures import NOTHING, content, images_in, same_images
from mixpo.values import short
from mixpo.videos import Frames, videos_among

COLUMNS = ("images", "image")
SIDES = ("chosen", "rejected")
Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a row says."""

    images: list[Any]
    """Pillow images, and the `Frames` of videos, in the order of their places."""
    prompt: str | list[Message]
    """Messages; or a text that is tokenised as it is, without chat template (TRL's standard form)."""
    completions: list[str | list[Message]]
    """Chosen, then rejected: the words of an assistant's turn, or several turns, the first and the last of them the
    assistant's; of a standard row, texts that are tokenised as they are."""
    pictured: bool
    """Whether the row has a column of images, be it empty: by it TRL tells which data sets show pictures."""

    @property
    def shown(self) -> tuple[int, int]:
        """How many images there are, and how many videos."""
        videos = len(videos_among(self.images))
        return len(self.images) - videos, videos


def read(row: Mapping[str, Any], sides: Sequence[str] = SIDES) -> Asked:
    """The row's pictures, prompt and completions (those of `sides`).

    Raises DataError for a row that cannot be trained on as it is meant, ImageError for a picture that cannot be had.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"a row is a mapping of columns, not {short(row)}")
    if any(row.get(name) for name in ("video", "videos")):
        raise DataError("a row has a column of videos; put each among its images, as mixpo.videos.Frames")
    try:
        refuse_more(row)
        prompt, given = _prompt_and_completions(row, sides)
        completions = given if isinstance(prompt, str) else [_turns(name, one) for name, one in zip(sides, given)]
        carried = [] if isinstance(prompt, str) else pictures_of(prompt)
        column = _column(row)
        images = what_is_shown(carried, column, "picture")
    except BadRow as error:
        raise DataError(f"a row cannot be trained on: {error}; drop the row, or the column that says so") from error
    shown = list(map(opened, images))
    if column:
        _refuse_others(carried, shown)
    return Asked(
        images=shown, prompt=prompt, completions=completions,
        pictured=any(name in row for name in COLUMNS),
    )  # fmt: skip


def _prompt_and_completions(row: Mapping[str, Any], sides: Sequence[str]) -> tuple[Any, list[Any]]:
    """The prompt and the sides' completions, of an implicit prompt, too."""
    for column in sides:
        if row.get(column) is None:
            raise DataError(f"a row has no {column!r}, which the objective needs; drop the row or add the column")
        if not isinstance(row[column], str | list | tuple):
            raise DataError(f"{column} must be text or a list of messages, not {short(row[column])}")
    prompt, given = row.get("prompt"), [row[side] for side in sides]
    whole = not any(isinstance(one, str) for one in given) and all(_asks(one) for one in given)
    if prompt is None or (isinstance(prompt, str) and whole):  # an older form has the prompt in both
        if len(given) < 2 or type(given[0]) is not type(given[1]):
            raise DataError("a row has no 'prompt', which the objective needs; drop the row or add the column")
        if given[0] == given[1]:
            raise DataError("a row has no prompt, and chosen and rejected are the same; drop the row")
        if not (length := alike(*given)):
            raise DataError("a row has no prompt, and chosen and rejected do not begin alike; add the column 'prompt'")
        prompt, given = given[0][:length], [one[length:] for one in given]
    if isinstance(prompt, str):
        if all(isinstance(one, str) for one in given):
            return prompt, given
        prompt = [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list | tuple) or not prompt:
        raise DataError(f"prompt must be text or a list of messages, not {short(prompt)}")
    if isinstance(prompt[-1], Mapping) and prompt[-1].get("role") == "assistant":
        raise DataError(
            "the prompt ends with the assistant's turn, which chosen and rejected would go on with; move its words to "
            "the beginning of both"
        )
    return list(prompt), given


def is_standard(row: Mapping[str, Any]) -> bool:
    """Whether all that a row says is text, to be tokenised without chat template (TRL's standard form)."""
    return all(isinstance(row.get(name), str | None) for name in ("prompt", *SIDES))


def _asks(messages: Sequence[Any]) -> bool:
    return any(isinstance(message, Mapping) and message.get("role") == "user" for message in messages)


def _turns(name: str, given: str | list[Any]) -> str | list[Message]:
    """A completion: the words of the assistant's turn, or several turns. Raises DataError."""
    if isinstance(given, str):
        return given
    roles = [message.get("role") if isinstance(message, Mapping) else None for message in given]
    if not roles or {roles[0], roles[-1]} != {"assistant"} or {*roles} - {"assistant", "user"}:
        what = ", ".join(map(str, roles)) or "none"
        hint = "; leave out of it what the prompt says already" if roles[:1] == ["user"] else ""
        raise DataError(f"{name} has the turns {what}: a completion begins and ends with the assistant's{hint}")
    if len(given) > 1:
        for message in given:
            text_of([message])
        return list(given)
    return text_of(given)


def _column(row: Mapping[str, Any]) -> list[Any]:
    """The pictures in the row's columns; tables have None, or a mapping of nothing, where there is none."""
    for name in COLUMNS:
        if hasattr(row.get(name), "shape"):
            raise DataError(f"{name} is an array ({type(row[name]).__name__}); give Pillow images, paths, or bytes")
    found = [images for name in COLUMNS if (images := _shown(images_in(row, [name])))]
    if len(found) == 2 and not same_images(*found):
        raise DataError("a row has other pictures in its column images than in image; drop one of the columns")
    return found[0] if found else []


def _shown(images: Sequence[Any]) -> list[Any]:
    return [image for image in images if image is not None and not (isinstance(image, Mapping) and image == NOTHING)]


def _refuse_others(carried: Sequence[Any], shown: Sequence[Any]) -> None:
    """Raises DataError where a part's picture is another one than the column has in its place; a path that leads
    nowhere says nothing."""
    for part, beside in zip(carried, shown, strict=False):
        if part is None or part is beside or isinstance(beside, Frames):
            continue
        try:
            own = opened(part)
        except (DataError, ImageError):
            continue
        if not isinstance(own, Frames) and (own.size, own.convert("RGB").tobytes()) != (
            beside.size,
            beside.convert("RGB").tobytes(),
        ):
            raise DataError("a part of the prompt has another picture than the row's column; drop one of the two")


def opened(image: Any) -> Any:
    """A row's picture as Pillow has it; what is that already, and `Frames`, as it is. Paths are the working folder's.

    Raises ImageError for one that cannot be opened safely (`mixpo.images`), or is named by an address.
    """
    if isinstance(image, Frames):
        return image
    if hasattr(image, "convert") and hasattr(image, "load"):
        return loaded(image, "a picture of the row")
    data, name = content(image)
    if data is not None:
        return decode(data, "a picture of the row")
    if not isinstance(name, str | Path) or not str(name):
        raise DataError(
            f"a picture is {short(image)} ({type(image).__name__}); give a Pillow image, a path, or a file's bytes"
        )
    if is_url(str(name)):
        raise DataError(f"{name}: pictures are not fetched from addresses; download it, and give its path")
    return open_file(at_home(name), str(name))


def named(row: Mapping[str, Any], data_sets: Sequence[Any]) -> str:
    """What a message calls a row: its id, or its number (from 0) in the data set that has it."""
    if not isinstance(row, Mapping):
        return "a row"
    if row.get("id") is not None:
        return str(row["id"]) if isinstance(row["id"], str) else f"the row with id {row['id']}"
    found = [number for data in _each(data_sets) for number in _numbers(row, data)]
    if len(found) > 1:  # with the same words, and perhaps other pictures
        return f"one of the rows {', '.join(map(str, found[:3]))}{' …' if len(found) > 3 else ''}"
    return f"row {found[0]}" if found else f"the row with prompt {short(row.get('prompt'))}"


def _each(data_sets: Sequence[Any]) -> list[Any]:
    """The data sets; those to evaluate on may come by name."""
    given = (list(data.values()) if isinstance(data, Mapping) else [data] for data in data_sets)
    return [data for each in given for data in each if hasattr(data, "__len__") and hasattr(data, "__getitem__")]


def _numbers(row: Mapping[str, Any], data: Any) -> list[int]:
    """The rows of a data set that say what `row` does; without decoding the images of others."""
    columns = [name for name in ("prompt", *SIDES) if name in row]
    rows = data.select_columns(columns) if hasattr(data, "select_columns") else data
    each = [rows[number] for number in range(len(rows))]
    same = [number for number, other in enumerate(each) if other is row]
    return same or [
        number for number, other in enumerate(each) if all(other.get(name) == row[name] for name in columns)
    ]
