"""What scores cannot tell: few questions, answers that nobody judged; no score is not a score of 0."""

from dataclasses import asdict, replace

import pytest

from mixpo.evaluation.benchmarks.llm_judged import BENCHMARKS
from mixpo.evaluation.best_of import By, curve
from mixpo.evaluation.doubts import doubts
from mixpo.evaluation.metrics import mean
from mixpo.evaluation.scores import Answers, BenchmarkQuestions, comparisons, numbered_answers, scores
from mixpo.evaluation.table import accuracies, by_category, is_gap, metrics
from mixpo.evaluation.votes import Tried
from mixpo.output import text
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response, Verdict
from mixpo.report.accuracy import benchmarks, headline
from mixpo.report.collect import Evaluation, ReportData


def asked(count: int, **more) -> list[Question]:
    return [Question(id=f"q-{n}", text="?", answer="1", kind=AnswerKind.FREE_FORM, **more) for n in range(count)]


def answers(
    questions: list[Question], outcomes: list[Outcome | None], model: str = "base", style: str = "cot"
) -> Answers:
    """None: the question was not answered."""
    responses = [
        Response(id=f"{q.id}/0", question_id=q.id, sample=0, text="so", finish_reason=FinishReason.STOP, logp=-1.0)
        for q, outcome in zip(questions, outcomes)
        if outcome
    ]
    verdicts = [
        Verdict(id=f"{q.id}/0", question_id=q.id, outcome=o, score=None if o is Outcome.UNDECIDED else 1.0)
        for q, o in zip(questions, outcomes)
        if o
    ]
    return Answers(model, "mine", style, numbered_answers(questions, responses, verdicts))


def evaluated(questions: list[Question], parts: list[Answers], declared=()):
    about = BenchmarkQuestions(questions, declared)
    return [s for part in parts for s in scores("e", part, about)], list(comparisons(parts, {"mine": about}))


def about(questions: list[Question]) -> dict[str, BenchmarkQuestions]:
    return {"mine": BenchmarkQuestions(questions)}


UNDECIDED, RIGHT, WRONG = Outcome.UNDECIDED, Outcome.CORRECT, Outcome.INCORRECT


@pytest.mark.parametrize(("outcome", "sign"), [(UNDECIDED, "not_scored"), (None, "no_answers")])
def test_what_nobody_judged_is_not_scored(outcome, sign):
    questions = asked(120, category="c")
    parts = [answers(questions, [outcome] * 120, name) for name in ("base", "mpo")]
    found, compared = evaluated(questions, parts, BENCHMARKS["mmhal"].metrics)
    named = {(s.category, s.metric): s for s in found}
    for metric in ("accuracy", "rating", "hallucination"):
        assert asdict(named["all", metric]) | {"value": None, "low": None, "high": None} == asdict(named["all", metric])
        assert named["c", metric].value is None
    assert named["all", "undecided"].value == (outcome is UNDECIDED)
    assert {c.metric for c in compared} <= {"length", "repetition", "looping"}
    assert text([accuracies(found), metrics(found, ["rating"], "t")]).count("not scored") == 4
    assert [doubt["sign"] for doubt in doubts(found, compared, about(questions))] == [sign, sign]


def test_the_report_says_so_too():
    questions = asked(120)
    parts = [answers(questions, [UNDECIDED] * 120, name) for name in ("base", "mpo")]
    data = ReportData(name="r", evaluations=[Evaluation("e", *evaluated(questions, parts))])
    assert headline(data) == "No benchmark of this run has right answers that could be counted."
    (section,) = benchmarks(data)
    assert [row.cells[1] for row in section.answers.rows] == ["not scored"] * 2
    assert "0.0 %" not in str(section.figure)


def test_a_judged_answer_makes_a_score_and_undecided_ones_are_told():
    questions = asked(120)
    found, compared = evaluated(questions, [answers(questions, [RIGHT] * 90 + [UNDECIDED] * 30)])
    assert found[0].value == 0.75
    (doubt,) = doubts(found, compared, about(questions))
    assert doubt["text"].startswith("25% of the answers of base to mine (cot) were not judged and count as wrong")


def test_few_questions_say_what_they_can_tell():
    """10 of 20 right: Wilson's interval is 0.299 to 0.701."""
    questions = asked(20)
    half = [RIGHT, WRONG] * 10
    found, compared = evaluated(questions, [answers(questions, half), answers(questions, half[::-1], "mpo")])
    (doubt,) = doubts(found, compared, about(questions))
    assert doubt["half_width"] == pytest.approx(20.1, abs=0.05)
    assert doubt["difference"] == pytest.approx(100 * max(compared[0].high, -compared[0].low))
    (alone,) = doubts(*evaluated(questions, [answers(questions, half)]), about(questions))
    assert "known to ± 20 points, and differences below 28 points cannot be told" in alone["text"]
    enough = asked(100)
    assert doubts(*evaluated(enough, [answers(enough, [RIGHT, WRONG] * 50)]), about(enough)) == []


