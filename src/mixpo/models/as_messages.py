"""Messages in the ways that rows for training have them, as lists of parts; and the text of one completion."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixpo.conversations import kind_of, picture_in
from mixpo.errors import DataError
from mixpo.messages import PICTURE, parts, placed, text_part
from mixpo.values import short

MISNAMED = ("content", "value")
"""What else the words of a part may be called: chat templates would write nothing for them."""
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Keys of a message that templates of reasoning models write before its content."""


def as_messages(
    given: str | Sequence[Mapping[str, Any]], role: str = "user", images: int = 0, videos: int = 0
) -> list[dict[str, Any]]:
    """Messages whose contents are lists of parts; a text is one message of `role`.

    What a part carries of its picture is left out (`pictures_of`). Images that no part names stand where the user's
    texts have marks for them (`mixpo.messages.placed`), else first in the first user turn. Raises DataError when parts
    or marks name another number of images, or parts of videos, than there are.
    """
    given = [{"role": role, "content": given}] if isinstance(given, str) else given
    messages = [{"role": message["role"], "content": list(map(_part, parts_of(message)))} for message in given]
    named, filmed = (
        sum(part["type"] == kind for message in messages for part in message["content"]) for kind in ("image", "video")
    )
    if filmed != videos:
        raise DataError(f"the prompt names {filmed} videos and the row has {videos}; they must be equal")
    if named == 0 and images:
        _place(messages, images)
    elif named != images:
        raise DataError(f"the prompt names {named} images and the row has {images}; they must be equal")
    for part in (part for message in messages for part in message["content"] if part["type"] == "text"):
        part["text"] = text_part(part["text"])["text"]
    return messages


def parts_of(message: Any) -> list[Any]:
    """The parts of a message. Raises DataError for what is none, and for calls of tools."""
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise DataError(f"a message is a mapping with `role` and `content`, not {short(message)}")
    if message.get("tool_calls"):
        raise DataError(f"the {message['role']} message calls tools, which a pair has no place for; drop the row")
    content = message.get("content")
    if content is None:
        raise DataError(f"the prompt's {message['role']} message has no content")
    if not isinstance(content, str | list | tuple):
        raise DataError(f"the content of a message is text or a list of parts, not {short(content)}")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def pictures_of(given: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What the image parts of messages carry, in order (`mixpo.conversations.picture_in`)."""
    found = [part for message in given for part in parts_of(message) if isinstance(part, Mapping)]
    return [picture_in(part) for part in found if kind_of(part) == "image"]


def _part(given: Any) -> dict[str, Any]:
    """A part as chat templates take it: what it is, and a text's words. `datasets` fills the keys that it lacks with
    None."""
    part = {"type": "text", "text": given} if isinstance(given, str) else given
    kind = kind_of(part) if isinstance(part, Mapping) else None
    if kind is None:
        raise DataError(f"the prompt has a part that is none of `image`, `video` and `text`: {short(given)}")
    if kind != "text":
        return {"type": kind}
    if part.get("text") is None and any(part.get(name) for name in MISNAMED):
        raise DataError(f"a part of type text has its words elsewhere than in `text`: {short(part)}; rename the key")
    return {"type": kind, "text": part.get("text") or ""}


def _place(messages: list[dict[str, Any]], images: int) -> None:
    """Puts a part for each image where the users' texts have marks for them, else first in the first user turn."""
    users = [message for message in messages if message["role"] == "user"]
    if not users:
        roles = ", ".join(str(message["role"]) for message in messages)
        raise DataError(f"the prompt has images and no message of role 'user' (roles: {roles}); rename the roles")
    texts = [part for message in users for part in message["content"] if part["type"] == "text"]
    for part, text in zip(texts, placed([part.get("text") or "" for part in texts], images), strict=True):
        part["text"] = text
    if any(PICTURE in part["text"] for part in texts):
        for message in users:
            message["content"] = [new for part in message["content"] for new in _split(part)]
    else:
        users[0]["content"] = [{"type": "image"}] * images + users[0]["content"]


def plain(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with its words as one text. Raises DataError for one that has more than words."""
    if any(part["type"] != "text" for part in message["content"]):
        raise DataError(f"the model's chat template takes no pictures in the {message['role']} turn")
    return {**message, "content": "".join(part["text"] for part in message["content"])}


def _split(part: dict[str, Any]) -> list[dict[str, Any]]:
    return parts(part["text"]) if part["type"] == "text" else [part]


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of one assistant turn. Raises DataError when there is not exactly one message, of words alone."""
    if len(messages) != 1:
        raise DataError(
            f"a completion must be one assistant message, not {len(messages)}; put earlier turns in the prompt"
        )
    for name in THOUGHTS:
        if messages[0].get(name):
            raise DataError(
                f"a completion has thoughts in `{name}`, beside its content; write them into the content, as the model "
                "writes them, or leave the key out"
            )
    found = [_part({"type": "text", **part} if isinstance(part, Mapping) else part) for part in parts_of(messages[0])]
    if any(part["type"] != "text" for part in found):
        raise DataError("a completion shows a picture, which no model here writes; drop the row")
    return "".join(part["text"] for part in found)
