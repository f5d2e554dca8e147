"""How a question is put: the style that asks it, or the recipe's own words.

The styles are those of the MPO paper (arXiv 2411.10442, section 3.1 and appendix): a direct answer,
a plain chain of thought, and chains of thought guided by background knowledge, by visual content or
by grounding, chosen by the question's domain; in our own words.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import overload

from mixpo.errors import FieldError
from mixpo.instructions import ENGLISH, INSTRUCTIONS, language_of
from mixpo.messages import MARK, PICTURE, numbered
from mixpo.names import wrong_name
from mixpo.records import Question

THOUGHTS = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "seed:think")),
    *(("[think]", "[/think]"), ("◁think▷", "◁/think▷"), ("<|begin_of_thought|>", "<|end_of_thought|>")),
)
"""Tags, in lower case, between which reasoning models think: nothing there is an answer."""


END_OF_TURN = r"(?:</s>|<\|(?:im_end|endoftext|eot_id|end|eos)\|>|<end_of_(?:turn|utterance)>|<eos>)"
"""Pattern of the tokens that end a turn, as text."""


def thought_tags(template: str) -> tuple[str, str]:
    """The tags of the thoughts that a chat template speaks of; the usual ones when it speaks of none."""
    lower = template.lower()
    for tags in THOUGHTS:
        places = [lower.find(tag) for tag in tags]
        if max(places) >= 0:
            opening, closing = (
                tag if at < 0 else template[at : at + len(tag)] for at, tag in zip(places, tags, strict=True)
            )
            return opening, closing
    return THOUGHTS[0]


def is_thinking(text: str, thought_open: bool = False) -> bool:
    """Whether a text ends inside a thought; `thought_open`: it began in one."""
    lower = text.lower()
    closed = max(lower.rfind(closing) for _, closing in THOUGHTS)
    opened = max(lower.rfind(opening) for opening, _ in THOUGHTS)
    return opened > closed or (thought_open and closed < 0)


def without_thoughts(text: str) -> str:
    """What stands behind the last thought that a text closes."""
    lower = text.lower()
    ends = [at + len(closing) for _, closing in THOUGHTS if (at := lower.rfind(closing)) >= 0]
    return text[max(ends, default=0) :]


def opens_thought(prompt: str) -> bool:
    """Whether a rendered prompt ends inside a thought."""
    return prompt.rstrip().lower().endswith(tuple(opening for opening, _ in THOUGHTS))


class Style(StrEnum):
    """How the model is asked to answer."""

    DIRECT = "direct"
    """The final answer only."""
    COT = "cot"
    """Think step by step, then the final answer."""
    COT_ZH = "cot_zh"
    """The same, in Chinese whatever the question's language."""
    BOXED = "boxed"
    """A chain of thought with its answer in a box, as mathematics models write it."""
    THINK = "think"
    """A chain of thought between think tags, then the final answer."""
    BACKGROUND = "background"
    """First the definitions, laws and formulas that are needed."""
    VISUAL = "visual"
    """First what the image shows that matters."""
    GROUNDED = "grounded"
    """Each object named with its place in the image."""
    PLAIN = "plain"
    """The question alone: for descriptions and other questions without a ground truth."""
    AUTO = "auto"
    """A chain of thought chosen by the question's domain (`DOMAIN_STYLES`)."""


