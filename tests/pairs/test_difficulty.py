"""Pass rates, their histogram, the filter, and the export for reinforcement learning."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mixpo.errors import DataError, UserError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.messages import PICTURE
from mixpo.pairs.build import Config
from mixpo.pairs.difficulty import Range, bin_of, export, pass_rate, rows
from mixpo.questions.rows import ReadOptions, item
from mixpo.records import AnswerKind, PassRate, Question, Turn, Video


@pytest.mark.parametrize(("outcomes", "expected"), [("cciut?", (2, 5)), ("ii", (0, 2)), ("??", None), ("", None)])
def test_pass_rate(question, judged, outcomes, expected):
    rate = pass_rate(question(), [verdict for _, verdict in judged(outcomes)])
    assert (rate and (rate.correct, rate.decided)) == expected


@pytest.mark.parametrize(
    ("correct", "decided", "label"),
    [(0, 3, "0"), (1, 32, "0-0.2"), (1, 5, "0.2-0.4"), (19, 32, "0.4-0.6"), (4, 5, "0.8-1"), (3, 3, "1")],
)
def test_bins(correct, decided, label):
    """1/5 = 0.2 and 4/5 = 0.8 begin a bin; 19/32 = 0.59."""
    assert bin_of(PassRate(id="q", correct=correct, decided=decided)) == label


@pytest.mark.parametrize("ends", [(0.8, 0.2), (-0.1, 1.0), (0.5, 1.1), (0.5,), (0.1, 0.2, 0.3)])
def test_bad_ranges(ends):
    with pytest.raises(ValueError, match="difficulty is two pass rates"):
        Config(difficulty=ends)


@pytest.fixture
def files(tmp_path) -> RunFiles:
    """Three questions that were answered right never, in half of the cases, and always; one that was not sampled."""
    files = RunFiles(tmp_path / "run")
    files.questions("questions").append(
        Question(
            id=f"q-{n}", text="Which?", answer="B", kind=AnswerKind.CHOICE, choices=("1", "2"), images=(f"s/{n}.png",)
        )
        for n in range(4)
    )
    files.image_roots_file("questions").write_text('{"s": "images/s"}')
    files.pass_rates("pair").append(PassRate(id=f"q-{n}", correct=4 * n, decided=8) for n in range(3))
    return files


def test_export(files, tmp_path):
    out = tmp_path / "new" / "rl.jsonl"
    assert export(files, out, Range(0.2, 0.8), "pair", "questions") == 1
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row == {
        "id": "q-1", "question": "Which?", "images": [str(files.pictures("questions") / "s" / "1.png")],
        "answer": "B", "kind": "choice", "choices": ["1", "2"], "pass_rate": 0.5, "responses": 8,
    }  # fmt: skip
    assert export(files, out, Range(), "pair", "questions") == 3
    assert [json.loads(line)["pass_rate"] for line in out.read_text().splitlines()] == [0, 0.5, 1]


def test_frames_of_a_video_are_named_as_such(files, tmp_path):
    film = Question(
        id="f", text="?", answer="B", images=tuple(f"s/{n}.png" for n in range(4)),
        videos=(Video(start=1, frames=2, fps=0.5),),
    )  # fmt: skip
    files.questions("questions").append([film])
    files.pass_rates("pair").append([PassRate(id="f", correct=1, decided=2)])
    export(files, tmp_path / "rl.jsonl", Range(0.2, 0.8), "pair", "questions")
    row = json.loads((tmp_path / "rl.jsonl").read_text().splitlines()[-1])
    first, *frames, last = (str(files.pictures("questions") / "s" / f"{n}.png") for n in range(4))
    assert row["images"] == [first, last]
    assert row["videos"] == [{"frames": frames, "fps": 0.5}]


@pytest.mark.parametrize("text", ["?", f"Is {PICTURE} like {PICTURE}, or like {PICTURE}?"])
@pytest.mark.parametrize("start", [0, 1, 2])
def test_pictures_and_videos_come_back_in_their_order(tmp_path, text, start):
    names = tuple(f"s/{n}.png" for n in range(4))
    film = Question(
        id="q-0", text=text, answer="B", images=names, videos=(Video(start=start, frames=2, fps=0.5),)
    )  # fmt: skip
    (tmp_path / "s").mkdir()
    for name in names:
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    (row,) = rows([film], [PassRate(id="q-0", correct=1, decided=2)], ImageRoots({"s": tmp_path / "s"}), Range())
    read = item(row, 0, "rl:1", ReadOptions(root=tmp_path, source="q", store=False)).question
    assert (read.text, read.images, read.videos) == (film.text, tuple(f"q/{name}" for name in names), film.videos)


def test_a_conversation_is_exported_with_its_turns_and_the_places_of_its_pictures(tmp_path):
    files = RunFiles(tmp_path / "run")
    turns = (Turn(role="user", text=f"Is {PICTURE} red?"), Turn(role="assistant", text="Yes."))
    question = Question(
        id="q-0", text=f"And {PICTURE}?", images=("s/0.png", "s/1.png"), answer="B", system="Look.", turns=turns
    )
    files.image_roots_file("questions").parent.mkdir(parents=True)
    files.image_roots_file("questions").write_text('{"s": "images/s"}')
    roots = ImageRoots.load(files.image_roots_file("questions"))
    (row,) = rows([question], [PassRate(id="q-0", correct=1, decided=2)], roots, Range())
    assert {name: row[name] for name in ("system", "turns", "question")} == {
        "system": "Look.", "question": "And <image>?",
        "turns": [{"role": "user", "content": "Is <image> red?"}, {"role": "assistant", "content": "Yes."}],
    }  # fmt: skip
    # Read again, it is the same question.
    for name in row["images"]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(name)
    read = item(row, 0, "rl:1", ReadOptions(root=tmp_path, source="q", store=False)).question
    assert (read.text, read.system, read.turns) == (question.text, question.system, question.turns)


def test_nothing_to_export_is_a_sentence(files, tmp_path):
    with pytest.raises(DataError, match="holds no pass rates; run `mixpo pair` first"):
        export(files, tmp_path / "rl.jsonl", Range(), "other", "questions")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="folder cannot be written"):
        export(files, tmp_path / "folder", Range(), "pair", "questions")
