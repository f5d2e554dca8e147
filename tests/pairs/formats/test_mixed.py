"""Exports of several runs in one import: equal names that mean other things are told apart, or refused."""

import json
import shutil
from dataclasses import replace

import pytest

from mixpo.errors import DataError, UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.pairs.export import export
from mixpo.pairs.import_pairs import BEGUN, Config, Format
from mixpo.pairs.import_pairs import run as run_import
from mixpo.records import DropReason, Origin, PreferencePair, Question
from mixpo.text_files import STAGED, write_bytes, write_text

COLOURS = ("red", "blue")
SAME = PreferencePair(
    id="scenes-9/0>1", question_id="scenes-9", prompt="Same?", chosen="yes", rejected="no", origin=Origin.CORRECTNESS,
    images=("scenes/9.png",), chosen_id="scenes-9/0", rejected_id="scenes-9/1",
)  # fmt: skip
TEXT = PreferencePair(
    id="text-1/0>1", question_id="text-1", prompt="2 + 2?", chosen="4", rejected="5", origin=Origin.CORRECTNESS,
    chosen_id="text-1/0", rejected_id="text-1/1",
)  # fmt: skip


def of_run(number):
    """Pairs whose ids both runs have. Each says which colour its picture is."""
    colour = COLOURS[number]
    for question in range(3):
        own = f"scenes-{question}"
        yield PreferencePair(
            id=f"{own}/0>{number if question else 1}", question_id=own, prompt="Which colour?", chosen=colour,
            rejected="green", origin=Origin.CORRECTNESS, images=(f"scenes/{question}.png",), chosen_id=f"{own}/0",
            rejected_id=f"{own}/{number}",
        )  # fmt: skip
    yield SAME
    yield TEXT


@pytest.fixture
def runs(tmp_path, image):
    """Two runs of other seeds: their questions are called the same and show other pictures; one is the same."""
    made = []
    for number, colour in enumerate(COLOURS):
        files = RunFiles(tmp_path / f"run-{number}")
        for name in ("0", "1", "2", "9"):
            write_bytes(files.pictures("questions") / f"scenes/{name}.png", image("white" if name == "9" else colour))
        write_text(files.image_roots_file("questions"), json.dumps({"scenes": "images/scenes"}))
        found = list(of_run(number))
        files.pairs("pair").append(found)
        truths = {"scenes-9": "yes", "text-1": ("4", "four")[number]}
        files.questions("questions").append(
            Question(id=id, text="?", answer=truths.get(id, colour))
            for id in dict.fromkeys(p.question_id for p in found)
        )
        made.append(files)
    return made


def test_two_exports_in_one_folder(tmp_path, runs, imported):
    both = tmp_path / "both"
    both.mkdir()
    for number, files in enumerate(runs):
        export(files, Format.TRL, tmp_path / f"out-{number}")
        shutil.copy(tmp_path / f"out-{number}" / "train.parquet", both / f"{number}.parquet")
    pairs, dropped, files = imported(Format.TRL, both)
    roots = ImageRoots.load(files.image_roots_file("import"))
    questions = {question.id: question for question in files.questions("import")}
    coloured = [pair for pair in pairs if pair.prompt == "Which colour?"]
    assert len(coloured) == 6
    for pair in coloured:
        (image,) = pair.images
        assert roots.open(image).getpixel((0, 0)) == {"red": (255, 0, 0), "blue": (0, 0, 255)}[pair.chosen]
        question = questions[pair.question_id]
        assert (question.answer, question.images) == (pair.chosen, pair.images)
        assert pair.id.startswith(f"{pair.question_id}/")
        assert pair.chosen_id.startswith(f"{pair.question_id}/")
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert [(pair.prompt, questions[pair.question_id].answer) for pair in pairs if not pair.images] == [
        ("2 + 2?", "4"), ("2 + 2?", "four"),
    ]  # fmt: skip
    assert [(record.id, record.reason) for record in dropped] == [("scenes-9/0>1", DropReason.DUPLICATE_ID)]
    kept = [pair for pair in pairs if "~" not in pair.id]
    assert kept == list(of_run(0)), "what is met first keeps its names"
    # What was told apart is told apart for good: exported and imported again it is the same.
    export(files, Format.TRL, tmp_path / "again", "import", "import")
    run_import(Config(format=Format.TRL, path=str(tmp_path / "again"), name="again"), files)
    assert list(files.pairs("again")) == pairs


