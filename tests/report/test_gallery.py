"""Which pairs the report shows first."""

from collections import Counter

import pytest

from mixpo.files import RunFiles
from mixpo.questions.scenes.scene import Grid, Thing
from mixpo.records import Origin, PreferencePair, Question
from mixpo.report.gallery import best_first, gallery, sample


def pair(question: str, chosen: str = "a", rejected: str = "b", origin: Origin = Origin.CORRECTNESS, number: int = 1):
    return PreferencePair(
        id=f"{question}/0>{number}", question_id=question, prompt="", chosen=chosen, rejected=rejected, origin=origin
    )


def test_sample_takes_every_question_at_most_once_and_all_equally_often():
    """5 of 20 questions with 3 pairs each: over 2,000 seeds each is drawn 500 times, give or take 4 sigma = 77."""
    pairs = [pair(f"q-{question}", number=number) for question in range(20) for number in range(3)]
    drawn = Counter()
    for seed in range(2000):
        kept = [p.question_id for p in sample(pairs, 5, seed)[Origin.CORRECTNESS]]
        assert len(set(kept)) == 5
        drawn.update(kept)
    assert all(abs(drawn[f"q-{question}"] - 500) < 80 for question in range(20))


def test_sample_of_none():
    assert sample([pair("q-0")], 0, 0) == {Origin.CORRECTNESS: []}


GOOD = pair("good", "First, 2 + 2.\nThat is 4.\nAnswer: 4", "First, 2 + 2.\nThat is 5.\nAnswer: 5")


@pytest.mark.parametrize(
    "worse",
    [
        pair("a-long", "First, 2 + 2.\nThat is 4.\n" + 90 * "So it is. " + "4", "First, 2 + 2.\nThat is 5.\nAnswer: 5"),
        pair("a-unlike", "First, 2 + 2.\nThat is 4.\nAnswer: 4", "We begin with 2.\nThen 5.\nIt is: 5"),
        pair("a-bare", "4", "5"),
        pair("a-loop", "First, 2 + 2.\nThat is 4.\nAnswer: 4", "First, 2 + 2.\nThat is" + 9 * " that is"),
    ],
    ids=lambda worse: worse.id,
)
def test_short_pairs_that_begin_alike_and_go_in_steps_come_first(worse):
    assert [one.id for one in best_first([worse, GOOD], {})] == [GOOD.id, worse.id]


def test_kinds_of_questions_take_turns():
    pairs = [pair(f"{kind}-{number}") for kind in "ab" for number in range(3)]
    questions = {one.question_id: Question(id=one.question_id, text="?", category=one.question_id[0]) for one in pairs}
    assert [one.question_id[0] for one in best_first(pairs, questions)] == [*"ababab"]


def test_where_the_truth_is_known_true_chains_and_one_wrong_step_come_first():
    things = (Thing(0, 0, "red", "star"), Thing(1, 1, "red", "star"), Thing(2, 2, "blue", "star"))
    task = {"family": "sum", "terms": [["red", "star"]], "signs": [1], "side": "", "anchor": ""}
    meta = {"scene": Grid(things).state(), "task": task}
    true = "a1 red star: red stars 1\nb2 red star: red stars 2\nred stars 2"
    lucky = "a1 red star: red stars 1\nb2 red star: red stars 3\nred stars 2"
    one_wrong = "a1 red star: red stars 1\nb2 red star: red stars 2\nred stars 3"
    three_wrong = "a1 red star: red stars 2\nb2 red star: red stars 3\nred stars 3"
    pairs = [pair("a", lucky, one_wrong), pair("b", true, three_wrong), pair("c", true, one_wrong)]
    questions = {one.question_id: Question(id=one.question_id, text="?", meta=meta) for one in pairs}
    assert [one.question_id for one in best_first(pairs, questions)] == ["c", "b", "a"]


def test_continuations_that_are_sentences_come_before_babble():
    kept = "A red ball lies on a table.\n"
    written = {"babble": "\\boxed 0 blorp Final", "sentence": "A blue dog sleeps on the ball"}
    pairs = [
        pair(name, f"{kept}The table is blue. A dog sleeps on the floor.", kept + text, Origin.DROPOUT_NTP)
        for name, text in written.items()
    ]
    assert [one.question_id for one in best_first(pairs, {})] == ["sentence", "babble"]


def test_the_first_are_chosen_and_the_others_drawn_and_no_pair_stands_twice(tmp_path):
    files = RunFiles(tmp_path)
    many = [pair(f"q-{number}", number=number) for number in range(40)]
    twice = [pair("good", "a b", "a c", Origin.FORMAT)]
    files.pairs("pair").append([*many, GOOD, *twice, pair("one", "x y.\nz", "x y.\nw", Origin.FORMAT)])
    shown = gallery(files, ["pair"], [], 10, 0)
    assert [one.pair.id for one in shown][:2] == [GOOD.id, "one/0>1"]
    assert len({one.pair.question_id for one in shown[:6]}) == 6
    assert len({one.pair.id for one in shown}) == len(shown) == 10
    others = {tuple(one.pair.id for one in gallery(files, ["pair"], [], 10, seed))[6:] for seed in range(3)}
    assert len(others) == 3
    assert gallery(files, ["pair"], [], 0, 0) == []


def test_columns_of_a_users_own_that_are_called_as_a_scenes_are_no_scene():
    question = Question(id="good", text="?", meta={"scene": "kitchen", "task": "count"})
    assert best_first([GOOD], {"good": question}) == [GOOD]
