"""Rows that are easily misread: each is read as its author meant, or left out with the reason."""

import base64
import json

import pytest

from mixpo.config import build
from mixpo.errors import BadRow, DataError
from mixpo.pictures import Place, images_of
from mixpo.questions import file
from mixpo.questions.rows import ReadOptions, item
from mixpo.records import Dropped
from mixpo.values import parsed


def read(tmp_path, **row):
    return item(row, 0, "mine:1", ReadOptions(source="mine", root=tmp_path))


def load(path):
    return list(file.load(build(file.Config, {"path": str(path)}, ""), "mine", 0))


def reasons(path) -> list[str]:
    return [entry.detail if isinstance(entry, Dropped) else str(entry.question.answer) for entry in load(path)]


def test_large_whole_numbers_keep_their_digits(tmp_path):
    question = read(tmp_path, id=1234567.0, text="How many?", answer=20000001.0).question
    assert (question.id, question.answer) == ("mine-1234567", "20000001")


HUGE = 10**3_500
"""JSON has it as digits; Python can neither make a float of it nor write it."""


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"id": HUGE}, "id must be text or a number, not 1000000"),
        ({"category": HUGE}, "category must be text or a number"),
        ({"answer": [HUGE]}, "answer must be text or a number"),
        ({"choices": [HUGE, 1], "answer": "A"}, "choices must be text or a number"),
        ({"videos": [{"video": ["a.png", "a.png"], "fps": 10**400}]}, "fps of a video must be a number"),
        ({"precision": 10**30}, "precision must be a whole number"),
        ({"images": 5}, "an image must be a path or bytes, not 5"),
        ({"images": {}}, "an image must be a path or bytes, not None"),
        ({"images": [["a.png"]]}, "an image must be a path or bytes"),
        ({"images": "x" * 300}, "cannot be read"),
        ({"images": "x/" * 5_000}, "cannot be read"),
        ({"images": "a" * 3 + base64.b64encode(b"z" * 900).decode()}, "cannot be read"),
        ({"images": "a\0.png"}, "only relative paths"),
        ({"videos": "x" * 300 + ".mp4"}, "cannot be read"),
        ({"text": f"<|image_{'9' * 5_000}|> what?"}, None),
        ({"text": "<video> what?"}, None),
        ({"id": 10**400, "answer": 10**400}, None),
    ],
)
def test_extreme_values_are_a_reason_or_a_question(tmp_path, row, why):
    found = read(tmp_path, **{"text": "What?", "answer": "4"} | row)
    assert (found.detail if isinstance(found, Dropped) else "") == "" if why is None else why in found.detail
    assert len(getattr(found, "detail", "")) < 600


@pytest.mark.parametrize("content", [5, [300], {"a": 1}, 1.5, True, 10**12])
def test_bytes_that_are_none(tmp_path, content):
    with pytest.raises(BadRow, match="bytes of an image"):
        images_of({"bytes": content}, Place(source="mine", root=tmp_path))


@pytest.mark.parametrize(("columns", "missing"), [({"B": "red", "C": "blue"}, "A"), ({"A": "red", "C": "blue"}, "B")])
def test_a_missing_first_option_is_a_gap(tmp_path, columns, missing):
    found = read(tmp_path, text="Which?", answer="C", **columns)
    assert isinstance(found, Dropped)
    assert found.detail == f"option {missing} is missing"


def test_options_go_on_behind_h(tmp_path):
    columns = {name: name.lower() * 3 for name in "ABCDEFGHIJ"}
    assert read(tmp_path, text="Which?", answer="J", **columns).question.choices == tuple(columns.values())
    assert not read(tmp_path, text="How many?", answer="3", N="7", I="x").question.choices


@pytest.mark.parametrize("empty", [[], "[]", {}])
def test_an_empty_list_of_options_beside_columns_of_them(tmp_path, empty):
    question = read(tmp_path, text="Which?", options=empty, A="red", B="blue", answer="B").question
    assert question.choices == ("red", "blue")


def test_a_list_of_answers_written_as_text(tmp_path):
    question = read(tmp_path, text="What sport?", answer="['ski', 'skis']").question
    assert (question.answer, question.accepted) == ("ski", ("skis",))
    assert read(tmp_path, text="Which?", answer="['a', 'b']", kind="list").question.answer == "['a', 'b']"
    assert read(tmp_path, text="Where?", answer="[1, 2]").question.answer == "[1, 2]"


def test_options_that_call_themselves_otherwise(tmp_path):
    options = ["B. red", "A. blue"]
    found = read(tmp_path, text="Which?", options=options, answer="A")
    assert isinstance(found, Dropped)
    assert "call themselves otherwise" in found.detail
    assert read(tmp_path, text="Which?", options=options, answer="A. blue").question.answer == "A. blue"
    assert read(tmp_path, text="Which?", options=["A. red", "B. blue"], answer="A").question.answer == "A"


