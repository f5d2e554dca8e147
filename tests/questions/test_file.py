"""Questions as other projects and people write them: every kind of file, options, answers, pictures, conversations."""

import base64
import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixpo.config import build
from mixpo.errors import DataError, RecipeError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.questions import collect, file, jsonl, parquet
from mixpo.records import Dropped, DropReason, Question

ROWS = [
    {"id": "1", "question": "Which?", "image": "a.png", "options": '["red", "blue"]', "answer": "B"},
    {"id": "2", "question": "How many?", "image": "a.png", "answer": "3"},
]
READ = [
    Question(id="mine-1", text="Which?", images=("mine/a.png",), choices=("red", "blue"), answer="B"),
    Question(id="mine-2", text="How many?", images=("mine/a.png",), answer="3"),
]


def load(path, **fields):
    return list(file.load(build(file.Config, {"path": str(path), **fields}, ""), "mine", 0))


def questions(path, **fields) -> list[Question]:
    found = load(path, **fields)
    assert not [entry for entry in found if isinstance(entry, Dropped)], found
    return [entry.question for entry in found]


@pytest.fixture
def rows(tmp_path, png, write_lines):
    """Writes rows beside a picture `a.png`; gives the questions read from them."""
    (tmp_path / "a.png").write_bytes(png())

    def read(*given, **fields):
        return questions(write_lines(tmp_path / "rows.jsonl", given), **fields)

    return read


