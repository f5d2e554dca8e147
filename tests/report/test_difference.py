"""Marking what differs between two completions."""

import time

from hypothesis import given
from hypothesis import strategies as st

from mixpo.report.difference import Piece, cut, marked

TEXT = st.text(alphabet="ab 1\n.<é红", max_size=40)


def test_marks_the_words_that_differ():
    chosen, rejected = marked("3 red stars. Final answer: 3", "3 red circles here. Final answer: 4")
    assert chosen == [Piece("3 red ", False), Piece("stars", True), Piece(". Final answer: ", False), Piece("3", True)]
    assert rejected == [
        Piece("3 red ", False),
        Piece("circles here", True),
        Piece(". Final answer: ", False),
        Piece("4", True),
    ]


def test_chinese_is_compared_character_by_character():
    assert marked("答案是三", "答案是四") == (
        [Piece("答案是", False), Piece("三", True)],
        [Piece("答案是", False), Piece("四", True)],
    )


def test_space_alone_makes_no_difference():
    assert [piece.differs for piece in marked("a b", "a\n b")[0]] == [False]


@given(TEXT, TEXT)
def test_pieces_are_the_whole_text_and_what_is_not_marked_is_the_same(first, second):
    pieces, others = marked(first, second)
    assert "".join(piece.text for piece in pieces) == first
    assert "".join(piece.text for piece in others) == second
    same = ["".join(piece.text for piece in side if not piece.differs).split() for side in (pieces, others)]
    assert "".join(same[0]) == "".join(same[1])


@given(TEXT)
def test_a_text_does_not_differ_from_itself(text):
    assert not any(piece.differs for piece in marked(text, text)[0])


def test_long_texts_are_marked_in_time():
    """10,000 words that all differ in the middle: the middle is marked whole (seconds of CPU time)."""
    start = time.thread_time()
    pieces, _ = marked("same " + "a b " * 5000 + "end", "same " + "c d " * 5000 + "end")
    assert [piece.differs for piece in pieces] == [False, True, False]
    assert time.thread_time() - start < 2


def test_cut_says_how_much_is_missing():
    assert cut("x" * 1_000_000, 10) == ("x" * 10, 999_990)
    assert cut("short", 10) == ("short", 0)