def test_other_answers_to_one_question_are_kept(tmp_path, runs, imported):
    """Two runs asked the same; their responses have the same ids and other texts."""
    both = tmp_path / "both"
    both.mkdir()
    files = runs[0]
    shards = files.pairs("pair")
    for number in range(2):
        shards.replace([SAME if number == 0 else replace(SAME, chosen="indeed")])
        export(files, Format.TRL, tmp_path / f"out-{number}")
        shutil.copy(tmp_path / f"out-{number}" / "train.parquet", both / f"{number}.parquet")
    pairs, dropped, files = imported(Format.TRL, both)
    assert [pair.chosen for pair in pairs] == ["yes", "indeed"]
    assert [pair.question_id for pair in pairs] == ["scenes-9"] * 2
    assert pairs[0].id == SAME.id
    assert pairs[1].id.startswith(f"{SAME.id}~")
    assert dropped == []
    assert len(list(files.questions("import"))) == 1


def test_two_folders_of_pictures_under_one_name_are_refused(tmp_path, runs, imported):
    meta = {}
    for number, files in enumerate(runs):
        export(files, Format.MMPR, tmp_path / "both" / str(number))
        (entry,) = json.loads((tmp_path / "both" / str(number) / "meta.json").read_text()).values()
        meta[str(number)] = {**entry, "root": f"{number}/images", "annotation": f"{number}/{entry['annotation']}"}
    (tmp_path / "both" / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="images under 'scenes' lie in two different folders; import each alone"):
        imported(Format.MMPR, tmp_path / "both")