def as_table(path, delimiter):
    with path.open("w", newline="", encoding="utf-8-sig") as opened:
        writer = csv.DictWriter(opened, ROWS[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)


def as_xlsx(path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append([*ROWS[0]])
    for row in ROWS:
        book.active.append([row.get(name) for name in ROWS[0]])
    book.save(path)


def as_saved(path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(str(path))


def lines(given):
    return "".join(json.dumps(row) + "\n" for row in given)


KINDS = {
    "q.jsonl": lambda path: path.write_text(lines(ROWS), encoding="utf-8-sig"),
    "q.jsonl.gz": lambda path: path.write_bytes(gzip.compress(lines(ROWS).encode())),
    "q.json": lambda path: path.write_text(json.dumps(ROWS), encoding="utf-8-sig"),
    "q.csv": lambda path: as_table(path, ","),
    "q.tsv": lambda path: as_table(path, "\t"),
    "q.xlsx": as_xlsx,
    "q.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
    "q.arrow": lambda path: pa.ipc.new_stream(path, pa.Table.from_pylist(ROWS).schema).write(
        pa.Table.from_pylist(ROWS)
    ),
    "saved": as_saved,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_questions(tmp_path, png, name):
    (tmp_path / "a.png").write_bytes(png())
    KINDS[name](tmp_path / name)
    assert questions(tmp_path / name, image_root=str(tmp_path)) == READ


@pytest.mark.parametrize("loader", ["file", "jsonl"])
def test_the_old_name_reads_them_too(tmp_path, png, loader):
    (tmp_path / "a.png").write_bytes(png())
    as_table(tmp_path / "q.csv", ",")
    files = RunFiles(tmp_path / "run")
    collect.run(collect.Config(sources={"mine": {"loader": loader, "path": str(tmp_path / "q.csv")}}), files)
    assert list(files.questions("questions")) == READ


FORMS = {
    "list": {"options": ["red", "blue"]},
    "mapping": {"options": {"B": "blue", "A": "red"}},
    "mapping with gaps as Parquet has them": {"options": {"A": "red", "B": "blue", "C": None}},
    "JSON text": {"choices": '{"A": "red", "B": "blue"}'},
    "Python text, as MMMU writes it": {"options": "['red', 'blue']"},
    "texts and labels, as ARC has them": {"choices": {"text": ["red", "blue"], "label": ["A", "B"]}},
    "columns": {"A": "red", "B": "blue", "C": None, "D": ""},
}


@pytest.mark.parametrize("form", FORMS)
def test_options_in_every_form(rows, form):
    (question,) = rows({"question": "Which?", "answer": "B", **FORMS[form]})
    assert (question.choices, question.answer, question.meta.keys() & {"A", "B", "options"}) == (
        ("red", "blue"), "B", set(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"options": {"A": "red", "C": "blue"}}, "not A, B, C … or 1, 2, 3 … in order"),
        ({"options": {"A": "red", "B": None, "C": "blue"}}, "option B is missing"),
        ({"A": "red", "B": "blue", "D": "green"}, "option C is missing"),
        ({"options": "red or blue"}, "must be a list of texts"),
        ({"choices": {"text": ["red"], "label": ["A", "B"]}}, "1 texts and 2 labels"),
        ({"options": ["red", "blue"], "answer": ["A", "B"]}, "2 for one choice"),
    ],
)
def test_options_that_cannot_be_told_drop_the_row(tmp_path, write_lines, options, reason):
    (dropped,) = load(write_lines(tmp_path / "q.jsonl", [{"question": "Which?", "answer": "A", **options}]))
    assert dropped.reason is DropReason.BAD_ROW
    assert reason in dropped.detail


def answers(rows, *given, **fields):
    return [question.answer for question in rows(*({"text": "?", **row} for row in given), **fields)]


THREE = ["cat", "dog", "cow"]


def test_numbers_count_from_0_where_a_row_has_a_0(rows, capsys):
    given = [{"options": THREE, "answer": 1}, {"options": THREE, "answer": "C"}, {"options": THREE, "answer": "0"}]
    assert answers(rows, *given) == ["B", "C", "A"]
    said = " ".join(capsys.readouterr().err.split())
    assert "source 'mine': numbers in `answer` are places among the options, counted from 0" in said
    assert "mine/rows.jsonl:3 has a 0" in said


def test_numbers_count_from_1_where_a_row_has_the_last(rows, capsys):
    given = [{"options": THREE, "answer": 1.0}, {"options": THREE, "answer": [3]}, {"text": "how many", "answer": 7}]
    assert answers(rows, *given) == ["A", "C", "7"]
    assert "counted from 1" in " ".join(capsys.readouterr().err.split())


def test_numbers_that_are_texts_of_options_stay_texts(rows, capsys):
    given = [
        {"options": ["10", "20", "30"], "answer": "20"},
        {"options": [1, 2, 3], "answer": 2},
        {"options": ["5 cm", "6 cm"], "answer": 5},
    ]
    assert answers(rows, *given) == ["20", "2", "5"]
    assert "the options' own texts" in " ".join(capsys.readouterr().err.split())


def test_labels_of_options_are_no_places(rows):
    named = {"choices": {"text": THREE, "label": ["1", "2", "3"]}}
    assert answers(rows, {**named, "answer": "2"}, {**named, "answer": 3}) == ["B", "C"]


def test_a_stated_kind_makes_a_number_a_number(rows):
    assert answers(rows, {"options": THREE, "answer": 1, "kind": "integer"}) == ["1"]


UNDECIDED = [
    ([{"options": THREE, "answer": 1}, {"options": THREE, "answer": 2}], "no row has a 0 or the number of its options"),
    ([{"options": THREE, "answer": 0}, {"options": THREE, "answer": 3}], "rows.jsonl:1 has a 0, and in .*jsonl:2 it"),
    ([{"options": ["1", "2", "3"], "answer": 2}], "an option's text or its place"),
    ([{"options": THREE, "answer": 0}, {"options": ["10", "20"], "answer": 20}], "in .*:2 it is an option's text"),
]


@pytest.mark.parametrize(("given", "why"), UNDECIDED)
def test_what_cannot_be_decided_is_asked_for(rows, given, why):
    with pytest.raises(DataError, match=rf"source 'mine': what the numbers .*{why}.* say `answer_index: from_0`"):
        answers(rows, *given)


def test_what_is_stated_is_not_decided(tmp_path, rows, write_lines, capsys):
    given = [{"options": THREE, "answer": 1}, {"options": THREE, "answer": 2}]
    assert answers(rows, *given, answer_index="from_0") == ["B", "C"]
    assert answers(rows, *given, answer_index="from_1") == ["A", "B"]
    assert answers(rows, {"options": ["1", "2", "3"], "answer": 2}, answer_index="text") == ["2"]
    assert "numbers in" not in capsys.readouterr().err
    path = write_lines(tmp_path / "q.jsonl", [{"text": "?", "options": THREE, "answer": 3}])
    (dropped,) = load(path, answer_index="from_0")
    assert "answer 3 is no place among 3 options, counted from 0" in dropped.detail
    with pytest.raises(RecipeError, match="answer_index: 'two' is none of auto, from_0"):
        build(file.Config, {"path": "x", "answer_index": "two"}, "sources.mine")


@pytest.mark.parametrize("loader", [jsonl, parquet, file])
def test_a_column_of_numbers_is_decided_before_the_first_question(tmp_path, loader):
    """The row that tells stands 300 rows behind the first."""
    given = [{"text": "?", "options": THREE, "answer": 1 + (n == 300)} for n in range(300)]
    given.append({"text": "?", "options": THREE, "answer": 3})
    path = tmp_path / "q.parquet"
    pq.write_table(pa.Table.from_pylist(given), path)
    found = list(loader.load(loader.Config(path=str(path)), "mine", 0))
    assert {entry.question.answer for entry in found[:300]} == {"A"}


def test_accepted_answers(rows):
    one, several, ordered = rows(
        {"text": "?", "answer": ["4"]},
        {"text": "?", "answer": ["1/2", 0.5, "one half", 0.5]},
        {"text": "?", "answer": ["a", "b"], "kind": "list"},
    )
    assert (one.answer, one.accepted) == ("4", ())
    assert (several.answer, several.accepted) == ("1/2", ("0.5", "one half"))
    assert (ordered.answer, ordered.accepted) == ("a, b", ())


@pytest.mark.parametrize("column", ["text", "question", "problem", "query", "prompt"])
def test_the_question_s_column(rows, column):
    (question,) = rows({column: "Why?", "answer": "so"})
    assert (question.text, question.meta) == ("Why?", {})


LLAVA = {
    "id": "000000033471", "image": "a.png",
    "conversations": [
        {"from": "human", "value": "<image>\nWhat are the colors of the bus in the image?"},
        {"from": "gpt", "value": "The bus in the image is white and red."},
    ],
}  # fmt: skip


def test_a_conversation_of_one_turn(rows):
    (question,) = rows(LLAVA)
    assert (question.text, question.images) == ("What are the colors of the bus in the image?", ("mine/a.png",))
    assert (question.answer, question.meta) == (None, {"reply": "The bus in the image is white and red."})
    (question,) = rows(LLAVA, fields={"answer": "conversations"})
    assert (question.answer, question.meta) == ("The bus in the image is white and red.", {})
    (question,) = rows({"conversations": json.dumps([{"role": "user", "content": "Why?"}]), "answer": "so"})
    assert (question.text, question.answer) == ("Why?", "so")


def turns(*texts):
    return [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(texts)]


P = "\N{OBJECT REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"conversations": turns("a", "b", "<image>c", "d")}, ("", ("a", "b"), f"{P}c", "d")),
        ({"conversations": [{"from": "system", "value": "s"}, *turns("a")]}, ("s", (), "a", None)),
        ({"system": "s", "text": "a"}, ("s", (), "a", None)),
        ({"text": "a", "history": [["See <image>b", "c"], ["d", "e"]]}, ("", (f"See {P}b", "c", "d", "e"), "a", None)),
        ({"text": "a", "turns": turns("b", "c")}, ("", ("b", "c"), "a", None)),
        ({"text": "See <image> and say."}, ("", (), f"See {P} and say.", None)),
        ({"text": "What?\n<|vision_start|><|image_pad|><|vision_end|>"}, ("", (), f"What?\n{P}", None)),
        ({"text": "[IMG] What?"}, ("", (), "What?", None)),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}]},
            ("", (), f"a{P}", None),
        ),
    ],
)
def test_conversations_and_the_places_of_pictures(rows, row, asked):
    (question,) = rows({"image": "a.png", **row})
    said = tuple(turn.text for turn in question.turns)
    assert (question.system, said, question.text, question.meta.get("reply")) == asked
    assert [turn.role for turn in question.turns] == ["user", "assistant"] * (len(said) // 2)


def test_pictures_of_parts(rows, png, tmp_path):
    (tmp_path / "b.png").write_bytes(png("blue"))
    parts = [
        {"type": "image", "image": "b.png"}, {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": "?"},
    ]  # fmt: skip
    (question,) = rows({"prompt": [{"role": "user", "content": parts}]})
    assert (question.text, question.images) == (f"{P}and{P}?", ("mine/b.png", "mine/a.png"))


def test_without_pictures_a_mark_is_text(rows):
    (question,) = rows({"text": "What does <image> do in HTML?"})
    assert (question.text, question.images) == ("What does <image> do in HTML?", ())


@pytest.mark.parametrize(
    ("conversation", "reason", "detail"),
    [
        ([*turns("a"), {"from": "tool", "value": "s"}], DropReason.UNSUPPORTED, "a turn of 'tool'"),
        ([{"role": "user", "content": [{"type": "audio"}]}], DropReason.UNSUPPORTED, "a part of the type 'audio'"),
        ([{"role": "user", "content": [{"type": "video"}]}], DropReason.BAD_ROW, "has 1 video, of which it gives 0"),
        ([{"role": "user", "content": [{"type": "image"}]}], DropReason.BAD_ROW, "text must be text"),
        (turns("<image>\n<image>\nWhich?"), DropReason.BAD_ROW, "2 places for 1 picture;"),
        (turns("a", "b")[::-1], DropReason.BAD_ROW, "from the user on; here assistant, user"),
        (["a"], DropReason.BAD_ROW, "is a mapping, not 'a'"),
        (
            [{"role": "user", "content": [{"type": "image", "image": x} for x in ("a.png", "a.png")]}],
            DropReason.BAD_ROW,
            "has 2 pictures, of which it gives 2, and the row has 1 beside it",
        ),
    ],
)
def test_other_conversations_are_dropped_and_said(tmp_path, png, write_lines, conversation, reason, detail):
    (tmp_path / "a.png").write_bytes(png())
    (dropped,) = load(write_lines(tmp_path / "q.jsonl", [{"image": "a.png", "conversations": conversation}]))
    assert (dropped.reason, detail in dropped.detail) == (reason, True), dropped


def test_pictures_in_every_form(tmp_path, rows, png):
    encoded = base64.b64encode(png("blue")).decode()
    forms = [
        "a.png", ["a.png", "a.png"], '["a.png", "a.png"]', {"path": "a.png"}, {"bytes": None, "path": "a.png"},
        str(tmp_path / "a.png"), encoded, [encoded], f"data:image/png;base64,{encoded}", {"bytes": encoded},
        {"url": f"data:image/png;base64,{encoded}"}, {"image_url": {"url": f"data:image/png;base64,{encoded}"}},
    ]  # fmt: skip
    found = [question.images for question in rows(*({"text": "?", "image": form} for form in forms))]
    assert found[:6] == [("mine/a.png",) * (2 if n in (1, 2) else 1) for n in range(6)]
    assert len(set(found[6:])) == 1
    assert found[6][0].startswith("mine.stored/")


def test_carried_pictures_lie_in_the_run_and_others_where_they_are(tmp_path, png, write_lines):
    (tmp_path / "a.png").write_bytes(png("red"))
    encoded = base64.b64encode(png("blue")).decode()
    path = write_lines(tmp_path / "q.jsonl", [{"text": "?", "image": "a.png"}, {"text": "!", "image": encoded}])
    files = RunFiles(tmp_path / "run")
    for _ in range(2):
        collect.run(collect.Config(sources={"mine": {"loader": "file", "path": str(path)}}), files)
        roots = ImageRoots.load(files.image_roots_file("questions"))
        opened = [roots.open(question.images[0]).getpixel((0, 0)) for question in files.questions("questions")]
        assert opened == [(255, 0, 0), (0, 0, 255)]
    assert len(list(files.pictures("questions").rglob("*.png"))) == 1


@pytest.mark.parametrize(
    ("image", "detail"),
    [
        ("/data/vqa/1.png", "write `image_root: /data/vqa`"),
        ("data:image/png;base64,iVBORw0KGgo?", "not whole base64"),
        ("data:image/png,raw", "a data URL of an image is data:image/…;base64"),
        ("iVBORw0KGgo" + "?" * 80, "not whole base64"),
        ("x" * 5000, "cannot be read"),
        ("no/such.png", "`image_root` says where image paths start"),
    ],
)
def test_pictures_that_cannot_be_had_say_what_to_do(tmp_path, write_lines, image, detail):
    (dropped,) = load(write_lines(tmp_path / "q.jsonl", [{"text": "?", "image": image}]))
    assert dropped.reason is DropReason.BAD_IMAGE
    assert detail in dropped.detail


def test_vlmevalkit_s_own_table(tmp_path, png):
    """As its documentation says to write one: base64 pictures, or the index of a row that has the same one."""
    encoded = base64.b64encode(png()).decode()
    rows = [
        {"index": "0", "image": encoded, "question": "Which?", "A": "cat", "B": "dog", "answer": "B", "category": "x"},
        {"index": "1", "image": "0", "question": "How many?", "A": "", "B": "", "answer": "2", "category": "y"},
        {"index": "2", "image": "7", "question": "Of whom?", "A": "", "B": "", "answer": "2", "category": "y"},
    ]
    with (tmp_path / "MyBench.tsv").open("w", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    first, second, dropped = load(tmp_path / "MyBench.tsv")
    assert (first.question.id, first.question.choices, first.question.answer) == ("mine-0", ("cat", "dog"), "B")
    assert (second.question.category, second.question.choices) == ("y", ())
    assert second.question.images == first.question.images != ()
    assert "7: there is no such file" in dropped.detail


def test_a_table_with_a_comma_too_many_trains_on_nothing_else(tmp_path):
    (tmp_path / "q.csv").write_text("question,answer,category\nWhich one, left or right?,left,x\nWhy?,so,y\n")
    dropped, item = load(tmp_path / "q.csv")
    assert (dropped.reason, "more cells than columns" in dropped.detail) == (DropReason.TORN_LINE, True)
    assert item.question.answer == "so"


def test_class_labels_come_by_name_from_saved_folders_and_parquet(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"question": datasets.Value("string"), "answer": datasets.ClassLabel(names=["no", "yes"])}
    )
    data = datasets.Dataset.from_list([{"question": "?", "answer": 1}, {"question": "!", "answer": -1}], features)
    data.save_to_disk(str(tmp_path / "saved"))
    data.to_parquet(str(tmp_path / "q.parquet"))
    for name in ("saved", "q.parquet"):
        assert [question.answer for question in questions(tmp_path / name)] == ["yes", None]


def test_unused_columns_are_named_once(rows, capsys):
    rows({"text": "?", "source": "exam"}, {"text": "?", "source": "exam", "ground_truth": "4"})
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("source 'mine': columns that are not used (kept in `meta`): source, ground_truth") == 1


def test_what_is_left_out_is_seen_with_the_first_reason(tmp_path, write_lines, capsys):
    path = write_lines(
        tmp_path / "q.jsonl", [{"text": "a"}, {"image": "a.png"}, {"text": "b"}, {"image": "a.png"}, "{"]
    )
    (tmp_path / "a.png").touch()
    sources = {"x": {"loader": "file", "path": str(path)}}
    collect.run(collect.Config(sources=sources), RunFiles(tmp_path / "run"))
    said = " ".join(capsys.readouterr().err.split())
    why = "it has no 'text'; its columns are image: set fields: {text: COLUMN} (x/q.jsonl:2)"
    assert f"source 'x': 2 rows left out, the first because {why}; all are in {tmp_path}/run/dropped" in said
    assert "source 'x': 1 row left out because not valid JSON" in said
    assert "questions: 2 questions: 0 with an answer, 0 with a picture; 3 rows left out" in said


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"instruction": "?", "solution": "4"}, "it has no 'text'; its columns are instruction, solution: set fields: "
                                                "{text: instruction}"),
        ({"question": " ", "solution": "4"}, "text must be text, not ' '"),
        ({"problem": ""}, "its 'problem' is empty"),
        ({"Question": "?", "question_id": 3}, "columns are Question, question_id: set fields: {text: Question}"),
        ({"question_id": 3, "questionText": "?"}, "set fields: {text: questionText}"),
        ({"qestion": "?"}, "set fields: {text: qestion}"),
        ({"a": 1, "b": 2}, "its columns are a, b: set fields: {text: COLUMN}"),
    ],
)  # fmt: skip
def test_a_source_without_texts_is_an_error_that_names_the_column(tmp_path, write_lines, row, why):
    path = write_lines(tmp_path / "q.jsonl", [row] * 2)
    sources = {"hf": {"loader": "file", "path": str(path)}}
    with pytest.raises(DataError) as error:
        collect.run(collect.Config(sources=sources), RunFiles(tmp_path / "run"))
    assert str(error.value).startswith("questions: source 'hf' gives no question: 2 rows left out, the first because ")
    assert why in str(error.value)