PLACEHOLDER = re.compile(r"\{(question|options)\}")
LIKE_A_PLACEHOLDER = re.compile(r"\{\{\s*(?:question|options)\s*\}\}|(?<![\w\\}^])\{[A-Za-z_]{2,}\}")
"""What other programs would fill in, or a slip of the pen. `\boxed{}`, `\text{yes}`, `{"answer": …}` are text."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """The recipe's own prompt, instead of a style's name."""

    template: str
    """The user turn's text: `{question}` and `{options}` (a line each: `(A) …`) are filled in, any other brace is text
    (`\\boxed{}`). Without `{options}` they follow the question."""
    name: str = "own"
    """What reports, scores and responses call it."""

    def __post_init__(self) -> None:
        if wrong := wrong_name(self.name, "a prompt"):
            raise FieldError(("name",), f"{self.name!r}: {wrong}")
        if self.name in list(Style):
            raise FieldError(("name",), f"{self.name!r} is a style of mixpo's; give the template another name")
        unknown = next((m for m in LIKE_A_PLACEHOLDER.finditer(self.template) if not PLACEHOLDER.fullmatch(m[0])), None)
        if unknown:
            raise FieldError(
                ("template",),
                f"{unknown[0]} is no placeholder; write {{question}} or {{options}}, or {{ word }} for text in braces",
            )
        if mark := MARK.search(self.template):
            raise FieldError(
                ("template",),
                f"{mark[0]} would be words: pictures stand where the question has them, else first; leave it out",
            )
        if "{question}" not in self.template:
            raise FieldError(("template",), "has no {question}; write it where the question's text is to stand")

    def __str__(self) -> str:
        return self.name

    def fill(self, question: str, options: str) -> str:
        """The prompt: a line that holds `{options}` alone falls out where there are none, as do empty outer lines."""
        values = {"question": question, "options": options}
        text = self.template
        if not options:
            text = re.sub(r"^[ \t]*\{options\}[ \t]*(?:\n|\Z)", "", text, flags=re.MULTILINE)
        elif "{options}" not in text:
            values["question"] = f"{question}\n{options}"
        return PLACEHOLDER.sub(lambda found: values[found[1]], text.strip("\n"))


DOMAIN_STYLES = {
    "science": Style.BACKGROUND,
    "math": Style.BACKGROUND,
    "chart": Style.VISUAL,
    "ocr": Style.VISUAL,
    "document": Style.VISUAL,
    "general": Style.COT,
    "grounding": Style.GROUNDED,
    "description": Style.PLAIN,
}


@overload
def resolve_style(style: Style, question: Question) -> Style: ...
@overload
def resolve_style(style: Style | Template, question: Question) -> Style | Template: ...
def resolve_style(style: Style | Template, question: Question) -> Style | Template:
    """The style a question is asked in: AUTO looks at its domain; a question without truth is asked plainly, unless the
    recipe has words of its own."""
    if isinstance(style, Template):
        return style
    if style is Style.AUTO:
        return DOMAIN_STYLES.get(question.domain, Style.COT)
    return Style.PLAIN if question.domain == "description" else style


def instruction(style: Style, language: str = ENGLISH) -> str:
    """The words of a resolved style in a language of `INSTRUCTIONS`; none for PLAIN."""
    if style is Style.PLAIN:
        return ""
    return INSTRUCTIONS["zh"].text(Style.COT) if style is Style.COT_ZH else INSTRUCTIONS[language].text(style)


def option_lines(choices: tuple[str, ...]) -> str:
    """`(A) first`, `(B) second` …, a line each; letters after Z go on as AA, AB."""
    return "\n".join(f"({letter(number)}) {choice}" for number, choice in enumerate(choices))


def letter(number: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def user_text(question: Question, style: Style | Template) -> str:
    """The user turn's text: the recipe's own prompt, filled in; or question, options and instruction in the question's
    language, a line each; or a benchmark's own wording of it, where the question carries one for the style
    (`meta["prompts"]`). Pictures stand where `<image 1>` … name them, in the text or in an option (`numbered`)."""
    text = _user_text(question, style)
    if any(PICTURE in turn.text for turn in question.turns):
        return text
    return numbered(text, len(question.images))


def _user_text(question: Question, style: Style | Template) -> str:
    options = option_lines(question.choices)
    if isinstance(style, Template):
        return style.fill(question.text, options)
    own = question.meta.get("prompts")
    if isinstance(own, dict) and own.get(style):
        return str(own[style])
    parts = [question.text, options, instruction(resolve_style(style, question), language_of(question.text))]
    return "\n".join(part for part in parts if part)


def system_text(question: Question, system: str) -> str:
    """The system turn's text: the recipe's own, else the question's; empty: there is none."""
    return system or question.system
