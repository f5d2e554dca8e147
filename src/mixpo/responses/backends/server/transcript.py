"""What a server's choice says as the text that the model wrote: its thought, its special tokens, no end token."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixpo.errors import UserError
from mixpo.models.chat_sandbox import limit_templates
from mixpo.models.completions import CompletionTokenizer
from mixpo.prompts import END_OF_TURN, is_thinking, opens_thought, thought_tags
from mixpo.replies import Choice

END = re.compile(rf"{END_OF_TURN}\s*\Z")


@dataclass(frozen=True, slots=True)
class Transcript:
    """One completion, its prefix included."""

    text: str
    token_ids: tuple[int, ...] = ()
    """Those behind the prefix; empty when they are not known."""
    canonical: bool = True


class Reader:
    """Reads the choices of one model; not for several threads at a time."""

    def __init__(self, tokenizer: Any, template_kwargs: Mapping[str, Any]):
        """`tokenizer`: the model's, or None; `template_kwargs`: what the server is told for the chat template."""
        self.tokenizer = None if tokenizer is None else CompletionTokenizer(tokenizer)
        limit_templates()
        template = getattr(tokenizer, "chat_template", None)
        self.tags = thought_tags(str(template or ""))
        self.thought_open = bool(template) and opens_thought(_prompt(tokenizer, template_kwargs))

    def decode(self, token_ids: Sequence[int]) -> str:
        """Raises UserError without a tokenizer."""
        if self.tokenizer is None:
            raise UserError("continuing a prefix needs the model's tokenizer; name its folder in server.tokenizer")
        return self.tokenizer.decode(token_ids)

    def read(self, choice: Choice, prefix: str, prefix_ids: Sequence[int]) -> Transcript:
        """The tokens that the server gives, decoded here, where they say what the server says; else its own words."""
        ended = choice.finish_reason == "stop"
        said = END.sub("", choice.text) if ended else choice.text
        if self.tokenizer is None:
            return Transcript(prefix + self.joined(said, choice.reasoning, prefix))
        if choice.token_ids:
            written = choice.token_ids[:-1] if ended and self._is_special(choice.token_ids[-1]) else choice.token_ids
            whole = (*prefix_ids, *written)
            text = self.tokenizer.decode(whole)
            # A tokenizer of another model would make other words of them.
            if text.startswith(prefix) and all(part.strip() in text for part in (said, choice.reasoning)):
                return Transcript(text, written, self.tokenizer.gives_back(whole, text))
        new = self.joined(said, choice.reasoning, prefix)
        token_ids = tuple(self.tokenizer.encode(new))
        return Transcript(prefix + new, token_ids, self.tokenizer.gives_back((*prefix_ids, *token_ids), prefix + new))

    def joined(self, said: str, reasoning: str, prefix: str) -> str:
        """Thought and answer with the tags that the server took away between them.

        White space is as the server gives it; where it gives none on either side of a tag it has taken that, too.
        """
        if not reasoning:
            return said
        inside = is_thinking(prefix, self.thought_open)
        if prefix and not inside:
            return reasoning + said  # the server took the rest of an answer for a thought
        opening, closing = self.tags
        if not inside:
            reasoning = opening + ("" if reasoning[0].isspace() else "\n") + reasoning
        if not said:
            return reasoning
        bare = not (reasoning[-1].isspace() or said[0].isspace())
        return f"{reasoning}\n{closing}\n\n{said}" if bare else reasoning + closing + said

    def _is_special(self, token: int) -> bool:
        assert self.tokenizer is not None
        added = self.tokenizer.tokenizer.added_tokens_decoder
        return token in added and added[token].special


def _prompt(tokenizer: Any, template_kwargs: Mapping[str, Any]) -> str:
    """What the chat template makes of a question; some take contents as text, others as lists of parts."""
    for content in ([{"type": "text", "text": "?"}], "?"):
        try:
            return tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False, **template_kwargs
            )
        except Exception:  # whatever a template raises for what it does not take
            continue
    return ""
