"""Metrics in sums, the bootstrap, how responses are written, and the steps of chains about scenes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.evaluation.benchmarks.checked_steps import METRICS as PROCESS
from mixpo.evaluation.benchmarks.scene_objects import METRICS as DESCRIPTIONS
from mixpo.evaluation.benchmarks.scene_objects import objects
from mixpo.evaluation.metrics import Answered, change, estimate, mean
from mixpo.evaluation.statistics import wilson
from mixpo.evaluation.writing import loops, repetition
from mixpo.questions.scenes.ask import Task, Term, make_task
from mixpo.questions.scenes.chains import careful
from mixpo.questions.scenes.scene import Chart, Grid, Thing, make_scene
from mixpo.questions.scenes.source import MIXTURE, ask
from mixpo.questions.scenes.steps import read
from mixpo.records import FinishReason, Outcome, Response, Verdict

RIGHT = mean("right", lambda item: float(item.right))
SCENE = Grid((Thing(0, 0, "red", "star"), Thing(1, 2, "blue", "circle"), Thing(2, 0, "red", "circle")))
TASK = Task("sum", (Term("red", None), Term(None, "circle")), (1, -1))


def answered(text: str, right: bool, scene=SCENE, task: Task = TASK, number: int = 0) -> Answered:
    question = ask(f"q{number}", "p.png", scene, task)
    response = Response(
        id=f"q{number}/0", question_id=question.id, sample=0, text=text, finish_reason=FinishReason.STOP
    )
    outcome = Outcome.CORRECT if right else Outcome.INCORRECT
    return Answered(question, response, Verdict(id=response.id, question_id=question.id, outcome=outcome))


def many(pattern: list[bool]) -> list[Answered]:
    return [answered("4", right, number=number) for number, right in enumerate(pattern)]


def test_the_bootstrap_of_a_share_agrees_with_wilson():
    found = estimate(RIGHT, many([True] * 60 + [False] * 40), {})
    assert found.value == 0.6
    assert (found.low, found.high) == pytest.approx(wilson(0.6, 100), abs=0.015)


def test_questions_of_a_group_are_resampled_together():
    """Ten groups of ten, each all right or all wrong, tell as little as ten questions."""
    items = many([number // 10 % 2 == 0 for number in range(100)])
    single, grouped = estimate(RIGHT, items, {}), estimate(RIGHT, items, {f"q{n}": f"g{n // 10}" for n in range(100)})
    assert grouped.high - grouped.low > 2.5 * (single.high - single.low)


def test_a_paired_change():
    """Ten of 100 fixed, none broken: standard error of the mean of changes sqrt(0.1 * 0.9 / 100) = 0.03."""
    before, after = [False] * 100, [True] * 10 + [False] * 90
    found = change(RIGHT, many(before), many(after), {})
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.1 - 0.059, 0.1 + 0.059), abs=0.015)
    assert found.p < 0.01
    same = change(RIGHT, many(before), many(before), {})
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    back = change(RIGHT, many(after), many(before), {})
    assert (back.value, back.low) == (-found.value, pytest.approx(-found.high))


def test_seq_rep_4_by_hand():
    """ "a b c d a b c d": the 4-grams abcd bcda cdab dabc abcd, one of five stood before."""
    assert repetition("a b c d a b c d") == pytest.approx(1 / 5)
    assert repetition("a b c") == repetition("") == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 4. " * 6, True),
        ("I look. " + "It is red and it is blue, " * 5 + "It is", True),  # the last copy is cut
        ("no, " * 20, True),
        ("very very very very good", False),
        ("a1 red star\nb2 red star\nc3 red star\nd4 red star\nFinal answer: 4", False),
        ("图中有一个红色的圆形。" * 4, True),
        ("The answer is 4. " * 6 + "Final answer: 4", False),  # it stopped by itself
        ("", False),
    ],
)
def test_loops(text, expected):
    assert loops(text) is expected


@given(st.text(alphabet="ab c.", max_size=60), st.integers(6, 9))
@settings(max_examples=60)
def test_what_is_written_over_and_over_loops(unit, copies):
    if len(unit.split()) >= 3:
        assert loops((unit + " ") * copies)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a1 red star: red shapes 1", [True, True]),
        ("a1 red circle: red shapes 1", [False, True]),
        ("c1 red circle: red shapes 2, circles 2", [True, True, True]),
        ("c1 red circle: circles 1", [True, False]),
        ("d4 nothing", [True]),
        ("a1 nothing", [False]),
        ("red shapes 2, circles 2", [True, True]),
        ("At a glance: red shapes 3, circles 2", [False, True]),
        ("2 - 2 = 0", [True]),
        ("2 - 2 = 1", [False]),
        ("left of b2 is b1", [True]),
        ("left of b2 is b3", [False]),
        ("Let me look closely.", []),
        ("It is a nice picture with 3 things.", []),
        # Other ways to write, things that no scene has, and one word that is none.
        ("**A1** Red Star: red shapes 1", [True, True]),
        ("a1 purple star: purple stars 9", [False, False]),
        ("b2 red hexagon", [False]),
        ("red shapes 2, hexagons 1", [True, False]),
        ("red shapes: 3 and circle: 2", [False, True]),
        ("red things 2", [True]),
        ("red ones 2, prizes 7", []),
        ("left of a1 is a0", [False]),
        ("right of a4 is a1", [False]),
        ("2+1+1=5", [False]),
        ("2 − 1 = 1", [True]),
        ("a1 red star. c1 red circle.", [True, True]),
        ("Wait, a1 nothing", []),
    ],
)
def test_each_step_is_checked_against_the_scene(line, expected):
    assert read(line, SCENE, TASK).steps == expected


def test_a_side_of_a_thing_that_is_not_there():
    """In a user's own or damaged columns."""
    with pytest.raises(LookupError):
        read("red stars 2", SCENE, Task("beside", (Term("red", "star"),), (), "left of", "green star"))


