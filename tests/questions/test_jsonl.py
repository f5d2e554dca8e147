import pytest

from mixpo.config import build
from mixpo.errors import DataError, RecipeError
from mixpo.questions import jsonl
from mixpo.records import AnswerKind, Dropped, DropReason, Question


def load(path, **fields):
    return list(jsonl.load(jsonl.Config(path=str(path), **fields), "mine", 0))


def test_every_field_arrives_and_unknown_ones_are_kept_in_meta(tmp_path, png, write_lines):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png())
    (tmp_path / "b.png").write_bytes(png("blue"))
    row = {
        "id": "q7", "images": ["pictures/a.png", "b.png"], "text": " How many? ", "answer": 3, "kind": "decimal",
        "choices": ["three", 4], "domain": "math", "category": "count", "precision": 2, "unit": "cm",
        "meta": {"level": 1}, "source": "exam", "year": 2019,
    }  # fmt: skip
    (item,) = load(write_lines(tmp_path / "rows.jsonl", [row]))
    assert item.question == Question(
        id="mine-q7", text="How many?", images=("mine/pictures/a.png", "mine/b.png"), answer="3",
        kind=AnswerKind.DECIMAL, choices=("three", "4"), domain="math", category="count", precision=2, unit="cm",
        meta={"source": "exam", "year": 2019, "level": 1},
    )  # fmt: skip
    assert item.pictures == {}, "images stay where they are"


def test_second_names_defaults_and_missing_values(tmp_path, png, write_lines):
    (tmp_path / "a.png").write_bytes(png())
    rows = [
        {"question": "Why?", "image": "a.png", "answer": None, "choices": None, "precision": float("nan")},
        {"text": "So?"},
    ]
    first, second = (item.question for item in load(write_lines(tmp_path / "rows.jsonl", rows)))
    assert first == Question(id="mine-0", text="Why?", images=("mine/a.png",))
    assert second == Question(id="mine-1", text="So?")


def test_fields_can_be_called_otherwise(tmp_path, write_lines):
    path = write_lines(tmp_path / "rows.jsonl", [{"query": "Why?", "gt": 2.5, "text": "unrelated"}])
    (item,) = load(path, fields={"text": "query", "answer": "gt"})
    assert (item.question.text, item.question.answer) == ("Why?", "2.5")
    assert item.question.meta == {"text": "unrelated"}


@pytest.mark.parametrize(
    ("given", "answer"), [(3, "3"), (3.0, "3"), (0.5, "0.5"), (-1e22, "-1e+22"), (True, "true"), (" B ", "B")]
)
def test_answers_become_text(tmp_path, write_lines, given, answer):
    (item,) = load(write_lines(tmp_path / "rows.jsonl", [{"text": "?", "answer": given}]))
    assert item.question.answer == answer


BAD_ROWS = [
    ('{"text": "a", "answ', DropReason.TORN_LINE, "not valid JSON"),
    ('{"text": "\\u00e4"', DropReason.TORN_LINE, "not valid JSON"),
    ("[" * 200_000, DropReason.TORN_LINE, "not valid JSON"),
    ("[1, 2]", DropReason.BAD_ROW, "a row is a mapping"),
    ("{}", DropReason.BAD_ROW, "the row is empty"),
    ('{"text": "  "}', DropReason.BAD_ROW, "text must be text"),
    ('{"text": 5}', DropReason.BAD_ROW, "text must be text, not 5"),
    ('{"text": "a", "answer": [["b"]]}', DropReason.BAD_ROW, "answer must be text or a number, not ['b']"),
    ('{"text": "a", "kind": "colour"}', DropReason.BAD_ROW, "kind 'colour' is none of choice, "),
    ('{"text": "a", "kind": []}', DropReason.BAD_ROW, "kind [] is none of choice, "),
    ('{"text": "a", "choices": "x"}', DropReason.BAD_ROW, "choices must be a list"),
    ('{"text": "a", "precision": 1.5}', DropReason.BAD_ROW, "precision must be a whole number"),
    ('{"text": "a", "precision": true}', DropReason.BAD_ROW, "precision must be a whole number"),
    ('{"text": "a", "meta": 1}', DropReason.BAD_ROW, "meta must be a mapping"),
    ('{"text": "a", "id": {}}', DropReason.BAD_ROW, "id must be text or a number"),
    ('{"text": "a", "image": 3}', DropReason.BAD_ROW, "an image must be a path or bytes, not 3"),
    ('{"text": "a", "images": ["in.png", null]}', DropReason.BAD_ROW, "an image must be a path or bytes, not None"),
    ('{"text": "a", "image": "gone.png"}', DropReason.BAD_IMAGE, "gone.png: there is no such file"),
    ('{"text": "a", "image": "../secret.png"}', DropReason.BAD_IMAGE, "lies outside the image root"),
    ('{"text": "a", "image": "/etc/hostname"}', DropReason.BAD_IMAGE, "write `image_root: /etc`, or"),
    ('{"text": "a", "image": "link.png"}', DropReason.BAD_IMAGE, "lies outside the image root"),
    ('{"text": "a", "image": "https://example.org/a.png"}', DropReason.BAD_IMAGE, "fetch_images: true"),
    ('{"text": "a", "image": "."}', DropReason.BAD_IMAGE, "there is no such file"),
    ('{"text": "a", "image": "a\\u0000.png"}', DropReason.BAD_IMAGE, "only relative paths"),
]


