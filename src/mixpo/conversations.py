"""Conversations as other programs write them: lists of turns, read into what a question or a pair has of them.

[{"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]            LLaVA, ShareGPT
[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]          OpenAI, TRL
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from mixpo.errors import BadRow, DataError, Unsupported
from mixpo.messages import MARK, PICTURE, VIDEO_MARK, count, kinds, placed
from mixpo.records import Role, Turn
from mixpo.values import parsed, short

ROLES = {
    "human": Role.USER, "user": Role.USER,
    "gpt": Role.ASSISTANT, "assistant": Role.ASSISTANT, "model": Role.ASSISTANT,
    "system": "system", "developer": "system",
}  # fmt: skip
"""What speakers are called."""
PICTURES = ("image", "image_url", "input_image")
VIDEOS = ("video", "video_url", "input_video")
VIDEO = "<video>"
"""Stands for a part that is a video until it is known what the row shows (`mixpo.messages.VIDEO_MARK`)."""
TEXTS = ("text", "input_text", "output_text")


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """A list of turns, read; pictures between words are U+FFFC (`mixpo.messages`)."""

    system: str = ""
    turns: tuple[Turn, ...] = ()
    """What was said before `text`."""
    text: str = ""
    """The last user turn."""
    reply: str | None = None
    """What the assistant says after it; None: nothing."""
    pictures: list[Any] = field(default_factory=list)
    """What the parts say of their pictures, in order: a path, bytes, a mapping; None: only that one stands there."""
    videos: list[Any] = field(default_factory=list)
    """The same of their videos: the part itself, which also says how fast it is shown."""

    @property
    def marks(self) -> int:
        """Places for pictures."""
        return sum(len(MARK.findall(text)) for text in (*self._asked, self.text))

    @property
    def _asked(self) -> list[str]:
        return [turn.text for turn in self.turns if turn.role == Role.USER]

    def with_pictures(self, images: int, after: str | None = None, videos: int = 0) -> "Conversation":
        """The conversation with so many pictures in their places (`mixpo.messages.placed`); raises BadRow."""
        given = [*self._asked, self.text]
        try:
            if videos:
                kinds(given, images, videos)
                given = [VIDEO_MARK.sub(PICTURE, text) for text in given]
            texts = iter(placed(given, images + videos, after))
        except DataError as error:
            raise BadRow(str(error)) from None
        turns = tuple(replace(turn, text=next(texts)) if turn.role == Role.USER else turn for turn in self.turns)
        return replace(self, turns=turns, text=next(texts))

    def kinds(self, images: int, videos: int) -> list[str]:
        """What stands in each place, in order (`mixpo.messages.kinds`); raises BadRow."""
        try:
            return kinds([*self._asked, self.text], images, videos)
        except DataError as error:
            raise BadRow(str(error)) from None

    def images(self, given: Sequence[Any]) -> list[Any]:
        """The row's pictures: those that the parts carry, or those `given` beside them.

        Raises BadRow where both give some, and not the same number, or where a part's picture is nowhere.
        """
        return _shown(self.pictures, given, "picture")

    def films(self, given: Sequence[Any]) -> list[Any]:
        """The same of the row's videos."""
        return _shown(self.videos, given, "video")


def _shown(named: Sequence[Any], given: Sequence[Any], thing: str) -> list[Any]:
    carried = [one for one in named if one is not None]
    if len(given) == len(named) or not named or (given and not carried):
        return list(given)
    if given or len(carried) < len(named):
        raise BadRow(
            f"the conversation has {count(len(named), thing)}, of which it gives {len(carried)}, and the row has "
            f"{len(given)} beside it"
        )
    return carried


class Shown(NamedTuple):
    """What the parts of a conversation show, in order."""

    pictures: list[Any]
    videos: list[Any] | None
    """None: the reader takes none."""


