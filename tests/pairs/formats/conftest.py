"""A run folder with pairs of every sort, and rows as the formats' own programs write them."""

import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from mixpo.files import RunFiles
from mixpo.pairs.import_pairs import Config
from mixpo.pairs.import_pairs import run as run_import
from mixpo.records import Origin, PreferencePair, Question
from mixpo.text_files import write_bytes, write_text

PAIRS = [
    PreferencePair(
        id="scenes-1/0>1", question_id="scenes-1", prompt="How many?\nThink.", chosen="Drei: 3", rejected="Zwölf",
        origin=Origin.CORRECTNESS, images=("scenes/1.png",), chosen_id="scenes-1/0", rejected_id="scenes-1/1",
    ),
    PreferencePair(
        id="scenes-1/2>3", question_id="scenes-1", prompt="How many?\nThink.", chosen="数は3です",
        rejected="four " * 50, origin=Origin.FORMAT, images=("scenes/1.png",), chosen_id="scenes-1/2",
        rejected_id="scenes-1/3", rejected_ended=False,
    ),
    PreferencePair(
        id="other-2/0>0", question_id="other-2", prompt="\n Compare.", chosen=" same\n", rejected="\tdifferent",
        origin=Origin.DROPOUT_NTP, images=("scenes/2.png", "other/deep/3.png"), chosen_id="other-2/0",
        rejected_id="other-2/0/cut",
    ),
    PreferencePair(
        id="text-3/0>1", question_id="text-3", prompt="What is 2 + 2?", chosen="4", rejected="5",
        origin=Origin.CORRECTNESS,
    ),
]  # fmt: skip


def picture(colour: str, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28), colour).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def pairs():
    return PAIRS


@pytest.fixture(scope="session")
def image():
    return picture


def written_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def lines():
    return written_lines


@pytest.fixture
def imported(tmp_path):
    """Runs an import; gives the pairs, the drops and the run."""

    def do(form, path, **values):
        files = RunFiles(tmp_path / "run")
        run_import(Config(format=form, path=str(path), **values), files)
        return list(files.pairs("import")), list(files.dropped("import")), files

    return do


@pytest.fixture
def one(tmp_path, imported):
    """What one row makes, beside `a.png` and `b.png` of 28 x 28 pixels: its pair or its drop."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture("red" if name == "a.png" else "blue"))
    plain = {"prompt": "A?", "chosen": "c", "rejected": "r"}

    def do(form, row, **values):
        # Another row that can be read, so that the import is never empty.
        rated = [{"response": text, "annotations": {"All": {"Rating": text}}} for text in "12"]
        kept = {
            "ms-swift": {"query": "A?", "response": "c", "rejected_response": "r"}, "trl": plain,
            "llama-factory": {**plain, "instruction": "A?"}, "vlfeedback": {**plain, "completions": rated},
        }.get(form, {**plain, "question": "A?"})  # fmt: skip
        pairs, dropped, _ = imported(form, written_lines(tmp_path / "d.jsonl", [row, kept]), **values)
        found = [record for record in [*pairs, *dropped] if "-2" not in record.id and ":2" not in record.id]
        return found[0] if len(found) == 1 else found

    return do


@pytest.fixture
def case():
    """A folder of small inputs beside MIXPO_DATA."""

    def find(name) -> Path:
        path = Path(os.environ.get("MIXPO_DATA", "")).parent / "cases" / name
        if "MIXPO_DATA" not in os.environ or not path.exists():
            pytest.skip("the small cases are not beside MIXPO_DATA")
        return path

    return find


@pytest.fixture
def run(tmp_path) -> RunFiles:
    files = RunFiles(tmp_path / "run")
    for name, colour in {"scenes/1.png": "red", "scenes/2.png": "blue", "other/deep/3.png": "green"}.items():
        write_bytes(files.pictures("questions") / name, picture(colour))
    roots = {"scenes": "images/scenes", "other": "images/other"}
    write_text(files.image_roots_file("questions"), json.dumps(roots))
    files.questions("questions").append(
        [
            Question(id="scenes-1", text="How many?", answer="3", images=("scenes/1.png",)),
            Question(id="text-3", text="?"),
        ]
    )
    files.pairs("pair").append(PAIRS)
    return files
