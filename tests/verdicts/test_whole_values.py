"""Generated values: right for themselves in any form, never for another, never with something stuck to them.

A failure prints the value, the form and the text, so that it can be put into the cases of a kind.
"""

from collections.abc import Callable
from fractions import Fraction
from math import gcd
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response
from mixpo.verdicts.verify import verify

FRAMES = (
    "\\boxed{{{}}}",
    "The answer is ${}$.",
    "Final answer: {}",
    "<answer>{}</answer>",
    "So we get $\\boxed{{{}}}$.",
    "**Answer:** {}",
    "First, 3 + 4 = 7.\nFinal answer: ${}$",
    '{{"answer": "{}"}}',
    "答案是 {}",
)
PLAIN_FRAMES = tuple(frame for frame in FRAMES if "boxed" not in frame and "$" not in frame)


def judged(
    text: str, truth: str, kind: AnswerKind | None = None, choices: tuple[str, ...] = (), **more: Any
) -> Outcome:
    question = Question(id="q", text="?", answer=truth, kind=kind, choices=choices, **more)
    response = Response(id="q/0", question_id="q", sample=0, text=text, finish_reason=FinishReason.STOP)
    return verify(question, response).outcome


def forms_of_integer(n: int) -> list[str]:
    return [
        str(n),
        f"{n:,}",
        f"{n:,}".replace(",", "{,}"),
        f"{n:,}".replace(",", "\\,"),
        f"{n}.0",
        f"{2 * n}/2",
        f"\\frac{{{3 * n}}}{{3}}",
    ]


def forms_of_fraction(value: Fraction) -> list[str]:
    p, q = value.numerator, value.denominator
    sign, top = ("-" if p < 0 else ""), abs(p)
    forms = [f"{p}/{q}", f"{sign}\\frac{{{top}}}{{{q}}}", f"\\dfrac{{{p}}}{{{q}}}", f"{2 * p}/{2 * q}"]
    if top > q > 1:
        forms += [f"{sign}{top // q}\\frac{{{top % q}}}{{{q}}}", f"{sign}{top // q} {top % q}/{q}"]
    return forms


def forms_of_radical(value: tuple[int, int]) -> list[str]:
    """a times the root of b, b without squares."""
    a, b = value
    return [
        f"{a}\\sqrt{{{b}}}",
        f"{a}√{b}",
        f"{a}*sqrt({b})",
        f"\\sqrt{{{a * a * b}}}",
        f"\\sqrt{{{b}}} \\cdot {a}",
        f"{a} \\, \\sqrt {{{b}}}",
    ]


def forms_of_pi(value: tuple[int, int]) -> list[str]:
    a, b = value
    return [
        f"\\frac{{{a}\\pi}}{{{b}}}",
        f"{a}π/{b}",
        f"{a}*pi/{b}",
        f"\\frac{{{a}}}{{{b}}}\\pi",
        f"{a} \\pi / {b}",
        f"\\frac{{{2 * a}\\pi}}{{{2 * b}}}",
    ]


def forms_of_power_of_ten(value: tuple[int, int]) -> list[str]:
    a, n = value
    return [
        f"{a} \\times 10^{{{n}}}",
        f"{a} * 10^{n}",
        f"{a}e{n}",
        f"{a} × 10^{n}",
        f"{a} x 10^{{{n}}}",
        f"{a}\\cdot 10^{{{n}}}",
    ]


def forms_of_point(value: tuple[int, int]) -> list[str]:
    a, b = value
    return [f"({a}, {b})", f"({a},{b})", f"\\left({a}, {b}\\right)", f"({a}.0, {2 * b}/2)"]


def forms_of_interval(value: tuple[int, int, str, str]) -> list[str]:
    a, b, left, right = value
    low, high = ("≤" if left == "[" else "<"), ("≤" if right == "]" else "<")
    latex = {"≤": "\\le", "<": "<"}
    return [
        f"{left}{a}, {b}{right}",
        f"\\left{left}{a},{b}\\right{right}",
        f"{a} {low} x {high} {b}",
        f"{a} {latex[low]} x {latex[high]} {b}",
        f"x \\in {left}{a}, {b}{right}",
    ]


def forms_of_set(value: tuple[int, ...]) -> list[str]:
    inside, turned = ", ".join(map(str, value)), ", ".join(map(str, reversed(value)))
    return [f"\\{{{inside}\\}}", f"\\{{{turned}\\}}", f"\\left\\{{{inside}\\right\\}}"]


def forms_of_line(value: tuple[int, int]) -> list[str]:
    m, c = value
    return [f"y = {m}x + {c}", f"y={m}x+{c}", f"y - {c} = {m}x", f"{m}x - y + {c} = 0", f"2y = {2 * m}x + {2 * c}"]


