"""The words of every style in every language: which one a question is in, and what the judge reads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.instructions import INSTRUCTIONS, language_of
from mixpo.prompts import Style, instruction, user_text
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response
from mixpo.verdicts.languages import LANGUAGES
from mixpo.verdicts.verify import verify

ASKING = [style for style in Style if style not in (Style.AUTO, Style.PLAIN)]
QUESTIONS = {
    "en": "How many red circles are there?",
    "zh": "图中有多少个红色圆圈？",
    "ja": "図の中に赤い円はいくつありますか？",
    "ko": "빨간 원은 몇 개입니까?",
    "ru": "Сколько красных кругов на картинке?",
    "ar": "كم عدد الدوائر الحمراء في الصورة؟",
    "hi": "चित्र में कितने लाल वृत्त हैं?",
}


def test_english_words_are_those_of_all_runs_before():
    assert {str(style): instruction(style) for style in Style if style is not Style.AUTO} == {
        "direct": "Answer with the final answer only.",
        "cot": 'Think step by step. End with "Final answer: ...".',
        "cot_zh": "请一步一步思考，最后写“最终答案：…”。",
        "boxed": r"Think step by step. Put the final answer in \boxed{}.",
        "think": 'Think between <think> and </think>. Then write "Final answer: ...".',
        "background": "First name the background knowledge that the question needs: definitions, laws, formulas. "
        'Then think step by step with it. End with "Final answer: ...".',
        "visual": "First describe what the image shows that matters for the question. "
        'Then think step by step from it. End with "Final answer: ...".',
        "grounded": "Think step by step, and tie each object you name to its place in the image. "
        'End with "Final answer: ...".',
        "plain": "",
    }


@pytest.mark.parametrize("language", INSTRUCTIONS)
@pytest.mark.parametrize("style", ASKING)
def test_a_question_is_asked_in_its_language(language, style):
    asked = Question(id="q", text=QUESTIONS[language], choices=("1", "OpenAI"), domain="math", answer="A")
    words = instruction(style, language)
    assert user_text(asked, style) == f"{QUESTIONS[language]}\n(A) 1\n(B) OpenAI\n{words}"
    assert language_of(words) == ("zh" if style is Style.COT_ZH else language)
    if style not in (Style.DIRECT, Style.BOXED):
        assert INSTRUCTIONS["zh" if style is Style.COT_ZH else language].mark in words


def follow(style: Style, words: str, mark: str, answer: str) -> str:
    if style is Style.DIRECT:
        return answer
    if style is Style.BOXED:
        return rf"1 + 1 = 2. 2 + 5 = 7. \boxed{{{answer}}}"
    thought = "1 + 1 = 2.\n2 + 5 = 7."
    opened = f"<think>\n{thought}\n</think>" if "<think>" in words else thought
    return f"{opened}\n{mark} {answer}\n"


@pytest.mark.parametrize("language", INSTRUCTIONS)
@pytest.mark.parametrize("style", ASKING)
def test_the_judge_reads_an_answer_that_follows(language, style):
    mark = INSTRUCTIONS["zh" if style is Style.COT_ZH else language].mark
    rule = {Style.DIRECT: "direct", Style.BOXED: "box"}.get(style, "marker")
    yes = LANGUAGES[language].words("yes")[0] if language != "en" else "yes"
    cases = [("3", AnswerKind.INTEGER, ()), ("B", AnswerKind.CHOICE, ("4", "3")), (yes, AnswerKind.YES_NO, ())]
    for answer, kind, choices in cases:
        truth = "yes" if kind is AnswerKind.YES_NO else answer
        asked = Question(id="q", text=QUESTIONS[language], answer=truth, kind=kind, choices=choices)
        text = follow(style, instruction(style, language), mark, answer)
        response = Response(id="q/0", question_id="q", sample=0, text=text, finish_reason=FinishReason.STOP)
        verdict = verify(asked, response)
        assert (verdict.outcome, verdict.rule) == (Outcome.CORRECT, rule), text
        assert verdict.extracted == answer


@pytest.mark.parametrize(
    ("language", "text"),
    [
        *QUESTIONS.items(),
        # Formulas, names and quotations are of no language.
        ("zh", r"已知 $f(x)=\frac{\sin x}{\cos x}$，求导数。"),
        ("zh", r"已知 \(g(x)=\frac{\alpha}{\beta}\text{ if positive}\)，求 g'(x)。"),
        ("zh", "图中 ABC 三角形的 AB=3, 求 sin A"),
        ("zh", "OpenAI 的 ChatGPT 是什么？"),
        ("zh", "“I love you so much”是什么意思？"),
        ("zh", "“这是什么？”"),
        ("zh", "<image><image><image>有何不同"),
        ("zh", "圖中有幾個圓？"),
        ("zh", "图片中的さくら是什么花？"),
        ("ja", "三角形ABCの面積"),
        ("ja", "「这是什么」という文は何を意味しますか"),
        ("ru", "Чему равна площадь треугольника ABC, если AB = 5 см, а S = πr²?"),
        ("ru", "Каков объём съёмного бака?"),
        ("en", "What does the sign 出口 mean?"),
        ("en", "What does “你好世界你好世界你好世界你好世界你好世界” mean?"),
        ("en", "What does Привет mean?"),
        ("en", "¿Cuántos círculos rojos hay?"),
        ("en", "Wie groß ist die Fläche des Kreises?"),
        ("en", "Có bao nhiêu hình tròn màu đỏ?"),
        # Scripts that these share with a language whose words there are.
        ("en", "Скільки червоних кіл на малюнку?"),
        ("en", "Колко червени кръга има?"),
        ("en", "چند دایره قرمز در تصویر وجود دارد؟"),
        ("en", "चित्रात किती लाल वर्तुळे आहेत?"),
        ("en", "มีวงกลมกี่วง"),
        ("en", ""),
        ("en", "\ufffc…"),
    ],
)
def test_the_language_of_a_question(language, text):
    assert language_of(text) == language


@given(st.text(max_size=60))
def test_any_text_has_a_language(text):
    assert language_of(text) in INSTRUCTIONS
    assert language_of(text.encode("ascii", "ignore").decode()) == "en"


def test_patterns_that_begin_everywhere_and_never_end():
    for text in ("\\(" * 20_000, "$" * 20_001, "aB" * 20_000, "“" * 20_000, "<" * 20_000, '"' * 20_001, "a" * 40_000):
        assert language_of(f"{text} é") == "en"


def test_every_language_is_one_that_the_judge_knows():
    assert INSTRUCTIONS.keys() - {"en"} <= LANGUAGES.keys()
    for words in INSTRUCTIONS.values():
        assert re.fullmatch(r".+[:：]", words.mark)