@pytest.mark.parametrize(("line", "reason", "detail"), BAD_ROWS, ids=range(len(BAD_ROWS)))
def test_a_bad_row_is_dropped_alone_with_its_line(tmp_path, png, write_lines, line, reason, detail):
    (tmp_path / "secret.png").write_bytes(png())
    root = tmp_path / "data"
    path = write_lines(root / "rows.jsonl", ['{"text": "before"}', "", line, '{"text": "after"}'])
    (root / "in.png").write_bytes(png())
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    before, dropped, after = load(path)
    assert (before.question.text, after.question.text) == ("before", "after")
    assert isinstance(dropped, Dropped)
    assert (dropped.id, dropped.reason) == ("mine/rows.jsonl:3", reason)
    assert detail in dropped.detail


def test_a_line_that_is_no_utf8_is_dropped_alone(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "\xff\xfe"}\n{"text": "b"}')
    first, dropped, last = load(path)
    assert (first.question.text, dropped.reason, last.question.text) == ("a", DropReason.TORN_LINE, "b")


def test_images_under_another_root_and_absolute_paths_into_it(tmp_path, png, write_lines):
    pictures = tmp_path / "elsewhere"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(png())
    path = write_lines(
        tmp_path / "data" / "rows.jsonl",
        [{"text": "?", "image": "a.png"}, {"text": "!", "image": str(pictures / "a.png")}],
    )
    assert [item.question.images for item in load(path, image_root=str(pictures))] == [("mine/a.png",)] * 2
    assert jsonl.image_root(jsonl.Config(path=str(path), image_root=str(pictures))) == pictures


def test_limit_counts_questions_not_lines(tmp_path, write_lines):
    path = write_lines(tmp_path / "rows.jsonl", ["{", {"text": "a"}, {"text": "b"}, "{", {"text": "c"}])
    assert [type(entry).__name__ for entry in load(path, limit=2)] == ["Dropped", "Item", "Item"]


def test_the_users_mistakes_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"gone\.jsonl: nothing lies there \(.*gone\.jsonl\); check the path"):
        load(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match=r"holds no Parquet file; name the folder that does"):
        load(tmp_path)
    monkeypatch.delenv("NO_SUCH_PLACE", raising=False)
    with pytest.raises(
        RecipeError, match=r"^\$\{NO_SUCH_PLACE\}/rows.jsonl: the environment variable NO_SUCH_PLACE is not set"
    ):
        load("${NO_SUCH_PLACE}/rows.jsonl")
    with pytest.raises(RecipeError, match=r"fields\.txt: a question has no such field; it has id, text, "):
        build(jsonl.Config, {"path": "x", "fields": {"txt": "query"}}, "sources.mine")


def test_home_and_variables_are_filled_in(tmp_path, monkeypatch, write_lines):
    write_lines(tmp_path / "rows.jsonl", [{"text": "a"}])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in ("~/rows.jsonl", "$DATA_FOLDER/rows.jsonl", "${DATA_FOLDER}/rows.jsonl", "rows.jsonl"):
        assert [item.question.id for item in load(path)] == ["mine-0"]
