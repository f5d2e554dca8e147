import pytest

from mixpo.records import FinishReason, Outcome, Question, Response, Verdict

OUTCOMES = {
    "c": Outcome.CORRECT,
    "i": Outcome.INCORRECT,
    "u": Outcome.UNPARSED,
    "t": Outcome.TRUNCATED,
    "?": Outcome.UNDECIDED,
}


def make_question(own_id="q", answer="3"):
    return Question(id=own_id, text="How many?", answer=answer, images=("scenes/1.png",))


def make_judged(outcomes, own_id="q", texts=None, prompts=None):
    """Responses and verdicts from a word: "cci" is two correct ones and an incorrect one."""
    judged = []
    for sample, letter in enumerate(outcomes):
        response = Response(
            id=f"{own_id}/{sample}", question_id=own_id, sample=sample,
            finish_reason=FinishReason.LENGTH if letter == "t" else FinishReason.STOP,
            text=texts[sample] if texts else f"text {sample}",
            prompt=prompts[sample] if prompts else "How many? Think.",
        )  # fmt: skip
        judged.append((response, Verdict(id=response.id, question_id=own_id, outcome=OUTCOMES[letter])))
    return judged


@pytest.fixture
def question():
    return make_question


@pytest.fixture
def judged():
    return make_judged
