"""The recipe's own prompt: what is filled in, what is text, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.config import build, plain
from mixpo.errors import RecipeError
from mixpo.messages import PICTURE, messages
from mixpo.prompts import Style, Template, resolve_style, system_text, user_text
from mixpo.records import Question, Turn
from mixpo.responses import sample

PLAIN = Question(id="q", text="How many?", answer="3")
CHOICE = Question(id="q", text="Which?", answer="B", choices=("red", "blue"))


def filled(template: str, question: Question) -> str:
    return user_text(question, Template(template=template))


@pytest.mark.parametrize(
    ("template", "plain", "choice"),
    [
        ("{question}", "How many?", "Which?\n(A) red\n(B) blue"),
        (
            "Look.\n{question}\n{options}\nThink.\n",
            "Look.\nHow many?\nThink.",
            "Look.\nWhich?\n(A) red\n(B) blue\nThink.",
        ),
        ("{question}\n{options}", "How many?", "Which?\n(A) red\n(B) blue"),
        ("Q: {question} Think.", "Q: How many? Think.", "Q: Which?\n(A) red\n(B) blue Think."),
        ("{question} [{options}]", "How many? []", "Which? [(A) red\n(B) blue]"),
        (r"{question} Use \boxed{}.", r"How many? Use \boxed{}.", "Which?\n(A) red\n(B) blue Use \\boxed{}."),
    ],
)
def test_what_a_template_says(template, plain, choice):
    assert filled(template, PLAIN) == plain
    assert filled(template, CHOICE) == choice


def test_other_braces_are_text():
    text = r'{question} \boxed{answer} \frac{a}{b} x_{max} 2^{ab} {1, 2} {"answer": "B"} { word } {} {x} } {'
    assert filled(text, PLAIN) == text.replace("{question}", "How many?")


def test_what_is_filled_in_is_not_filled_again():
    asked = Question(id="q", text="What is {options}, {question} or \\1?", choices=("{question}", "\\g<0>"))
    assert filled("{question}|{options}", asked) == ("What is {options}, {question} or \\1?|(A) {question}\n(B) \\g<0>")


@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_every_letter_stays(before, after, text):
    try:
        template = Template(template=f"{before} {{question}} {after}")
    except RecipeError:
        return
    if "{options}" not in before + after and "{question}" not in before + after:
        expected = f"{before} {text} {after}"
        assert user_text(Question(id="q", text=text), template).strip("\n") == expected.strip("\n")


@pytest.mark.parametrize(
    ("style", "sentence"),
    [
        ({"template": "Think."}, r"style.template: has no \{question\}"),
        ({"template": "{question} {choices}"}, r"style.template: \{choices\} is no placeholder; write \{question\} or"),
        ({"template": "{Question} {question}"}, r"\{Question\} is no placeholder"),
        ({"template": "{{question}}"}, r"\{\{question\}\} is no placeholder"),
        ({"template": "{{ question }} {question}"}, r"\{\{ question \}\} is no placeholder"),
        ({"template": "<image>\n{question}"}, "style.template: <image> would be words: pictures stand where the"),
        ({"template": "{question}", "name": "a/b"}, "style.name: 'a/b': a prompt's name is made of letters"),
        ({"template": "{question}", "name": "cot"}, "style.name: 'cot' is a style of mixpo's"),
        ({"temlate": "{question}"}, "style.temlate: unknown key; did you mean 'template'"),
        ({}, "style: 'template' is missing"),
        ("cott", "style: 'cott' is none of direct, .*did you mean 'cot'"),
        ("{question} Think.", r"is none of direct, .*, \{template: …\}"),
        (3, "style: 3 is none of direct"),
    ],
)
def test_mistakes_have_their_place(style, sentence):
    with pytest.raises(RecipeError, match=sentence):
        build(sample.Config, {"style": style})


def test_a_recipe_that_was_saved_reads_the_same():
    for style in ("cot", {"template": "{question}\nThink."}, {"template": "{question}", "name": "short"}, "auto"):
        config = build(sample.Config, {"style": style})
        assert build(sample.Config, plain(config)) == config
    assert plain(build(sample.Config, {}))["style"] == "auto"


def test_a_template_asks_every_question():
    """A description, and a question with a benchmark's own words, too: they are what the recipe says."""
    own = Template(template="{question} Now.", name="mine")
    described = Question(id="q", text="Describe.", domain="description", meta={"prompts": {"mine": "No."}})
    assert resolve_style(own, described) is own
    assert user_text(described, own) == "Describe. Now."
    assert resolve_style(Style.COT, described) is Style.PLAIN
    assert str(own) == "mine"


def test_system_prompt_of_the_recipe_before_the_questions():
    assert system_text(PLAIN, "Be brief.") == "Be brief."
    assert system_text(PLAIN, "") == ""


def pictured(images, text="See <image 1>: which?", choices=("<image 2>", "<image 3>"), **more):
    return Question(id="q", text=text, images=tuple(f"s/{n}.png" for n in range(images)), choices=choices, **more)


@pytest.mark.parametrize(
    ("question", "prompt"),
    [
        (pictured(3), f"See {PICTURE}: which?\n(A) {PICTURE}\n(B) {PICTURE}"),
        (pictured(1, choices=()), f"See {PICTURE}: which?"),
        (pictured(1, text="<image 1> Which?", choices=()), "Which?"),
        (pictured(2, text="<image1> or <image2>?", choices=()), f"{PICTURE} or {PICTURE}?"),
        # A picture is named twice, or out of order, or not at all, or is not there.
        (pictured(1, text="See <image 1>: is <image 1> red?", choices=()), "See <image 1>: is <image 1> red?"),
        (pictured(2, text="<image 2> and <image 1>?", choices=()), "<image 2> and <image 1>?"),
        (pictured(2, text="See <image 1>.", choices=()), "See <image 1>."),
        (pictured(0, text="See <image 1>.", choices=()), "See <image 1>."),
        (pictured(1, text="See <image 1> or <image>.", choices=()), "See <image 1> or <image>."),
        (
            pictured(1, text="See <image 1>.", choices=(), turns=(Turn(role="user", text=f"{PICTURE}?"),)),
            "See <image 1>.",
        ),
    ],
)
def test_pictures_stand_where_their_numbers_do(question, prompt):
    assert user_text(question, Style.PLAIN) == prompt
    messages(prompt, len(question.images), turns=question.turns)