def test_one_row_with_two_pictures_of_one_name(tmp_path, imported, image):
    import pyarrow
    import pyarrow.parquet

    own = {"id": "q/0>1", "question_id": "q", "origin": "imported", "chosen_id": "", "rejected_id": ""}
    images = [{"bytes": image(colour), "path": "scenes/1.png"} for colour in COLOURS]
    row = {"prompt": "<image><image>?", "chosen": "a", "rejected": "b", "images": images, **own, "rejected_ended": True}
    rows = [row, {**row, "id": "q/0>2", "images": images[:1], "prompt": "<image>?"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    pairs, dropped, _ = imported(Format.TRL, tmp_path / "x.parquet")
    assert [pair.id for pair in pairs] == ["q/0>2"]
    assert "two images of the row have this name" in dropped[0].detail


def test_rows_of_one_question_with_other_truths(tmp_path, imported, lines):
    row = {"question": "How many?", "chosen": "3", "rejected": "4"}
    truths = [None, "3"], ["3", None, "3", "4", "3", "4"]
    for number, given in enumerate(truths):
        path = lines(
            tmp_path / f"{number}.jsonl", [{**row, "chosen": f"c{n}", "answer_gt": t} for n, t in enumerate(given)]
        )
        meta = {"a": {"root": ".", "annotation": path.name}}
        (tmp_path / "meta.json").write_text(json.dumps(meta))
        pairs, _, files = imported(Format.MMPR, tmp_path, name=f"import{number}")
        files = RunFiles(tmp_path / "run")
        pairs = list(files.pairs(f"import{number}"))
        answers = {question.id: question.answer for question in files.questions(f"import{number}")}
        said = [answers[pair.question_id] for pair in pairs]
        assert said == [[None, None], ["3", "3", "3", "4", "3", "4"]][number]
        assert [pair.id for pair in pairs] == [f"a-{n + 1}" for n in range(len(given))]


# --- nothing is removed that an import did not write


@pytest.fixture
def file(tmp_path, lines):
    return lines(tmp_path / "d.jsonl", [{"prompt": "?", "chosen": "a", "rejected": "b"}])


def test_questions_of_another_step_are_not_taken_for_an_unfinished_import(runs, file):
    files = runs[0]
    before = list(files.questions("questions"))
    with pytest.raises(UserError, match="questions/questions is there, and nothing says that an import left it"):
        run_import(Config(name="questions", format=Format.TRL, path=str(file)), files)
    assert list(files.questions("questions")) == before
    assert len(list(files.pictures("questions").rglob("*.png"))) == 4


def test_what_an_import_left_that_was_cut_short_is_made_anew(tmp_path, file):
    files = RunFiles(tmp_path / "run")
    folder = files.questions("import").folder
    write_text(folder / BEGUN, "")
    write_bytes(files.pictures("import") / "scenes/1.png", b"old")
    write_bytes(folder / "images" / f".x.png{STAGED}", b"half")
    write_text(folder / f".image_roots.json{STAGED}", "half")
    files.questions("import").append([Question(id="old", text="old")])
    run_import(Config(format=Format.TRL, path=str(file)), files)
    assert [question.text for question in files.questions("import")] == ["?"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "image_roots.json",
        "part-00000.crc32",
        "part-00000.jsonl",
    ]


def test_an_import_that_was_killed_at_its_end_is_ended_by_the_next(tmp_path, file):
    files = RunFiles(tmp_path / "run")
    run_import(Config(format=Format.TRL, path=str(file)), files)
    pairs = files.pairs("import").folder
    before = [(path.name, path.read_bytes()) for path in sorted(pairs.iterdir())]
    pairs.rename(pairs.with_name("import.whole"))
    run_import(Config(format=Format.TRL, path=str(file)), files)
    assert [(path.name, path.read_bytes()) for path in sorted(pairs.iterdir())] == before


@pytest.mark.parametrize("place", ["questions", "dropped", "pairs.staged", "pairs.whole"])
def test_a_link_is_not_followed_to_what_it_leads_to(tmp_path, file, place):
    precious = tmp_path / "precious"
    write_text(precious / "part-00000.jsonl", '{"id": "x"}\n')
    files = RunFiles(tmp_path / "run")
    if place != "questions":
        write_text(files.questions("import").folder / BEGUN, "")
    else:
        write_text(precious / BEGUN, "")
    kind, _, ending = place.partition(".")
    link = files.root / kind / f"import{ending and '.'}{ending}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(precious)
    with pytest.raises(UserError, match="is a link, and what it leads to stays as it is"):
        run_import(Config(format=Format.TRL, path=str(file)), files)
    assert (precious / "part-00000.jsonl").read_text() == '{"id": "x"}\n'


def test_records_that_are_written_anew_leave_the_users_files_alone(tmp_path):
    shards = RunFiles(tmp_path).pairs("pair")
    shards.replace([SAME])
    (shards.folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="notes.txt is no file that a run writes"):
        shards.replace([])
    assert (shards.folder / "notes.txt").read_text() == "mine"
    assert list(shards) == [SAME]
    (shards.folder / "notes.txt").unlink()
    shards.replace([])
    assert list(shards) == []
    precious = tmp_path / "precious"
    shards.folder.rename(precious)
    (precious / "mine").touch()
    (precious / "part-00000.jsonl").write_text("half a li")
    shards.folder.mkdir()
    (shards.folder / "part-00000.jsonl").symlink_to(precious / "part-00000.jsonl")
    with pytest.raises(UserError, match="part-00000.jsonl is a link"):
        shards.append([SAME])
    assert (precious / "part-00000.jsonl").read_text() == "half a li"
    shutil.rmtree(shards.folder)
    shards.folder.symlink_to(precious)
    with pytest.raises(UserError, match="pair is a link"):
        shards.replace([SAME])
    assert sorted(path.name for path in precious.iterdir()) == ["mine", "part-00000.jsonl"]
