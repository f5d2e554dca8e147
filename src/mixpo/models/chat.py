"""A checkpoint's chat: messages to text and model inputs, by its own processor and chat template."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from torch import Tensor

from mixpo.errors import DataError, UserError
from mixpo.messages import IMAGE, broken
from mixpo.models.as_messages import as_messages, plain
from mixpo.models.chat_sandbox import limit_templates
from mixpo.models.completions import CompletionTokenizer, tokenizing
from mixpo.models.picture_limits import limits_of
from mixpo.prompts import opens_thought, without_thoughts
from mixpo.videos import Frames

PROBE = "mixpo-end-of-turn-probe"
"""Stands for an answer where the template is asked what it writes after one."""
REFUSALS = (ValueError, RuntimeError, ArithmeticError, TypeError, LookupError, TemplateError)
"""What processors and chat templates raise for what they do not take: an image of an extreme shape, a side of no pixels
after resizing, another number of images than the text has places for, a role that they do not know."""
NO_TEMPLATE = (*REFUSALS, AttributeError, MemoryError, SyntaxError)
"""What a chat template raises that is none, or that nests too deeply to be compiled, besides."""


class Chat:
    """What a processor and its chat template make of a conversation.

    Raises UserError for a processor without a chat template.
    """

    def __init__(self, processor: Any):
        if not getattr(processor, "chat_template", None):
            raise UserError(
                f"{type(processor).__name__} has no chat template; set processor.chat_template to the model's own"
            )
        limit_templates()
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)

    def render(self, prompt: str | Sequence[Mapping[str, Any]], images: int = 0, videos: int = 0) -> str:
        """The template's text of a prompt with so many images and videos (`as_messages`), up to where an answer begins.

        Tokens that stand for pictures or frame a turn are broken where a text has them (`mixpo.messages.broken`).
        Raises DataError for a prompt that the template refuses, or of which it leaves out what is said or shown.
        """
        text = self._rendered(as_messages(prompt, images=images, videos=videos), add_generation_prompt=True)
        if videos and (not self.video_token or text.count(self.video_token) != videos):
            raise DataError(f"{type(self.processor).__name__} and its chat template take no videos")
        return text

    def _rendered(self, messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool = False) -> str:
        for part in (part for message in messages for part in message["content"] if part["type"] == "text"):
            part["text"] = broken(part["text"], self.framing)
        text = self._written(messages, add_generation_prompt)
        self._look_for_all(messages, text)
        return text

    def turns_tokens(
        self, prompt: Sequence[Mapping[str, Any]], turns: Sequence[Mapping[str, Any]], shown: tuple[int, int] = (0, 0)
    ) -> list[int]:
        """Tokens of several turns that go on after a prompt, from the assistant's words to the end of its last turn,
        what frames the turns between them included; the last end-of-turn token is cut. `shown`: the prompt's images and
        videos. Raises DataError."""
        text, begin = self._rendered(as_messages([*prompt, *turns], "user", *shown)), self.render(prompt, *shown)
        if not text.startswith(begin):
            raise DataError("the model's chat template writes the prompt otherwise where turns follow it; drop the row")
        end = self.tokenizer.convert_ids_to_tokens(self.end_of_turn)
        return self.completions.encode(text.removeprefix(begin).rstrip().removesuffix(end))

    def _look_for_all(self, messages: Sequence[Mapping[str, Any]], text: str) -> None:
        """Raises DataError when a turn's words are not in the template's text, one turn after the other."""
        after = 0
        for message in messages:
            for words in (part["text"] for part in message["content"] if part["type"] == "text"):
                if message["role"] == "assistant":  # templates of reasoning models take the thoughts out
                    words = without_thoughts(words)
                # A system prompt may stand anywhere (Mistral's in the last turn).
                at = text.find(words.strip(), 0 if message["role"] == "system" else after)
                if at < 0:
                    raise DataError(f"the model's chat template leaves out what the {message['role']} turn says")
                after = after if message["role"] == "system" else at + len(words.strip())

    def _written(self, messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool = False) -> str:
        """What the template writes of messages, whose words are text where it takes no parts. Raises DataError."""
        messages = [plain(one) if one["role"] in self.text_roles else one for one in messages]
        write = self.processor.apply_chat_template
        try:
            return write(messages, add_generation_prompt=add_generation_prompt, tokenize=False)
        except NO_TEMPLATE as error:
            raise DataError(f"the model's chat template refuses the prompt: {error}") from error

    @cached_property
    def text_roles(self) -> frozenset[str]:
        """Roles whose words the template takes as one text alone, not as a list of parts."""
        found: set[str] = set()
        for role, *roles in (("user", "user"), ("assistant", "user", "assistant"), ("system", "system", "user")):
            chat = [message for one in roles for message in as_messages(PROBE, one)]
            if not self._takes(chat, found) and self._takes(chat, found | {role}):
                found.add(role)
        return frozenset(found)

    def _takes(self, chat: Sequence[Mapping[str, Any]], texts: set[str]) -> bool:
        """Whether the template writes a conversation in which the words of some roles are one text."""
        messages = [plain(message) if message["role"] in texts else message for message in chat]
        try:
            text = self.processor.apply_chat_template(messages, tokenize=False)
        except NO_TEMPLATE:  # it does with a list what only a text can, or it knows no such role
            return False
        return "'type'" not in text  # a list written out is no words

    @property
    def video_token(self) -> str:
        """What the template writes for a video; empty for a processor that takes none."""
        token = getattr(self.processor, "video_token", None)
        return token if isinstance(token, str) and getattr(self.processor, "video_processor", None) else ""

    @tokenizing()
    def prompt_ids(self, text: str) -> list[int]:
        """Tokens of a rendered prompt; an image is the one token that the template writes for it."""
        (text,), options = self._begun([text])
        return self.tokenizer.encode(text, **options)

    @tokenizing()
    def inputs(
        self, texts: Sequence[str], images: Sequence[Sequence[Any]], *, padding: bool = False, as_is: bool = False
    ) -> dict[str, Any]:
        """The processor's tensors for rendered prompts: input_ids (texts, columns), masks, pixels and the like.

        `as_is`: no token is put before the texts.

        `images` has the Pillow images of each text, and the `Frames` of its videos. Either all texts have some or none
        has, of each kind (processors do not take a mixture). Raises whatever the processor raises for images that it
        does not take, DataError for videos that it gives to its model in a way that is not known here, and UserError
        for a tokenizer in a processor's place.
        """
        if any(images) and not hasattr(self.processor, "image_processor"):
            raise UserError(
                f"{type(self.processor).__name__} is a tokenizer, which cannot read the pictures; give the model's "
                "processor (AutoProcessor.from_pretrained)"
            )
        texts, special = ([*texts], {"add_special_tokens": False}) if as_is else self._begun(texts)
        shown = [self.pictures(own) for own in images]
        videos = [one for own in shown for one in own if isinstance(one, Frames)]
        pictures = [[one for one in own if not isinstance(one, Frames)] for own in shown]
        options = {"padding": padding, "return_tensors": "pt", **special}
        if pictures[0]:
            options["images"] = pictures
        if not videos:
            return dict(self.processor(text=texts, **options))
        options["videos"] = [list(video.images) for video in videos]
        options["videos_kwargs"] = {
            "do_sample_frames": False, "video_metadata": [video.metadata for video in videos],
            "input_data_format": "channels_last",
        }  # fmt: skip
        inputs = dict(self.processor(text=texts, **options))
        # Patches with a grid for each video (Qwen-VL) or frames as images (InternVL): prompts can share a batch.
        filmed = inputs.get("pixel_values_videos")
        if (inputs["pixel_values"].ndim != 4) if filmed is None else (filmed.ndim != 2):
            raise DataError(f"videos of {type(self.processor).__name__} are not supported; use another model")
        return inputs

    def pictures(self, images: Sequence[Any]) -> list[Any]:
        """Pillow images and `Frames` as the processor is to have them: within the limits that it has no words for."""
        limits = limits_of(self.processor)
        return [
            Frames(tuple(map(limits.frames.fitted, one.images)), one.fps)
            if isinstance(one, Frames)
            else limits.before.fitted(one)
            for one in images
        ]

    def _begun(self, texts: Sequence[str]) -> tuple[list[str], dict[str, bool]]:
        """Texts of prompts, and what the tokenizer is told, so that its first tokens stand once before them, be it the
        template that writes them, and its last ones nowhere: an answer follows."""
        first, last = self.added
        if first and all(text.startswith(first) for text in texts):
            return [*texts], {"add_special_tokens": False}
        if last:
            return [text if text.startswith(first) else first + text for text in texts], {"add_special_tokens": False}
        return [*texts], {}

    @cached_property
    def added(self) -> tuple[str, str]:
        """What the tokenizer itself writes before and behind a text, as text."""
        ids, plain = self.tokenizer.encode(PROBE), self.tokenizer.encode(PROBE, add_special_tokens=False)
        at = next((at for at in range(len(ids)) if ids[at : at + len(plain)] == plain), 0)
        first, last = (
            "".join(self.tokenizer.convert_ids_to_tokens(each)) for each in (ids[:at], ids[at + len(plain) :])
        )
        return first, last

    @cached_property
    def opens_thought(self) -> bool:
        """Whether the chat template ends a prompt inside a thought ("<think>"), as some reasoning models' do."""
        return opens_thought(self.render("?"))

    @cached_property
    def closing_token(self) -> int | None:
        """The special token that the template writes after an answer; None when it writes none."""
        turns = as_messages("?") + as_messages(PROBE, "assistant")
        rest = self._written(turns).partition(PROBE)[2].strip()
        ids = self.tokenizer.encode(rest, add_special_tokens=False) if rest else []
        added = self.tokenizer.added_tokens_decoder
        return next((token for token in ids if token in added and added[token].special), None)

    @property
    def end_of_turn(self) -> int:
        """The token that ends an assistant's turn: the template's, or the tokenizer's eos when it writes none."""
        return self.tokenizer.eos_token_id if self.closing_token is None else self.closing_token

    @cached_property
    def picture(self) -> str:
        """What the template writes for a picture."""
        parts = as_messages(PROBE, images=1), as_messages(PROBE)
        with_one, without = (self._written(messages).partition(PROBE)[0] for messages in parts)
        return with_one.removeprefix(without).strip() or getattr(self.processor, "image_token", None) or IMAGE

    @cached_property
    def image_tokens(self) -> frozenset[int]:
        """Tokens that stand for (parts of) images and videos in a prompt."""
        found = {getattr(self.processor, name, None) for name in ("image_token_id", "video_token_id")}
        several = getattr(self.processor, "image_token_ids", None)
        found.update(several if isinstance(several, Iterable) else ())  # a tokenizer alone says a number here, too
        return frozenset(token for token in found if isinstance(token, int))

    @cached_property
    def completions(self) -> CompletionTokenizer:
        """The tokenizer of what an assistant says."""
        return CompletionTokenizer(self.tokenizer)

    @cached_property
    def reserved(self) -> frozenset[int]:
        """Tokens that a completion must not have: they stand for pictures or end a turn."""
        ends = {self.end_of_turn, self.tokenizer.eos_token_id} - {None}
        return self.image_tokens | ends

    def completion_tokens(self, text: str) -> list[int]:
        """Tokens of what an assistant says, the end of its turn excluded.

        An end-of-turn token that the text itself ends with is cut; others, and those for pictures, are broken, as in
        prompts (`mixpo.messages.broken`). One that cannot be is still there (`reserved`).
        """
        ids = self.completions.encode(text)
        if not self.reserved.intersection(ids):
            return ids
        names = {token: re.escape(self.tokenizer.convert_ids_to_tokens(token)) for token in self.reserved}
        ends = "|".join(names[token] for token in self.reserved - self.image_tokens)
        text = broken(re.sub(rf"(?:\s*(?:{ends}))+\s*$", "", text), re.compile("|".join(names.values())))
        return self.completions.encode(text)

    @cached_property
    def framing(self) -> re.Pattern[str]:
        """The tokens, as text, that stand for pictures or frame a turn: a text that has them must not become them."""
        turns = as_messages("?", images=bool(self.image_tokens) and "user" not in self.text_roles) + as_messages(
            PROBE, "assistant"
        )
        rendered = self._written(turns, add_generation_prompt=True)
        added = self.tokenizer.added_tokens_decoder
        ids = {token for token in self.tokenizer.encode(rendered, add_special_tokens=False) if token in added}
        names = {added[token].content for token in ids | self.image_tokens if token in added and added[token].special}
        names |= {
            value
            for key, value in vars(self.processor).items()
            if key.split("_")[-1] == "token" and isinstance(value, str)
        }
        names |= set(filter(None, (getattr(self.tokenizer, f"{name}_token") for name in ("bos", "eos", "pad"))))
        return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)")

    def stop_tokens(self, generation_config: Any) -> frozenset[int]:
        """The end tokens of the generation config and of the tokenizer. Raises UserError when there are none."""
        named = generation_config.eos_token_id
        ids = {named} if isinstance(named, int) else set(named or ())
        if self.tokenizer.eos_token_id is not None:
            ids.add(self.tokenizer.eos_token_id)
        if not ids or not all(type(one) is int and one >= 0 for one in ids):
            raise UserError("the checkpoint names no end-of-turn token; set eos_token_id in its generation_config.json")
        return frozenset(ids)

    def check_stops(self, stop_tokens: frozenset[int]) -> None:
        """Raises UserError when the token that the template writes after an answer does not stop the model."""
        if self.closing_token is not None and self.closing_token not in stop_tokens:
            token = self.tokenizer.decode([self.closing_token])
            raise UserError(
                f"the chat template ends an answer with {token!r}, which does not stop the model; "
                "add it to eos_token_id in generation_config.json"
            )


def tokenwise(inputs: Mapping[str, Any], shape: Sequence[int]) -> list[str]:
    """Names of the integer inputs that say something of each token of `shape` (rows, columns): a number (masks, types)
    or more (which images it attends to apart: `cross_attention_mask`)."""
    tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
    return [name for name, one in tensors.items() if one.shape[:2] == tuple(shape) and not one.is_floating_point()]
