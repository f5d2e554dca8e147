"""Every prompt text, and the marker that a final answer follows.

The styles are those of the MPO paper (arXiv 2411.10442, section 3.1 and appendix): a direct answer,
a plain chain of thought, and chains of thought guided by background knowledge, by visual content or
by grounding, chosen by the question's domain; in our own words.
"""

from enum import StrEnum

from mixpo.records import Question

FINAL_ANSWER = "Final answer:"
FINAL_ANSWER_ZH = "最终答案："


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
    """The same in Chinese."""
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


INSTRUCTIONS = {
    Style.DIRECT: "Answer with the final answer only.",
    Style.COT: f'Think step by step. End with "{FINAL_ANSWER} ...".',
    Style.COT_ZH: f"请一步一步思考，最后写“{FINAL_ANSWER_ZH}…”。",
    Style.BOXED: r"Think step by step. Put the final answer in \boxed{}.",
    Style.THINK: f'Think between <think> and </think>. Then write "{FINAL_ANSWER} ...".',
    Style.BACKGROUND: "First name the background knowledge that the question needs: definitions, laws, formulas. "
    f'Then think step by step with it. End with "{FINAL_ANSWER} ...".',
    Style.VISUAL: "First describe what the image shows that matters for the question. "
    f'Then think step by step from it. End with "{FINAL_ANSWER} ...".',
    Style.GROUNDED: "Think step by step, and tie each object you name to its place in the image. "
    f'End with "{FINAL_ANSWER} ...".',
    Style.PLAIN: "",
}

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


def resolve_style(style: Style, question: Question) -> Style:
    """The style a question is asked in: AUTO looks at its domain; a question without truth is asked plainly."""
    if style is Style.AUTO:
        return DOMAIN_STYLES.get(question.domain, Style.COT)
    return Style.PLAIN if question.domain == "description" else style


def option_lines(choices: tuple[str, ...]) -> str:
    """`(A) first`, `(B) second` …, a line each; letters after Z go on as AA, AB."""
    return "\n".join(f"({letter(number)}) {choice}" for number, choice in enumerate(choices))


def letter(number: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def user_text(question: Question, style: Style) -> str:
    """The user turn's text: question, options, instruction, a line each; or a benchmark's own wording of it, where
    the question carries one for the style (`meta["prompts"]`)."""
    own = question.meta.get("prompts")
    if isinstance(own, dict) and own.get(style):
        return str(own[style])
    parts = [question.text, option_lines(question.choices), INSTRUCTIONS[resolve_style(style, question)]]
    return "\n".join(part for part in parts if part)
