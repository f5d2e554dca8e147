"""A checkpoint's chat: messages to text and model inputs, by its own processor and chat template."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from mixpo.errors import DataError, UserError
from mixpo.models.picture_limits import limits_of
from mixpo.prompts import opens_thought

PROBE = "mixpo-end-of-turn-probe"
"""Stands for an answer where the template is asked what it writes after one."""


class Chat:
    """What a processor and its chat template make of a conversation.

    Raises UserError for a processor without a chat template.
    """

    def __init__(self, processor: Any):
        if not getattr(processor, "chat_template", None):
            raise UserError(
                f"{type(processor).__name__} has no chat template; set processor.chat_template to the model's own"
            )
        self.processor = processor
        self.tokenizer = getattr(processor, "tokenizer", processor)

    def render(self, prompt: str | Sequence[Mapping[str, Any]], images: int = 0) -> str:
        """The template's text of a prompt with so many images (`as_messages`), up to where the answer begins."""
        messages = as_messages(prompt, images=images)
        return self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)

    def prompt_ids(self, text: str) -> list[int]:
        """Tokens of a rendered prompt; an image is the one token that the template writes for it."""
        return self.tokenizer.encode(text, **self._special_tokens([text]))

    def inputs(self, texts: Sequence[str], images: Sequence[Sequence[Any]], *, padding: bool = False) -> dict[str, Any]:
        """The processor's tensors for rendered prompts: input_ids (texts, columns), masks, pixels and the like.

        `images` has the Pillow images of each text. Either all texts have some or none has (processors do not take a
        mixture). Raises whatever the processor raises for images that it does not take.
        """
        pictures = {"images": [self.pictures(own) for own in images]} if images[0] else {}
        options = {"padding": padding, "return_tensors": "pt", **self._special_tokens(texts)}
        return dict(self.processor(text=list(texts), **pictures, **options))

    def pictures(self, images: Sequence[Any]) -> list[Any]:
        """Pillow images as the processor is to have them: within the limits that it has no words for itself."""
        before = limits_of(self.processor).before
        return [before.fitted(image) for image in images]

    def _special_tokens(self, texts: Sequence[str]) -> dict[str, bool]:
        """Tells the tokenizer not to write the first token where the template has written it already."""
        bos = self.tokenizer.bos_token
        return {"add_special_tokens": False} if bos and all(text.startswith(bos) for text in texts) else {}

    @cached_property
    def opens_thought(self) -> bool:
        """Whether the chat template ends a prompt inside a thought ("<think>"), as some reasoning models' do."""
        return opens_thought(self.render("?"))

    @cached_property
    def closing_token(self) -> int | None:
        """The special token that the template writes after an answer; None when it writes none."""
        turns = as_messages("?") + as_messages(PROBE, "assistant")
        rest = self.processor.apply_chat_template(turns, tokenize=False).partition(PROBE)[2].strip()
        ids = self.tokenizer.encode(rest, add_special_tokens=False) if rest else []
        added = self.tokenizer.added_tokens_decoder
        return next((token for token in ids if token in added and added[token].special), None)

    @property
    def end_of_turn(self) -> int:
        """The token that ends an assistant's turn: the template's, or the tokenizer's eos when it writes none."""
        return self.tokenizer.eos_token_id if self.closing_token is None else self.closing_token

    @cached_property
    def image_tokens(self) -> frozenset[int]:
        """Tokens that stand for (parts of) images and videos in a prompt."""
        found = {getattr(self.processor, name, None) for name in ("image_token_id", "video_token_id")}
        found.update(getattr(self.processor, "image_token_ids", None) or ())
        return frozenset(token for token in found if isinstance(token, int))

    def stop_tokens(self, generation_config: Any) -> frozenset[int]:
        """The end tokens of the generation config and of the tokenizer. Raises UserError when there are none."""
        named = generation_config.eos_token_id
        ids = {named} if isinstance(named, int) else set(named or ())
        if self.tokenizer.eos_token_id is not None:
            ids.add(self.tokenizer.eos_token_id)
        if not ids:
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


def as_messages(given: str | Sequence[Mapping[str, Any]], role: str = "user", images: int = 0) -> list[dict[str, Any]]:
    """Messages whose contents are lists of parts; a text is one message of `role`.

    Images that no part names come first in the first user turn. Raises DataError when the parts name another number
    of images than there are.
    """
    given = [{"role": role, "content": given}] if isinstance(given, str) else given
    messages: list[dict[str, Any]] = []
    for message in given:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        # `datasets` fills the keys that a part does not have with None.
        parts = [{key: value for key, value in part.items() if value is not None} for part in parts]
        messages.append({"role": message["role"], "content": parts})
    named = sum(part["type"] == "image" for message in messages for part in message["content"])
    if named == 0 and images:
        first = next((message for message in messages if message["role"] == "user"), None)
        if first is None:
            roles = ", ".join(str(message["role"]) for message in messages)
            raise DataError(f"the prompt has images and no message of role 'user' (roles: {roles}); rename the roles")
        first["content"] = [{"type": "image"}] * images + first["content"]
    elif named != images:
        raise DataError(f"the prompt names {named} images and the row has {images}; they must be equal")
    return messages


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of one assistant turn. Raises DataError when there is not exactly one message."""
    if len(messages) != 1:
        raise DataError(
            f"a completion must be one assistant message, not {len(messages)}; put earlier turns in the prompt"
        )
    content = messages[0]["content"]
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
