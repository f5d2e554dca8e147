"""A run folder with pairs of every sort, and rows as the formats' own programs write them."""

import io
import json

import pytest
from PIL import Image

from mixpo.files import RunFiles
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


@pytest.fixture
def image():
    return picture


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
