"""A prompt as the messages that a chat takes, with its pictures where they stand.

Where a picture stands between words, a record's text has U+FFFC in its place: OBJECT REPLACEMENT CHARACTER, "used as
placeholder in text for an otherwise unspecified object" (Unicode standard, section 23.8). A text without it shows its
pictures first. Other programs write a mark of their model's family there, `<image>` or one of `MARK`.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from mixpo.errors import DataError
from mixpo.records import Role, Turn

PICTURE = "\N{OBJECT REPLACEMENT CHARACTER}"
IMAGE = "<image>"
"""The mark that most programs write."""
MARK = re.compile(
    "|".join(
        (
            PICTURE,
            r"<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>|<\|image_pad\|>",  # Qwen-VL
            r"<img>(?:<IMG_CONTEXT>)+</img>|<IMG_CONTEXT>",  # InternVL
            r"\(<image>\./</image>\)",  # MiniCPM-V
            r"<im_start><image><im_end>",  # LLaVA
            r"<\|begin_of_image\|><\|image\|><\|end_of_image\|>|<\|image\|>",  # GLM-4V, Llama 3.2
            r"<\|image_\d+\|>",  # Phi-3
            r"<start_of_image>(?:(?:<image_soft_token>)+<end_of_image>)?|<image_soft_token>",  # Gemma 3
            r"\[IMG\]",  # Pixtral, Mistral 3
            r"<ImageHere>",  # InternLM-XComposer
            r"<image_placeholder>|<image_token>|<image_pad>|<\|media_pad\|>",  # DeepSeek-VL, Kimi-VL and others
            r"<image>",  # LLaVA, Idefics, MMPR, LLaMA-Factory, ms-swift
        )
    )
)
"""What a picture's place is called, in the prompts of any family."""
VIDEO_MARK = re.compile(
    "|".join(
        (
            r"<\|vision_start\|>(?:<\|video_pad\|>)+<\|vision_end\|>|<\|video_pad\|>",  # Qwen-VL
            r"\(<video>\./</video>\)",  # MiniCPM-V
            r"<\|begin_of_video\|><\|video\|><\|end_of_video\|>|<\|video\|>",  # GLM-4V
            r"<VideoHere>|<video_placeholder>|<video_token>|<video_pad>",
            r"<video>",  # InternVL, LLaVA-OneVision, LLaMA-Factory, ms-swift
        )
    )
)
"""What a video's place is called."""
ANY_MARK = re.compile(f"(?P<video>{VIDEO_MARK.pattern})|{MARK.pattern}")

FRAME = re.compile(
    "|".join(
        (
            r"<\|(?:im_start|im_end|endoftext|end|user|assistant|system)\|>",  # ChatML, Qwen, InternVL, Phi-3
            r"<\|(?:begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|eom_id)\|>",  # Llama 3
            r"<(?:start_of_turn|end_of_turn|bos|eos)>",  # Gemma
            r"\[/?(?:INST|SYSTEM_PROMPT)\]|\[IMG_(?:BREAK|END)\]",  # Mistral
            r"<end_of_utterance>|<fake_token_around_image>|<global-img>",  # Idefics, SmolVLM
            r"<\|vision_(?:start|end)\|>|<end_of_image>|</?img>",
            r"</?s>",  # Llama 2, LLaVA
        )
    )
)
"""What frames turns and pictures in the prompts of any family; a server would read its own in a text."""
TOKENS = re.compile(f"{ANY_MARK.pattern}|{FRAME.pattern}")
INDEXED = re.compile(r"<\|image_(\d{1,9})\|>")
"""Phi-3's marks, which are numbered."""
NUMBERED = re.compile(r"<image ?([1-9]\d?)>")
"""A picture's place, by the picture's number."""