def forms_of_polynomial(value: tuple[int, int]) -> list[str]:
    a, b = value
    return [
        f"(x+{a})(x+{b})",
        f"x^2+{a + b}x+{a * b}",
        f"x^{{2}} + {a + b}x + {a * b}",
        f"{a * b} + {a + b}x + x²",
        f"(x+{b})(x+{a})",
    ]


small = st.integers(1, 60)
square_free = st.sampled_from([2, 3, 5, 6, 7, 10, 11, 13])
VALUES: dict[str, tuple[st.SearchStrategy, Callable[[Any], list[str]], AnswerKind | None]] = {
    "integer": (st.integers(-99_999, 99_999), forms_of_integer, AnswerKind.INTEGER),
    "fraction": (
        st.fractions(-40, 40, max_denominator=30).filter(lambda f: f.denominator > 1),
        forms_of_fraction,
        AnswerKind.FRACTION,
    ),
    "fraction, kind open": (
        st.fractions(0, 40, max_denominator=30).filter(lambda f: f.denominator > 1),
        forms_of_fraction,
        None,
    ),
    "radical": (st.tuples(st.integers(2, 20), square_free), forms_of_radical, None),
    "pi": (st.tuples(small, st.sampled_from([7, 11, 13])).filter(lambda v: v[0] % v[1]), forms_of_pi, None),
    "power of ten": (st.tuples(st.integers(1, 9), st.integers(-30, 30)), forms_of_power_of_ten, AnswerKind.NUMBER),
    "point": (st.tuples(st.integers(-30, 30), st.integers(-30, 30)), forms_of_point, None),
    "interval": (
        st.tuples(st.integers(-30, 0), st.integers(1, 30), st.sampled_from("[("), st.sampled_from("])")),
        forms_of_interval,
        None,
    ),
    "set": (
        st.lists(st.integers(-30, 30), min_size=2, max_size=4, unique=True).map(lambda v: tuple(sorted(v))),
        forms_of_set,
        None,
    ),
    "line": (st.tuples(st.integers(2, 20), st.integers(1, 20)), forms_of_line, None),
    "polynomial": (
        st.tuples(st.integers(1, 20), st.integers(1, 20)).map(lambda v: tuple(sorted(v))),
        forms_of_polynomial,
        None,
    ),
}


MONTHS = "January February March April May June July August September October November December".split()


def forms_of_date(value: tuple[int, int, int]) -> list[str]:
    year, month, day = value
    name = MONTHS[month - 1]
    return [
        f"{year}-{month:02}-{day:02}",
        f"{name} {day}, {year}",
        f"{day} {name} {year}",
        f"{name[:3]} {day}, {year}",
        f"{year}年{month}月{day}日",
    ]


def forms_of_time(value: tuple[int, int]) -> list[str]:
    hour, minute = value
    half = "PM" if hour >= 12 else "AM"
    return [
        f"{hour % 12 or 12}:{minute:02} {half}",
        f"{hour % 12 or 12}:{minute:02} {half.lower()}",
        f"{hour}:{minute:02}",
    ]


def forms_of_money(cents: int) -> list[str]:
    amount = f"{cents // 100}.{cents % 100:02}"
    return [f"${amount}", f"${cents // 100:,}.{cents % 100:02}", f"{amount} dollars", f"{amount} USD"]


def forms_of_percent(tenths: int) -> list[str]:
    return [f"{tenths / 10:.1f}%", f"{tenths / 10:.1f} percent", f"{tenths / 10:.1f} %", f"{tenths / 10:.2f}%"]


def forms_of_decimal(hundredths: int) -> list[str]:
    return [f"{hundredths / 100:.2f}", f"{hundredths / 100:.3f}", f"{hundredths / 100:.4f}"]


def forms_of_ratio(value: tuple[int, int]) -> list[str]:
    a, b = value
    return [f"{a}:{b}", f"{a} : {b}", f"{a} to {b}", f"{2 * a}:{2 * b}"]


def forms_of_list(value: tuple[int, ...]) -> list[str]:
    return [
        f"[{', '.join(map(str, value))}]",
        ", ".join(map(str, value)),
        f"{', '.join(map(str, value[:-1]))} and {value[-1]}",
    ]


def forms_of_length(value: int) -> list[str]:
    return [f"{value} m", f"{value} meters", f"{100 * value} cm", f"{value}.0 m"]