def is_conversation(value: Any) -> bool:
    """Whether a column holds turns instead of a text; a table has them as JSON text."""
    found = parsed(value)
    return isinstance(found, list) and (found is value or (found != [] and isinstance(found[0], dict)))


def conversation(value: Any, *, videos: bool = False) -> Conversation:
    """Reads a list of turns: perhaps a system prompt, then user and assistant by turns, from a user's on.

    Raises Unsupported for turns of tools and for parts that are neither words nor pictures nor, where the reader takes
    them, `videos`; BadRow for what is no conversation.
    """
    given = parsed(value)
    if not isinstance(given, list | tuple):
        raise BadRow(f"a conversation is a list of turns, not {short(value)}")
    shown = Shown([], [] if videos else None)
    said = [_turn(turn, shown) for turn in given]
    system = said.pop(0)[1] if said and said[0][0] == "system" else ""
    roles = [role for role, _ in said]
    if not roles or any(role != tuple(Role)[number % 2] for number, role in enumerate(roles)):
        spoken = ", ".join(map(str, roles)) or "nobody"
        raise BadRow(f"in a conversation user and assistant speak by turns, from the user on; here {spoken}")
    reply = said.pop()[1] if roles[-1] is Role.ASSISTANT else None
    turns = tuple(Turn(role=Role(role), text=text) for role, text in said)
    if any(PICTURE in turn.text for turn in turns if turn.role == Role.ASSISTANT) or PICTURE in (reply or ""):
        raise Unsupported("a picture in an assistant's turn")
    return Conversation(
        system=system, turns=turns[:-1], text=turns[-1].text, reply=reply, pictures=shown.pictures,
        videos=shown.videos or [],
    )  # fmt: skip


def history(value: Any) -> tuple[Turn, ...]:
    """Earlier turns: a list of turns, or of pairs of what was asked and said, as alpaca's `history` has them."""
    given = parsed(value)
    if isinstance(given, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in given):
        given = [{"role": role, "content": text} for pair in given for role, text in zip(Role, pair, strict=True)]
    if given == []:
        return ()
    read = conversation(given)
    if read.system or read.reply is None or read.pictures:
        raise BadRow(f"turns before the question are a user's and the assistant's by turns, not {short(value)}")
    return (*read.turns, Turn(role=Role.USER, text=read.text), Turn(role=Role.ASSISTANT, text=read.reply))


def _turn(turn: Any, shown: Shown) -> tuple[str, str]:
    """Who speaks, and what is said."""
    if not isinstance(turn, Mapping):
        raise BadRow(f"a turn of a conversation is a mapping, not {short(turn)}")
    name, content = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    if turn.get("tool_calls"):
        raise Unsupported("a call of a tool")
    if not isinstance(name, str) or not isinstance(content, str | list):
        raise BadRow(f"a turn of a conversation has `role` and `content`, not {short(dict(turn))}")
    if name not in ROLES:
        raise Unsupported(f"a conversation with a turn of {name!r}")
    return ROLES[name], content if isinstance(content, str) else "".join(_part(part, shown) for part in content)


def _part(part: Any, shown: Shown) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise BadRow(f"a part of a turn is a mapping, not {short(part)}")
    kind = part.get("type") or next((kind for kind in ("text", *PICTURES, *VIDEOS) if part.get(kind) is not None), None)
    if kind in TEXTS:
        text = part.get("text")
        if not isinstance(text, str):
            raise BadRow(f"a part of a turn has no text: {short(dict(part))}")
        return text
    if kind in VIDEOS and shown.videos is not None:
        said = {key: value for key, value in part.items() if key != "type" and value is not None}
        shown.videos.append(said or None)
        return VIDEO
    if kind not in PICTURES:
        raise Unsupported(f"a part of the type {kind!r}")
    named = (part.get(name) for name in ("image", "image_url", "url", "path", "base64", "bytes"))
    shown.pictures.append(next((value for value in named if value is not None), None))
    return PICTURE
