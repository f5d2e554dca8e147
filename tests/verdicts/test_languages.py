"""Every row of the table of languages works: nouns announce, words for yes and no are read, numbers count."""

import pytest

from mixpo.records import AnswerKind, Outcome
from mixpo.verdicts.languages import LANGUAGES

ROWS = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES.keys())
CHOICES = ("red", "green", "blue", "white")


def first(words: str) -> str:
    return words.split()[0].replace("_", " ")


@ROWS
def test_marks(judge_text, language):
    for noun in language.words("answer"):
        for letter, outcome in (("B", Outcome.CORRECT), ("C", Outcome.INCORRECT)):
            assert judge_text(f"{noun}: {letter}", "B", AnswerKind.CHOICE, CHOICES).outcome is outcome, noun
        assert judge_text(f"{noun}: 12", "12", AnswerKind.INTEGER).outcome is Outcome.CORRECT, noun
        assert judge_text(f"{noun}: 12", "13", AnswerKind.INTEGER).outcome is Outcome.INCORRECT, noun


@ROWS
def test_yes_and_no(judge_text, language):
    for word in language.words("yes"):
        assert judge_text(word, "yes", AnswerKind.YES_NO).outcome is Outcome.CORRECT, word
        assert judge_text(word, "no", AnswerKind.YES_NO).outcome is Outcome.INCORRECT, word
    for word in language.words("no"):
        assert judge_text(word, "no", AnswerKind.YES_NO).outcome is Outcome.CORRECT, word
        assert judge_text(word, "yes", AnswerKind.YES_NO).outcome is Outcome.INCORRECT, word


@ROWS
def test_number_words(judge_text, language):
    for number, words in enumerate(language.numbers.split()):
        if number >= 2:
            for word in set(words.split("|")) - {"once", "se"}:  # English words as well
                assert judge_text(word, str(number), AnswerKind.INTEGER).outcome is Outcome.CORRECT, word
                assert judge_text(word, str(number + 1), AnswerKind.INTEGER).outcome is Outcome.INCORRECT, word


SENTENCES = (
    ("La respuesta correcta es la B.", "B"),
    ("Por lo tanto, la opción correcta es (B).", "B"),
    ("La bonne réponse est B.", "B"),
    ("Die richtige Antwort ist B.", "B"),
    ("Die Antwort lautet: B", "B"),
    ("La risposta corretta è B.", "B"),
    ("A resposta correta é a B.", "B"),
    ("答えはBです。", "B"),
    ("したがって、正解は B です。", "B"),
    ("정답은 B입니다.", "B"),
    ("सही उत्तर B है।", "B"),
    ("الإجابة الصحيحة هي B.", "B"),
    ("Правильный ответ: B.", "B"),
    ("所以正确答案是B。", "B"),
)


@pytest.mark.parametrize(("text", "answer"), SENTENCES)
def test_sentences(judge_text, text, answer):
    assert judge_text(text, answer, AnswerKind.CHOICE, CHOICES).outcome is Outcome.CORRECT
    assert judge_text(text, "D", AnswerKind.CHOICE, CHOICES).outcome is Outcome.INCORRECT


@pytest.mark.parametrize(
    "text",
    [
        "La respuesta no es B.",
        "La réponse n'est pas B.",
        "Die Antwort ist nicht B.",
        "La risposta non è B.",
        "A resposta não é B.",
        "答案不是B。",
        "La respuesta es B. Perdón, es C.",
        "Die Antwort ist B. Nein, C.",
        "答案是B。不对,答案是C。",
        "正解はBです。いや、Cです。",
        "정답은 B입니다. 아니, C입니다.",
        "Ответ: B. Нет, подождите, C.",
    ],
)
def test_denied_or_taken_back(judge_text, text):
    assert judge_text(text, "B", AnswerKind.CHOICE, CHOICES).outcome is not Outcome.CORRECT