def forms_of_choice(index: int) -> list[str]:
    letter = "ABCD"[index]
    return [letter, f"({letter})", f"{letter}.", f"({letter}) {OPTIONS[index]}", OPTIONS[index], f"Option {letter}"]


OPTIONS = ("a red circle", "a green square", "no shape at all", "two blue triangles")
IN_WORDS: dict[str, tuple[st.SearchStrategy, Callable[[Any], list[str]], AnswerKind]] = {
    "date": (
        st.tuples(st.integers(1900, 2030), st.integers(1, 12), st.integers(13, 28)),
        forms_of_date,
        AnswerKind.DATE,
    ),
    # No two hours are twelve apart: "1:00" may be meant for 13:00.
    "time": (
        st.tuples(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 19, 20, 21, 22, 23]), st.integers(0, 59)),
        forms_of_time,
        AnswerKind.TIME,
    ),
    "money": (st.integers(100, 999_999), forms_of_money, AnswerKind.MONEY),
    "percent": (st.integers(11, 999), forms_of_percent, AnswerKind.PERCENT),
    "decimal": (st.integers(1, 99_999), forms_of_decimal, AnswerKind.DECIMAL),
    "ratio": (
        # In lowest terms: 2:12 and 3:18 are one ratio.
        st.tuples(st.integers(1, 9), st.integers(10, 20)).filter(lambda v: gcd(*v) == 1),
        forms_of_ratio,
        AnswerKind.RATIO,
    ),
    "list": (
        st.lists(st.integers(1, 99), min_size=3, max_size=5, unique=True).map(tuple),
        forms_of_list,
        AnswerKind.LIST,
    ),
    "length": (st.integers(2, 99), forms_of_length, AnswerKind.NUMBER),
    "choice": (st.integers(0, 3), forms_of_choice, AnswerKind.CHOICE),
}
WORD_FRAMES = ("The answer is {}.", "Final answer: {}", "<answer>{}</answer>", "**Answer:** {}", "答案是 {}")


@pytest.mark.parametrize("name", IN_WORDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_value_in_words_is_itself_and_no_other(name, data):
    values, forms, kind = IN_WORDS[name]
    value, other = data.draw(values), data.draw(values)
    choices = OPTIONS if kind is AnswerKind.CHOICE else ()
    truth, frame = forms(value)[0], data.draw(st.sampled_from(WORD_FRAMES))
    text = frame.format(data.draw(st.sampled_from(forms(value))))
    assert judged(text, truth, kind, choices) is Outcome.CORRECT, (truth, text)
    if value != other:
        text = frame.format(data.draw(st.sampled_from(forms(other))))
        assert judged(text, truth, kind, choices) is not Outcome.CORRECT, (truth, text)


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_value_in_any_form_is_itself(name, data):
    values, forms, kind = VALUES[name]
    value = data.draw(values)
    truth, said = (
        data.draw(st.sampled_from(forms(value)[:1] if kind else forms(value))),
        data.draw(st.sampled_from(forms(value))),
    )
    text = data.draw(st.sampled_from(FRAMES)).format(said)
    assert judged(text, truth, kind) is Outcome.CORRECT, (truth, text)


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_another_value_is_never_it(name, data):
    values, forms, kind = VALUES[name]
    value, other = data.draw(values), data.draw(values)
    if value == other:
        return
    truth, text = forms(value)[0], data.draw(st.sampled_from(FRAMES)).format(data.draw(st.sampled_from(forms(other))))
    assert judged(text, truth, kind) is not Outcome.CORRECT, (truth, text)


STUCK = (
    "{}x",
    "{}!",
    "-({})",
    "\\sqrt{{{}}}",
    "{}^2",
    "{}^{{-1}}",
    "f({})",
    "a_{{{}}}",
    "\\pm {}",
    "{}'",
    "\\ln {}",
    "\\frac{{{}}}{{x}}",
    "\\frac{{x}}{{{}}}",
    "x + {}",
    "{} + x",
    "{}i",
    "x \\ge {}",
    "x > {}",
    "\\log_{{{}}} 8",
    "\\binom{{{}}}{{2}}",
    "{} : 7",
    "[{}, \\infty)",
    "{}\\vec{{a}}",
    "{} \\times 10^3",
    "\\sin {}",
    "e^{{{}}}",
    "2^{{{}}}",
    "\\overline{{{}}}",
    "{} \\text{{ or }} 7",
    "{}, 7",
    "\\sum_{{k=1}}^{{{}}} k",
)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(4, 99).filter(lambda n: n != 7),
    st.sampled_from(STUCK),
    st.sampled_from(FRAMES[:5]),
    st.sampled_from([AnswerKind.INTEGER, AnswerKind.NUMBER, AnswerKind.DECIMAL, None]),
)
def test_a_number_with_something_stuck_to_it_is_not_the_number(number, stuck, frame, kind):
    if frame == "Final answer: {}":
        frame = "Final answer: ${}$"
    text = frame.format(stuck.format(number))
    assert judged(text, str(number), kind) is not Outcome.CORRECT, text