def test_a_column_that_fields_names_and_that_is_not_there(tmp_path, write_lines):
    (entry,) = load(write_lines(tmp_path / "q.jsonl", [{"query": "?"}]), fields={"text": "qestion"})
    wanted = (
        "it has no column 'qestion', which `fields` names for 'text'; its columns are query: set fields: {text: query}"
    )
    assert entry.detail == wanted


def test_answers_and_pictures_under_names_that_are_not_read_are_pointed_out(rows, capsys):
    rows({"text": "?", "ground_truth": "4", "img": "a.png"}, {"text": "?", "ground_truth": "5"})
    said = capsys.readouterr().err
    assert (
        "source 'mine': no question has an answer: if 'ground_truth' is it, set fields: {answer: ground_truth}" in said
    )
    assert "source 'mine': no question has a picture: if 'img' is it, set fields: {images: img}" in said
    rows({"text": "?", "ground_truth": "4", "image": "a.png"}, {"text": "?", "answer": "5"})
    assert "no question has" not in capsys.readouterr().err


def test_a_source_whose_pictures_are_elsewhere_says_where(tmp_path, png, write_lines):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png())
    path = write_lines(tmp_path / "data" / "q.jsonl", [{"text": "?", "image": "pictures/a.png"}])
    sources = {"mine": {"loader": "file", "path": str(path)}}
    with pytest.raises(DataError, match=f"lies under {tmp_path}: write `image_root: {tmp_path}`"):
        collect.run(collect.Config(sources=sources), RunFiles(tmp_path / "run"))


@pytest.mark.parametrize("columns", [("id",), ("question_id",), ("index",)])
def test_ids_by_the_names_that_others_use(rows, columns):
    (question,) = rows({columns[0]: 17, "text": "?"})
    assert question.id == "mine-17"


def test_an_older_recipe_keeps_its_ids(tmp_path, write_lines):
    path = write_lines(tmp_path / "q.jsonl", [{"question_id": 17, "text": "?"}])
    (entry,) = jsonl.load(jsonl.Config(path=str(path)), "mine", 0)
    assert entry.question == Question(id="mine-0", text="?", meta={"question_id": 17})