@pytest.mark.parametrize(
    ("right", "truths", "doubted"),
    [
        (55, ["true"] * 58 + ["false"] * 42, True),
        (66, ["True"] * 58 + ["false"] * 42, True),  # Wilson's interval: from 56.3 on
        (70, ["true"] * 58 + ["false"] * 42, False),  # from 60.4 on
        (20, ["true"] * 40 + ["false"] * 30 + ["maybe"] * 30, False),  # there is no such answer
        (55, ["true"] * 58 + ["false"] * 41, False),  # few questions have a sentence of their own
    ],
)
def test_what_is_no_better_than_one_answer_to_all_is_told(right, truths, doubted):
    questions = [replace(one, answer=truth) for one, truth in zip(asked(len(truths)), truths)]
    found, compared = evaluated(questions, [answers(questions, [RIGHT] * right + [WRONG] * (len(truths) - right))])
    told = [doubt for doubt in doubts(found, compared, about(questions)) if doubt["sign"] == "one_answer"]
    assert bool(told) == doubted
    if told:
        assert told[0]["text"].startswith("'true' alone would be right in 58.0% of mine, without a look at any picture")
        assert told[0]["text"].endswith(f"can be told: base (cot, {right}.0%)")


def test_of_many_scores_that_one_answer_reaches_some_are_named():
    questions = [replace(one, answer="yes" if n % 2 else "no") for n, one in enumerate(asked(100))]
    parts = [answers(questions, [RIGHT, WRONG] * 50, f"m{n}") for n in range(6)]
    (doubt,) = doubts(*evaluated(questions, parts), about(questions))
    assert "m0 (cot, 50.0%), m1 (cot, 50.0%), m2 (cot, 50.0%), m3 (cot, 50.0%) and 2 more" in doubt["text"]


def test_a_category_under_two_names_stands_there_once():
    """`chain of 6` and `steps 6` are the same questions; `steps 7` has two kinds of them."""
    kinds = [("chain of 6", 6)] * 5 + [("chain of 7", 7)] * 4 + [("sum", 7)] * 3
    questions = [replace(q, category=kind, meta={"steps": n}) for q, (kind, n) in zip(asked(12), kinds)]
    parts = [answers(questions, [WRONG] * 12, style="direct"), answers(questions, [RIGHT] * 5 + [WRONG] * 7)]
    found, compared = evaluated(questions, parts)
    rows = [row[1] for row in by_category(found, list(filter(is_gap, compared))).rows]
    assert rows == ["all", "chain of 6", "chain of 7", "sum", "steps 7"]


def test_what_chooses_nothing_is_not_scored():
    (question,) = asked(1)
    response = Response(id="q-0/0", question_id="q-0", sample=0, text="so", finish_reason=FinishReason.STOP)
    right, undecided = (
        [Tried(question, ((response, Verdict(id="q-0/0", question_id="q-0", outcome=o)),))] for o in (RIGHT, UNDECIDED)
    )
    by = (By.ANY, By.LOGP, By.REWARD)
    assert [row["accuracy"] for row in curve(right, by, 1, {})] == [1.0, None, None]
    assert [row["accuracy"] for row in curve(undecided, by, 1, {"q-0/0": 1.0})] == [None] * 3
    assert [row["accuracy"] for row in curve(right, by, 1, {"q-0/0": 0.5})] == [1.0, None, 1.0]


def test_a_response_without_a_score_is_chosen_last():
    """Two responses, the right one without a log-probability: it was taken for the most probable of all."""
    (question,) = asked(1)
    responses = [
        Response(id=f"q-0/{n}", question_id="q-0", sample=n, text="so", finish_reason=FinishReason.STOP, logp=logp)
        for n, logp in enumerate((None, -3.0))
    ]
    judged = [Verdict(id=r.id, question_id="q-0", outcome=o) for r, o in zip(responses, (RIGHT, WRONG))]
    rows = curve([Tried(question, tuple(zip(responses, judged)))], (By.LOGP,), 2, {})
    assert rows[-1]["accuracy"] == 0.0


def test_a_mean_is_known_of_answers_that_were_given():
    questions = asked(1)
    assert not mean("m", lambda _: 1.0).scored(answers(questions, [None]).answered.values())
    assert mean("m", lambda _: 1.0).scored(answers(questions, [WRONG]).answered.values())