WORDS_STUCK = (
    "{} or more",
    "at least {}",
    "more than {}",
    "between {} and 200",
    "{} to 200",
    "fewer than {}",
    "{} squared",
    "the square root of {}",
    "{} or 7",
    "not {}",
    "plus or minus {}",
    "{}x",
    "f({})",
    "up to {}",
    "{}-200",
    "{} : 7",
    "{} dozen",
    "twice {}",
    "{} thousand",
    "-{}",
    "1/{}",
    "{}/1000",
    "0.{}",
    "{}.5",
)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(11, 99), st.sampled_from(WORDS_STUCK), st.sampled_from([*PLAIN_FRAMES, "It is {}.", "There are {}."])
)
def test_a_number_that_words_make_another_is_not_the_number(number, stuck, frame):
    text = frame.format(stuck.format(number))
    assert judged(text, str(number), AnswerKind.INTEGER) is not Outcome.CORRECT, text


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_number_inside_a_longer_option_is_not_that_option(data):
    number = data.draw(st.integers(3, 30))
    options = (str(number), str(number + 1), str(number + 2), str(number + 3))
    stuck = data.draw(
        st.sampled_from(
            ["{}\\sqrt{{3}}", "\\frac{{{}}}{{77}}", "{}x", "{},500", "\\sqrt{{{}}}", "{}\\pi", "{}^2", "x + {}", "{}!"]
        )
    )
    frame = data.draw(st.sampled_from(FRAMES[:2]))
    text = frame.format(stuck.format(number))
    assert judged(text, "A", AnswerKind.CHOICE, options) is not Outcome.CORRECT, text


SINGLE = (
    (AnswerKind.CHOICE, "B", "C", ("red", "green", "blue", "grey")),
    (AnswerKind.CHOICE, "(B) green", "(C) blue", ("red", "green", "blue", "grey")),
    (AnswerKind.INTEGER, "12", "15", ()),
    (AnswerKind.YES_NO, "yes", "no", ()),
    (AnswerKind.TEXT, "green", "blue", ()),
    (AnswerKind.TIME, "3:30", "4:15", ()),
    (AnswerKind.EXPRESSION, "2x+1", "2x-1", ()),
)
RETRACTED = (
    "The answer is {0}. Wait, I made a mistake. The answer is {1}.",
    "Final answer: {0}\n\nActually, {1}.",
    "Answer: {0}. No, {1}.",
    "The answer is {0}. Hold on, that is wrong. It is {1}.",
    "\\boxed{{{0}}}\n\nCorrection: the answer is {1}.",
    "Answer: {0}\nAnswer: {1}",
    "The answer is {0}. Hmm, let me recheck. So the answer is {1}.",
    "The answer is not {0} but {1}.",
    "Answer: {0}. Scratch that, {1}.",
)
OPENED = (
    "Answer: {0} or {1}",
    "The answer is {0} or {1}.",
    "\\boxed{{{0}}} or \\boxed{{{1}}}",
    "The answer is either {0} or {1}.",
    "The answer is {0} or maybe {1}.",
)


@pytest.mark.parametrize("text", RETRACTED)
@pytest.mark.parametrize(
    ("kind", "truth", "other", "choices"), SINGLE, ids=[f"{kind}-{truth}" for kind, truth, _, _ in SINGLE]
)
def test_what_is_taken_back_is_never_correct(kind, truth, other, choices, text):
    gold = "B" if kind is AnswerKind.CHOICE else truth
    assert judged(text.format(truth, other), gold, kind, choices) is not Outcome.CORRECT
    if "boxed" not in text or kind is not AnswerKind.YES_NO:
        assert judged(text.format(other, truth), gold, kind, choices) is not Outcome.INCORRECT


@pytest.mark.parametrize("text", OPENED)
@pytest.mark.parametrize(
    ("kind", "truth", "other", "choices"), SINGLE, ids=[f"{kind}-{truth}" for kind, truth, _, _ in SINGLE]
)
def test_a_second_answer_is_never_correct(kind, truth, other, choices, text):
    gold = "B" if kind is AnswerKind.CHOICE else truth
    assert judged(text.format(truth, other), gold, kind, choices) is not Outcome.CORRECT
    assert judged(text.format(other, truth), gold, kind, choices) is not Outcome.CORRECT