def test_steps_about_charts():
    chart = Chart((("red", 3), ("blue", 5), ("green", 1), ("yellow", 2)))
    task = Task("compare", (Term("red", None), Term("blue", None)))
    assert read("red bar 3\nblue bar 4\nred bar 3, blue bar 5\n3 < 5\nmost is 5", chart, task).steps == [
        True, False, True, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("family", sorted({family for family, *_ in MIXTURE}))
def test_careful_chains_hold_only_true_steps(family):
    """The chains that the base model is shown are written from the truth; the checker is a reading of its own."""
    rng = random.Random(family)
    checked = 0
    for _ in range(60):
        chart = rng.random() < 0.3 and family in ("sum", "compare", "most")
        scene = make_scene(rng, "train", chart=chart, things=(3, 8))
        task = make_task(rng, scene, family, rng.randint(1, 4))
        if task is not None:
            found = read(careful(task, scene)[0], scene, task).steps
            assert all(found), careful(task, scene)
            checked += len(found)
    assert checked > 100


def test_right_answers_reached_by_wrong_steps():
    items = [
        answered("red shapes 2, circles 2\n2 - 2 = 0", True),
        answered("red shapes 3, circles 3\n3 - 3 = 0", True),  # right, by two wrong steps of three
        answered("0", True),  # no steps
        answered("red shapes 2, circles 1\n2 - 1 = 1", False),
    ]
    right, wrong_way = (estimate(metric, items, {}) for metric in PROCESS)
    assert right.value == pytest.approx((3 + 1 + 2) / 9)
    assert wrong_way.value == 1 / 2


def test_objects_that_are_not_there():
    """In its cell, or, where no cell is named, anywhere."""
    assert objects("a1 red star\nb3 blue circle\nc1 red circle", SCENE) == (3, 0, 3)
    assert objects("a1 red star\nb3 blue star\nc2 red circle", SCENE) == (3, 2, 1)
    assert objects("A red star, two blue circles and a green star.", SCENE) == (3, 1, 2)
    assert objects("Nothing.", SCENE) == (0, 0, 0)


def test_hallucination_scores():
    items = [answered("a1 red star\nb3 blue star", False), answered("a1 red star", False)]
    values = {metric.name: estimate(metric, items, {}).value for metric in DESCRIPTIONS}
    assert values == {"hallucinated": 1 / 3, "hallucinating": 1 / 2, "named": 2 / 6}
