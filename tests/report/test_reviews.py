import sqlite3

import pytest

from mixpo.errors import UserError
from mixpo.report.reviews import Preference, ReviewItem, Reviews, Side, first_is_left, reviewer_name

ITEMS = [
    ReviewItem(id=f"c/{n}", contest="c", question_id=f"q{n}", prompt="?", first="one", second="two", preferred="first")
    for n in range(40)
]


@pytest.fixture
def reviews(tmp_path):
    found = Reviews(tmp_path / "reviews.sqlite")
    found.add(ITEMS)
    return found


def test_what_was_said_left_or_right_is_kept_as_first_or_second(reviews):
    for item in ITEMS:
        answer = reviews.save(item, "ann", Side.LEFT)
        assert answer.choice is (Preference.FIRST if first_is_left(item.id, "ann") else Preference.SECOND)
    assert {answer.choice for answer in reviews.answers()} == {Preference.FIRST, Preference.SECOND}


def test_sides_differ_between_items_and_reviewers():
    ann = [first_is_left(item.id, "ann") for item in ITEMS]
    assert 10 < sum(ann) < 30
    assert ann != [first_is_left(item.id, "bob") for item in ITEMS]
    assert ann == [first_is_left(item.id, "ann") for item in ITEMS]


def test_every_reviewer_gets_the_same_items_in_the_same_order(reviews):
    seen = {}
    for reviewer in ("ann", "bob"):
        seen[reviewer] = []
        for _ in range(5):
            item = reviews.next(reviewer, "c")
            seen[reviewer].append(item.id)
            reviews.save(item, reviewer, Side.TIE)
    assert seen["ann"] == seen["bob"] == [item.id for item in ITEMS[:5]]
    assert reviews.counts("ann", "c") == (5, 40)


def test_an_answer_is_on_the_disk_when_save_returns(reviews):
    reviews.save(ITEMS[0], "ann", Side.BOTH_BAD, {"grounded": Side.LEFT})
    with sqlite3.connect(reviews.path) as other:
        row = other.execute("SELECT choice, steps, grounded FROM answers").fetchone()
    assert row == ("both bad", "tie", "first" if first_is_left("c/0", "ann") else "second")


def test_taking_back_and_saying_again(reviews):
    assert not reviews.undo("ann", "c")
    reviews.save(ITEMS[0], "ann", Side.TIE)
    reviews.save(ITEMS[1], "ann", Side.TIE)
    reviews.save(ITEMS[1], "bob", Side.TIE)
    assert reviews.undo("ann", "c")
    assert reviews.next("ann", "c").id == "c/1"
    assert reviews.counts("bob", "c") == (1, 40)
    reviews.save(ITEMS[0], "ann", Side.BOTH_BAD)
    assert [answer.choice for answer in reviews.answers() if answer.reviewer == "ann"] == [Preference.BOTH_BAD]


def test_adding_the_same_items_again_changes_nothing(reviews):
    reviews.save(ITEMS[0], "ann", Side.TIE)
    reviews.add(ITEMS)
    assert reviews.counts("ann", "c") == (1, 40)


def test_a_file_that_is_none_and_a_link_are_refused(tmp_path):
    (tmp_path / "bad").write_text("not a database at all, but long enough to be told from one" * 20)
    with pytest.raises(UserError, match="cannot be used for reviews"):
        Reviews(tmp_path / "bad").answers()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link"):
        Reviews(tmp_path / "link").add(ITEMS)
    assert not (tmp_path / "elsewhere").exists()
    assert Reviews(tmp_path / "none").answers() == []


def test_names():
    assert reviewer_name("  Ann \n B. ") == "Ann B."
    with pytest.raises(UserError, match="write your name"):
        reviewer_name(" ")
