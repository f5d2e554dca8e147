"""Conversations as other programs write them: lists of turns, read into what a question or a pair has of them.

[{"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]            LLaVA, ShareGPT
[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]          OpenAI, TRL
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, NamedTuple

from mixpo.errors import BadRow, DataError, Unsupported
from mixpo.messages import PICTURE, VIDEO_MARK, count, kinds, marks_in, placed
from mixpo.records import Role, Turn
from mixpo.values import parsed, short

ROLES = {
    "human": Role.USER, "user": Role.USER,
    "gpt": Role.ASSISTANT, "assistant": Role.ASSISTANT, "model": Role.ASSISTANT, "bot": Role.ASSISTANT,
    "system": "system", "developer": "system",
}  # fmt: skip
"""What speakers are called."""
PICTURES = ("image", "image_url", "input_image")
VIDEOS = ("video", "video_url", "input_video")
TEXTS = ("text", "input_text", "output_text")
KINDS = {"text": TEXTS, "image": PICTURES, "video": VIDEOS}
KEYS = ({"role", "content"}, {"from", "value"})
WRITTEN = re.compile(r"""\s*(?:array\()?\[\s*\{\s*['"](?:from|role|content|value)['"]\s*:""")
"""How a list of turns begins that is written as text."""


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
    shows: list[str] = field(default_factory=list)
    """Where parts show a video, what each part that is no text shows, in order: "image" or "video"."""

    @property
    def marks(self) -> int:
        """Places for pictures."""
        return marks_in(self.asked, self._mark)

    @property
    def asked(self) -> list[str]:
        """What the user says, turn by turn."""
        return [*(turn.text for turn in self.turns if turn.role == Role.USER), self.text]

    @property
    def _mark(self) -> str | None:
        """Where parts name the pictures, what else looks like a mark is words."""
        return PICTURE if self.pictures or self.videos else None

    def with_pictures(
        self, images: int, after: str | None = None, mark: str | None = None, keep: bool = False, videos: int = 0
    ) -> "Conversation":
        """The conversation with pictures and videos in their places (`mixpo.messages.placed`).

        Raises BadRow, and Unsupported where only others than the user have places.
        """
        others = [self.system, *(turn.text for turn in self.turns if turn.role != Role.USER)]
        mark = self._mark or mark
        asked = [VIDEO_MARK.sub(PICTURE, text) for text in self.asked] if videos and not self._mark else self.asked
        if images and not marks_in(asked, mark) and marks_in(others, mark):
            raise Unsupported("a picture in a turn that is not the user's")
        try:
            return self.saying(placed(asked, images + videos, after, mark, keep))
        except DataError as error:
            raise BadRow(str(error)) from None

    def saying(self, asked: Sequence[str]) -> "Conversation":
        """The conversation with other texts for `asked`."""
        texts = iter(asked)
        turns = tuple(replace(turn, text=next(texts)) if turn.role == Role.USER else turn for turn in self.turns)
        return replace(self, turns=turns, text=next(texts))

    def kinds(self, images: int, videos: int) -> list[str]:
        """What stands in each place, in order (`mixpo.messages.kinds`); raises BadRow."""
        try:
            return kinds(self.asked, images, videos, self.shows)
        except DataError as error:
            raise BadRow(str(error)) from None

    def images(self, given: Sequence[Any]) -> list[Any]:
        """The row's pictures: those that the parts carry, or those `given` beside them.

        Raises BadRow where both give some, and not the same number, or where a part's picture is nowhere.
        """
        return what_is_shown(self.pictures, given, "picture")

    def films(self, given: Sequence[Any]) -> list[Any]:
        """The same of the row's videos."""
        return what_is_shown(self.videos, given, "video")


def what_is_shown(named: Sequence[Any], given: Sequence[Any], thing: str) -> list[Any]:
    """What the parts of a conversation carry (None: only that it stands there), or what is `given` beside them.

    Raises BadRow where both give some, and not the same number, or where one is nowhere.
    """
    carried = [one for one in named if one is not None]
    if len(given) == len(named):
        for part, beside in zip(named, given, strict=True):
            if type(part) is type(beside) and not isinstance(part, Mapping) and part != beside:
                raise BadRow(f"a part's {thing} is {short(part)}, and the row's beside it {short(beside)}")
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
    videos: list[Any]
    kinds: list[str]
    """Of each of both, "image" or "video"."""
    filmed: bool
    """Whether the reader takes videos."""


def is_conversation(value: Any) -> bool:
    """Whether a column holds turns instead of a text; a table has them as JSON text."""
    found = parsed(value)
    if isinstance(found, str):  # turns that cannot be read are no text either
        return found.rstrip().endswith(("]", ")")) and bool(WRITTEN.match(found))
    return isinstance(found, list) and (found is value or (found != [] and isinstance(found[0], dict)))


def written(value: Any) -> Any:
    """A message or a list of them that stands there as JSON's or Python's text; anything else as it stands.

    An answer may be JSON itself: only what has the keys of messages is taken for some.
    """
    found = parsed(value)
    each = found if isinstance(found, list) else [found]
    turns = bool(each) and all(isinstance(turn, Mapping) and any(keys <= {*turn} for keys in KEYS) for turn in each)
    return found if turns else value


def conversation(value: Any, *, videos: bool = False) -> Conversation:
    """Reads a list of turns: perhaps a system prompt, then user and assistant by turns, from a user's on.

    Raises Unsupported for turns of tools and for parts that are neither words nor pictures nor, where the reader takes
    them, `videos`; BadRow for what is no conversation.
    """
    given = parsed(value)
    if not isinstance(given, list | tuple):
        raise BadRow(f"a conversation is a list of turns, not {short(value)}")
    shown = Shown([], [], [], videos)
    said = []
    for turn in given:
        before = len(shown.kinds)
        said.append(_turn(turn, shown))
        if said[-1][0] != Role.USER and (others := shown.kinds[before:]):
            raise Unsupported(f"a {'video' if 'video' in others else 'picture'} in a turn of the {said[-1][0]}")
    system = said.pop(0)[1] if said and said[0][0] == "system" else ""
    roles = [role for role, _ in said]
    if not roles or any(role != tuple(Role)[number % 2] for number, role in enumerate(roles)):
        spoken = ", ".join(map(str, roles)) or "nobody"
        raise BadRow(f"in a conversation user and assistant speak by turns, from the user on; here {spoken}")
    reply = said.pop()[1] if roles[-1] is Role.ASSISTANT else None
    # No picture stands in what the assistant said before, whatever character somebody wrote.
    turns = tuple(
        Turn(role=Role(role), text=text if role is Role.USER else text.replace(PICTURE, "")) for role, text in said
    )
    return Conversation(
        system=system, turns=turns[:-1], text=turns[-1].text, reply=reply, pictures=shown.pictures,
        videos=shown.videos, shows=shown.kinds if shown.videos else [],
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
    turn = {key: value for key, value in turn.items() if value is not None}  # tables fill up what a turn lacks
    name, content = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    if turn.get("tool_calls"):
        raise Unsupported("a call of a tool")
    if not isinstance(name, str) or not isinstance(content, str | list):
        raise BadRow(f"a turn of a conversation has `role` and `content`, not {short(dict(turn))}")
    if name not in ROLES:
        raise Unsupported(f"a conversation with a turn of {name!r}")
    role = ROLES[name]
    return role, content if isinstance(content, str) else "".join(_part(part, role, shown) for part in content)


def _part(part: Any, role: str, shown: Shown) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise BadRow(f"a part of a turn is a mapping, not {short(part)}")
    kind = kind_of(part)
    if kind == "text":
        text = part.get("text")
        if not isinstance(text, str):
            raise BadRow(f"a part of a turn has no text: {short(dict(part))}")
        # U+FFFC that somebody wrote is no picture.
        return text.replace(PICTURE, "") if role is Role.USER else text
    if kind == "video" and shown.filmed:
        said = {key: value for key, value in part.items() if key != "type" and value is not None}
        shown.videos.append(said or None)
        shown.kinds.append("video")
        return PICTURE
    if kind != "image":
        raise Unsupported(f"a part of the type {part.get('type')!r}")
    shown.kinds.append("image")
    shown.pictures.append(picture_in(part))
    return PICTURE


def kind_of(part: Mapping[str, Any]) -> str | None:
    """Whether a part of a turn is "text", an "image" or a "video"; None: anything else."""
    kinds = (name for name in ("text", *PICTURES, *VIDEOS) if part.get(name) is not None)
    said = part.get("type") or next(kinds, None)
    return next((kind for kind, names in KINDS.items() if said in names), None)


def picture_in(part: Mapping[str, Any]) -> Any:
    """What an image's part says of it: a path, bytes, a mapping, a Pillow image; None: only that one stands there."""
    named = (part.get(name) for name in ("image", "image_url", "url", "path", "base64", "bytes"))
    return next((value for value in named if value is not None), None)


def alike(chosen: Sequence[Any], rejected: Sequence[Any]) -> int:
    """With how many messages, or characters, two completions begin alike: TRL's implicit prompt (`extract_prompt`)."""
    length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected)))
    return length - (chosen[length - 1 : length] == " ")


def refuse_more(row: Mapping[str, Any], *besides: str) -> None:
    """Raises Unsupported for a row that also says what a pair has no place for, in columns that are not `besides`."""
    for names, what in (
        (("videos", "video", "audios", "audio"), "video or audio: a pair has images only"),
        (("tools",), "tools"),
        (("chat_template_kwargs",), "options of the chat template, row by row"),
    ):
        if any(parsed(row.get(name)) not in (None, "", [], {}) for name in names if name not in besides):
            raise Unsupported(what)
