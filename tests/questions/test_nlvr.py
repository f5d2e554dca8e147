import io
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mixpo.errors import DataError
from mixpo.images import ImageRoots
from mixpo.questions import nlvr
from mixpo.records import AnswerKind, Dropped, DropReason

BOXES = [
    [{"x_loc": 40, "y_loc": 80, "type": "square", "color": "Yellow", "size": 20}],
    [],
    [{"x_loc": 0, "y_loc": 7, "type": "circle", "color": "#0099ff", "size": 10}],
]
PIXELS = {"black": (0, 0, 0), "#0099ff": (0, 153, 255), "yellow": (255, 255, 0)}


def load(path, **fields):
    return list(nlvr.load(nlvr.Config(path=str(path), **fields), "nlvr", 0))


def statement(**changes):
    return {"sentence": "There is a box. ", "identifier": "12-0", "directory": "3", "label": "true",
            "evals": {"r0": "true"}, "structured_rep": BOXES, **changes}  # fmt: skip


@pytest.fixture
def publisher(tmp_path, png, write_lines):
    """A clone of the publisher's repository with one statement, whose picture 4 is missing."""

    def make(*lines):
        write_lines(tmp_path / "nlvr" / "dev" / "dev.json", lines or [statement()])
        folder = tmp_path / "nlvr" / "dev" / "images" / "3"
        folder.mkdir(parents=True)
        for permutation in (0, 1, 2, 3, 5):
            (folder / f"dev-12-0-{permutation}.png").write_bytes(png())
        return tmp_path

    return make


def test_the_publishers_layout(publisher, tmp_path):
    entries = load(publisher())
    questions = [entry.question for entry in entries if not isinstance(entry, Dropped)]
    assert [question.id for question in questions] == [f"nlvr-dev-12-0-{k}" for k in (0, 1, 2, 3, 5)]
    first = questions[0]
    assert first.text == 'Is this true? "There is a box."'
    assert (first.answer, first.kind, first.category) == ("true", AnswerKind.YES_NO, "scatter")
    assert first.meta == {"group": "12-0", "permutation": 0, "structured_rep": BOXES}
    (dropped,) = (entry for entry in entries if isinstance(entry, Dropped))
    assert (dropped.id, dropped.reason) == ("nlvr/dev.json:1/4", DropReason.BAD_IMAGE)
    root = nlvr.image_root(nlvr.Config(path=str(tmp_path)))
    assert ImageRoots({"nlvr": root}).open(first.images[0]).size == (4, 4), "images stay in place, and open"


def test_the_folder_nlvr_itself_can_be_named_too(publisher):
    assert len(load(publisher() / "nlvr")) == 6


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"sentence": "x", "ident', DropReason.TORN_LINE),
        ('{"sentence": "x"}', DropReason.BAD_ROW),
        ("[]", DropReason.BAD_ROW),
    ],
)
def test_a_bad_line_is_dropped_alone(publisher, line, reason):
    entries = load(publisher(line, statement()))
    assert (entries[0].id, entries[0].reason) == ("nlvr/dev.json:1", reason)
    assert len(entries) == 1 + 6


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "maybe"},
        {"sentence": None},
        {"structured_rep": BOXES[:2]},
        {"structured_rep": [[], [], [{"x_loc": 1}]]},
        {"structured_rep": None},
    ],
)
def test_a_bad_statement_is_dropped(publisher, changes):
    assert {entry.reason for entry in load(publisher(statement(**changes)))} == {DropReason.BAD_ROW}


def test_a_directory_outside_the_folder_is_not_followed(publisher, tmp_path, png):
    (tmp_path / "dev-12-0-0.png").write_bytes(png())
    entries = load(publisher(statement(directory="../../..")))
    assert {entry.reason for entry in entries} == {DropReason.BAD_IMAGE}
    assert "outside" in entries[0].detail


def test_parquet_gives_the_questions_of_the_publishers_layout(publisher, tmp_path, png):
    path = publisher()
    rows = [
        {"id": f"dev-12-0-{k}", "group": "12-0", "permutation": k, "sentence": "There is a box. ", "label": "true",
         "structured_rep": json.dumps(BOXES), "image": png()}
        for k in range(6)
    ]  # fmt: skip
    rows.append({**rows[0], "structured_rep": "[["})
    rows.append({**rows[0], "image": None})
    (tmp_path / "tables").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "tables" / "dev.parquet")
    entries = load(tmp_path / "tables")
    from_files = {entry.question.id: entry.question for entry in load(path) if not isinstance(entry, Dropped)}
    for entry in entries[:6]:
        question = entry.question
        assert list(entry.pictures) == list(question.images) == [f"nlvr/{question.id.removeprefix('nlvr-')}.png"]
        if question.id in from_files:
            twin = from_files[question.id]
            assert (question.text, question.answer, question.meta) == (twin.text, twin.answer, twin.meta)
    assert [entry.id for entry in entries[6:]] == ["nlvr/dev.parquet:7", "nlvr/dev.parquet:8"]
    assert nlvr.image_root(nlvr.Config(path=str(tmp_path / "tables"))) is None


def test_a_split_that_is_not_there(publisher):
    with pytest.raises(
        DataError, match=r"no NLVR split 'train' there \(neither train\.parquet nor train/train\.json\)"
    ):
        load(publisher(), split="train")


def test_describing_has_no_ground_truth(publisher):
    first = load(publisher(), describe=True)[0].question
    assert (first.text, first.answer, first.kind, first.domain) == (
        "Describe the picture.",
        None,
        AnswerKind.FREE_FORM,
        "description",
    )
    assert first.meta["structured_rep"] == BOXES


@pytest.mark.parametrize(("split", "statements", "true"), [("dev", 989, 3282), ("test", 990, 3336)])
def test_the_real_splits(nlvr_folder, split, statements, true):
    questions = [entry.question for entry in load(nlvr_folder, split=split)]
    assert len(questions) == 6 * statements == len({question.id for question in questions})
    assert Counter(question.answer for question in questions)["true"] == true
    groups = Counter(question.meta["group"] for question in questions)
    assert set(groups.values()) == {6}


def test_permutations_say_which_box_is_shown_where(nlvr_folder):
    """The pixel in the middle of every object has the object's colour, if boxes are 100 wide and 150 apart."""
    for entry in load(nlvr_folder, split="dev", limit=600):
        question = entry.question
        image = Image.open(io.BytesIO(entry.pictures[question.images[0]])).convert("RGB")
        for place, number in enumerate(nlvr.PERMUTATIONS[question.meta["permutation"]]):
            for thing in question.meta["structured_rep"][number]:
                middle = (150 * place + thing["x_loc"] + thing["size"] // 2, thing["y_loc"] + thing["size"] // 2)
                assert image.getpixel(middle) == PIXELS[thing["color"].lower()], question.id
