from collections import Counter

import pytest

from mixpo.prompts import Style
from mixpo.questions import nlvr
from mixpo.questions.nlvr_chains import demonstrate
from mixpo.records import AnswerKind, Question


def thing(colour, shape="square", x=40, y=80, size=20):
    return {"x_loc": x, "y_loc": y, "type": shape, "color": colour, "size": size}


TOWERS = [[thing("Yellow", y=59), thing("Black", y=80), thing("#0099ff", y=38)], [], [thing("#0099ff")]]
SCATTERED = [
    [thing("Black", x=50, y=50, size=10), thing("Black", x=10, y=10), thing("Yellow", "circle", x=90, y=5, size=10)],
    [thing("#0099ff", "triangle", x=70, y=0, size=30)],
    [thing("Black", "circle", x=1, y=79, size=20)],
]


def question(boxes, permutation, answer="false"):
    return Question(
        id="q",
        text="?",
        answer=answer,
        kind=AnswerKind.YES_NO,
        meta={"structured_rep": boxes, "permutation": permutation},
    )


def test_towers_are_read_from_the_bottom_up():
    (style, chain), direct = demonstrate(question(TOWERS, 0))
    assert style == Style.COT
    assert chain == (
        "Let me look closely.\n"
        "box 1: black yellow blue\nbox 2: nothing\nbox 3: blue\n"
        "So it is false.\nFinal answer: false"
    )
    assert direct == (Style.DIRECT, "false")


@pytest.mark.parametrize(("permutation", "lines"), [(1, [0, 2, 1]), (3, [1, 2, 0]), (4, [2, 0, 1])])
def test_boxes_are_named_in_the_order_shown(permutation, lines):
    contents = ["black yellow blue", "nothing", "blue"]
    chain = demonstrate(question(TOWERS, permutation))[0][1].split("\n")
    assert chain[1:4] == [f"box {place}: {contents[number]}" for place, number in enumerate(lines, 1)]


def test_scattered_objects_are_counted():
    """The yellow circle ends at 90 + 10 = 100; the triangle at 0 and at 70 + 30: two sides; 1 and 99 are gaps."""
    assert demonstrate(question(SCATTERED, 0))[0][1].split("\n")[1:4] == [
        "box 1: 2 black square, 1 yellow circle edge",
        "box 2: 1 blue triangle corner",
        "box 3: 1 black circle",
    ]


def test_a_description_is_the_boxes_alone():
    described = Question(id="q", text="?", kind=AnswerKind.FREE_FORM, meta={"structured_rep": TOWERS, "permutation": 0})
    assert demonstrate(described) == [(Style.PLAIN, "box 1: black yellow blue\nbox 2: nothing\nbox 3: blue")]


def test_other_data_sets_give_none():
    assert demonstrate(Question(id="q", text="?", answer="1")) == []


def test_real_chains_are_short_and_count_every_object(nlvr_folder):
    words = Counter()
    for entry in nlvr.load(nlvr.Config(path=str(nlvr_folder), split="test", limit=1200), "nlvr", 0):
        record = entry.question
        chain = demonstrate(record)[0][1]
        lines = [line.split(": ")[1].split() for line in chain.split("\n")[1:4]]
        shown = [len(record.meta["structured_rep"][number]) for number in nlvr.PERMUTATIONS[record.meta["permutation"]]]
        if record.category == "tower":
            assert [len(line) for line in lines] == shown
        else:
            assert [sum(int(word) for word in line if word.isdigit()) for line in lines] == shown
        assert chain.endswith(f"Final answer: {record.answer}")
        words.update(word.strip(",") for line in lines for word in line)
    assert set(words) <= {"black", "blue", "yellow", "square", "circle", "triangle", "edge", "corner", *"1234567"}
