"""One file in two parts, answers that stand within more text, and tables between semicolons."""

import pytest

from mixpo.config import build
from mixpo.errors import DataError, RecipeError
from mixpo.questions import file
from mixpo.questions.source import Item


def load(path, name="mine", **fields):
    return list(file.load(build(file.Config, {"path": str(path), **fields}, ""), name, 0))


def ids(path, name="mine", **fields):
    return [entry.question.id.removeprefix(f"{name}-") for entry in load(path, name, **fields)]


@pytest.fixture
def shared(tmp_path, png, write_lines):
    """20 questions; 0 to 3 are chained by pictures that they share, all others have one of their own."""
    for number in range(24):
        (tmp_path / f"{number}.png").write_bytes(png())
    rows = [{"text": f"Q{n}?", "answer": str(n), "images": [f"{n}.png", f"{n + 1}.png"]} for n in range(4)]
    rows += [{"text": f"Q{n}?", "answer": str(n), "images": [f"{n + 1}.png"]} for n in range(4, 20)]
    return write_lines(tmp_path / "q.jsonl", rows)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_no_picture_is_in_both_parts(shared, share):
    part = {name: load(shared, name, held_out=share, part=name) for name in ("train", "held_out")}
    asked = {name: {entry.question.text for entry in found} for name, found in part.items()}
    assert asked["train"] | asked["held_out"] == {f"Q{n}?" for n in range(20)}
    assert not asked["train"] & asked["held_out"]
    assert len(asked["held_out"]) == round(share * 20)
    seen = {n: {image.partition("/")[2] for entry in found for image in entry.question.images}
            for n, found in part.items()}  # fmt: skip
    assert not seen["train"] & seen["held_out"]


def test_the_order_of_the_rows_decides_nothing(shared):
    before = {entry.question.text for entry in load(shared, held_out=0.3, part="held_out")}
    shared.write_text("\n".join(reversed(shared.read_text().splitlines())) + "\n")
    assert {entry.question.text for entry in load(shared, held_out=0.3, part="held_out")} == before


def test_questions_about_one_picture_cannot_be_parted(tmp_path, png, write_lines):
    (tmp_path / "a.png").write_bytes(png())
    path = write_lines(tmp_path / "q.jsonl", [{"text": f"{n}?", "answer": "1", "image": "a.png"} for n in range(5)])
    assert len(load(path)) == 5
    with pytest.raises(DataError, match="all about one picture"):
        load(path, held_out=0.2, part="train")


@pytest.mark.parametrize("fields", [{"held_out": 0.2}, {"part": "train"}, {"part": "train", "held_out": 1.0}])
def test_a_part_needs_its_share(shared, fields):
    with pytest.raises(RecipeError, match="held_out: must be a share"):
        load(shared, **fields)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<answer> B </answer>", "B"),
        ("<think>A or <answer>A</answer>?</think><answer>\\boxed{B}</answer>", "B"),
        ("So it is $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("6 * 7 = 42\n#### 42", "42"),
        ("B", "B"),
        ("a { b \\boxed{never closed", "a { b \\boxed{never closed"),
        (["<answer>ski</answer>", "skis"], "ski"),
        (3, "3"),
    ],
)
def test_a_marked_answer_is_read(tmp_path, write_lines, written, read):
    path = write_lines(tmp_path / "q.jsonl", [{"text": "Which?", "answer": written}])
    (entry,) = load(path, answer_in="marked")
    assert entry.question.answer == read


def test_a_marked_number_counts_options_as_any_other(tmp_path, write_lines):
    rows = [{"text": "?", "options": ["red", "blue"], "answer": f"<answer>{n}</answer>"} for n in (0, 1)]
    found = load(write_lines(tmp_path / "q.jsonl", rows), answer_in="marked")
    assert [entry.question.answer for entry in found] == ["A", "B"]


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_csv_of_any_country_is_read(tmp_path, between):
    head, cells = ["text", "answer"], ['"1, 2; or 3?"', "3"]
    (tmp_path / "q.csv").write_text(f"{between.join(head)}\n{between.join(cells)}\n")
    (entry,) = load(tmp_path / "q.csv")
    assert isinstance(entry, Item)
    assert (entry.question.text, entry.question.answer) == ("1, 2; or 3?", "3")