def messages(
    prompt: str, images: int = 0, system: str = "", turns: Sequence[Turn] = (), videos: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """The conversation before an answer: contents are lists of parts `{"type": "image"}` and `{"type": "text"}`.

    `videos`: which of the pictures are videos, by their numbers; their parts are `{"type": "video"}`. Without images no
    picture's place is left. Raises DataError when places and images are not as many.
    """
    asked = [*turns, Turn(role=Role.USER, text=prompt)]
    named = sum(turn.text.count(PICTURE) for turn in asked)
    if named and images not in (0, named):
        raise DataError(f"the prompt has places for {named} pictures and there are {images}; they must be equal")
    chat: list[dict[str, Any]] = [{"role": "system", "content": [text_part(system)]}] if system else []
    first = 0 if named else images
    for turn in asked:
        content = parts(turn.text) if images else [text_part(turn.text.replace(PICTURE, ""))]
        if first and turn.role == Role.USER:
            content, first = [{"type": "image"} for _ in range(first)] + content, 0
        chat.append({"role": str(turn.role), "content": content})
    if videos:
        shown = [part for message in chat for part in message["content"] if part["type"] == "image"]
        for number in videos:
            shown[number]["type"] = "video"
    return chat


def parts(text: str) -> list[dict[str, Any]]:
    """The words of a text and its pictures, in order; a text without pictures is one part, be it empty."""
    found: list[dict[str, Any]] = []
    for number, words in enumerate(text.split(PICTURE)):
        found += [{"type": "image"}] if number else []
        found += [text_part(words)] if words else []
    return found or [text_part("")]


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": broken(text, TOKENS)}


def broken(text: str, marks: re.Pattern[str]) -> str:
    """The text with each mark broken by a space, `< image>`: words to read, which no tokenizer takes for a token."""
    return marks.sub(lambda mark: re.sub(r"([<\[])(?=\S)", r"\1 ", mark[0]), text)


def placed(
    texts: Sequence[str], images: int, after: str | None = None, mark: str | None = None, keep: bool = False
) -> list[str]:
    """Texts of user turns as other programs write them, their marks made places of the pictures.

    `mark` is the only text that marks a place; None: any of `MARK`, or `<image>` alone where that fits the pictures.
    A text without a mark for any picture, or for no pictures at all, is as it was. Marks that all stand before the
    first words go, with the white space around them, or with no more than `after` behind each; unless `keep`.

    Raises DataError when marks and pictures are not as many.
    """
    if mark is None and marks_in(texts) != images == marks_in(texts, IMAGE):
        mark = IMAGE
    marks = marks_in(texts, mark)
    if not images or not marks:
        return [text.replace(PICTURE, "") for text in texts]
    if marks != images:
        raise DataError(f"the text has {count(marks, 'place')} for {count(images, 'picture')}; they must be equal")
    numbers = [int(number) for text in texts for number in INDEXED.findall(text)] if mark is None else []
    if numbers and numbers != list(range(1, images + 1)):
        raise DataError(f"the text numbers its pictures {', '.join(map(str, numbers))}; they must be in their order")
    first, *others = (MARK.sub(lambda found: _place(found[0], mark), text) for text in texts)
    if keep:
        return [first, *others]
    if after is None:
        ahead = first.lstrip(f"{PICTURE} \t\r\n")
        return [first if PICTURE in ahead or any(PICTURE in text for text in others) else ahead, *others]
    whole = re.match(f"(?:{PICTURE}(?:{re.escape(after)})?){{{images}}}", first)
    return [first[whole.end() :] if whole else first, *others]


def marks_in(texts: Sequence[str], mark: str | None = None) -> int:
    """Places for pictures in texts, where `mark` alone marks one, or any of `MARK` does (None)."""
    return sum(mark in (None, found) for text in texts for found in MARK.findall(text))


def _place(found: str, mark: str | None) -> str:
    if mark in (None, found):
        return PICTURE
    return "" if found == PICTURE else found


def numbered(text: str, images: int) -> str:
    """A text with `<image 1>`, `<image 2>` … (MMMU, and VLMEvalKit after it) made places of the pictures.

    Where they do not name each picture once and in order, the text is as it was: then they are words.
    """
    names = [int(number) for number in NUMBERED.findall(text)]
    if not names or names != list(range(1, images + 1)) or MARK.search(text):
        return text
    return placed([NUMBERED.sub(PICTURE, text)], images)[0]


def kinds(texts: Sequence[str], images: int, videos: int, named: Sequence[str] = ()) -> list[str]:
    """Of each place of such texts, in order, whether an "image" or a "video" stands there.

    `named`: what they are, where it is not the texts that say it. Texts without a mark show their images first, then
    the videos. Raises DataError when there are videos, and marks of either kind are not as many as what is to stand
    there.
    """
    if not videos:
        return ["image"] * images
    found = list(named) or ["video" if mark["video"] else "image" for text in texts for mark in ANY_MARK.finditer(text)]
    wanted = ["image"] * images + ["video"] * videos
    if found and sorted(found) != wanted:
        places, given = (
            f"{count(one.count('image'), 'picture')} and {count(one.count('video'), 'video')}"
            for one in (found, wanted)
        )
        raise DataError(f"the text has places for {places}, and there are {given}; they must be equal")
    return found or wanted


def count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def spoken(text: str, system: str = "", turns: Sequence[Turn] = ()) -> list[tuple[str, str]]:
    """Who says what up to the answer, for people: roles and words, `[picture 1]` where a picture stands."""
    number = itertools.count(1)
    said = [("system", system), *((str(turn.role), turn.text) for turn in turns), (str(Role.USER), text)]
    return [
        (role, re.sub(PICTURE, lambda _: f"[picture {next(number)}]", words))
        for place, (role, words) in enumerate(said, 1)
        if words or place == len(said)
    ]


def transcript(text: str, system: str = "", turns: Sequence[Turn] = ()) -> str:
    """The conversation for people, and for models that read it as text (`spoken`).

    A prompt of one turn is its text alone.
    """
    said = spoken(text, system, turns)
    return said[0][1] if len(said) == 1 else "\n".join(f"[{role}] {words}" for role, words in said)