def test_a_picture_without_an_index_is_no_other_row_s(tmp_path, png):
    encoded = base64.b64encode(png()).decode()
    (tmp_path / "q.tsv").write_text(f"question\timage\nWhat?\t{encoded}\nWhat?\tNone\n")
    found = load(tmp_path / "q.tsv")
    assert len(found[0].question.images) == 1
    assert isinstance(found[1], Dropped)


def test_two_columns_of_one_name(tmp_path):
    (tmp_path / "q.csv").write_text("question,answer,answer\nHow many?,3,4\nHow many?,3,3\nHow many?,,5\n")
    assert reasons(tmp_path / "q.csv") == ["two columns are called 'answer', and differ; rename one", "3", "5"]


def test_formulas_without_values(tmp_path):
    """As openpyxl and pandas write them: the value is computed when a spreadsheet program saves the file."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["question", "answer"], ["How many?", 3], ["How many?", "=1+2"], ["How many?", "#N/A"]):
        book.active.append(row)
    book.save(tmp_path / "q.xlsx")
    bad = "'answer' holds a formula without a value; save the file in a spreadsheet program"
    assert reasons(tmp_path / "q.xlsx") == ["3", bad, bad]


def test_a_saved_data_set_names_files_of_its_own_folder(tmp_path):
    datasets = pytest.importorskip("datasets")
    for name in ("mine", "other"):
        datasets.Dataset.from_list([{"question": "Whose?", "answer": name}]).save_to_disk(str(tmp_path / name))
    state = tmp_path / "mine" / "state.json"
    saved = json.loads(state.read_text())
    file_name = saved["_data_files"][0]["filename"]
    saved["_data_files"] = [{"filename": f"../other/{file_name}"}]
    state.write_text(json.dumps(saved))
    assert reasons(tmp_path / "mine") == ["mine"]
    saved["_data_files"] = [{"filename": "../other/gone.arrow"}]
    state.write_text(json.dumps(saved))
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "mine")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("['red' 'blue'\n 'green']", ["red", "blue", "green"]),
        ("[{'role': 'user', 'content': 'a b'}\n {'role': 'assistant', 'content': 'c'}]",
         [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]),
        ("[1 2]", [1, 2]),
        ("['it' \"isn't\"]", ["it", "isn't"]),
        ("['a' ... 'b']", "['a' ... 'b']"),
        ("[1, 2 is it 'a' 'b'", "[1, 2 is it 'a' 'b'"),
    ],
)  # fmt: skip
def test_lists_as_numpy_prints_them(text, meant):
    assert parsed(text) == meant


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "Is <|image_2|> like <|image_1|>?", "images": ["a.png", "b.png"]}, "numbers its pictures 2, 1;"),
        ({"text": "And now?", "history": [["Show it.", "<image>"]], "image": "a.png"}, "not the user's"),
        ({"text": "What?", "system": "<image>", "image": "a.png"}, "not the user's"),
        ({"messages": "[{'role': 'user', 'content': nan}]"}, "a conversation is a list of turns"),
        ({"messages": [{"role": "system", "content": "A"}, {"role": "user", "content": "What?"}], "system": "B"},
         "two system prompts"),
        ({"text": "What?", "answer": [float("nan")]}, "answer must be"),
        ({"text": "What?", "more": json.loads("[" * 900 + "]" * 900)}, "nested too deeply"),
        ({"text": "What?", "more": json.loads('[{"a": ' * 60 + "1" + "}]" * 60)}, "nested too deeply"),
    ],
)  # fmt: skip
def test_what_could_be_misread_is_left_out(tmp_path, png, row, reason):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png())
    assert reason in read(tmp_path, **row).detail


def test_an_empty_column_does_not_hide_a_picture(tmp_path, png):
    (tmp_path / "a.png").write_bytes(png())
    for empty in ([], ""):
        assert len(read(tmp_path, text="What?", images=empty, image="a.png").question.images) == 1


def test_turns_that_a_table_fills_up(tmp_path):
    turn = {"from": None, "value": None, "role": "user", "content": "What?"}
    assert read(tmp_path, messages=[turn]).question.text == "What?"


def test_a_question_may_begin_with_json(tmp_path):
    text = '[{"value": 1}, {"value": 2}]: what is the sum?'
    assert read(tmp_path, text=text).question.text == text


def test_an_empty_cell_is_nothing(tmp_path):
    row = {"text": "", "query": "How many?", "image": "", "history": "", "system": "", "answer": "3"}
    question = read(tmp_path, **row).question
    assert (question.text, question.images, question.turns, question.system) == ("How many?", (), (), "")


def test_two_pictures_for_one_place(tmp_path):
    part = {"type": "image", "image": "a.png"}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}]
    found = read(tmp_path, messages=messages, images=["c.png"])
    assert isinstance(found, Dropped)
    assert found.detail == "a part's picture is 'a.png', and the row's beside it 'c.png'"
