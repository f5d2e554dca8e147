"""A tiny InternVL with its processor, and preference rows with drawn images."""

import io
import json
import random

import pytest
import torch
from PIL import Image

from mixpo.files import RunFiles
from mixpo.questions.scenes.scene import draw, make_scene
from mixpo.records import Origin, PreferencePair
from mixpo.training.base_model import make_model, make_processor, make_tokenizer

torch.set_num_threads(1)
TEXTS = [
    "How many red circles are there?",
    "Let me look closely.",
    "Final answer: 3",
    "At a glance: 2 1",
    "one two three four",
]


@pytest.fixture(scope="session")
def processor():
    return make_processor(make_tokenizer(TEXTS * 5, vocab_size=300))


@pytest.fixture
def model(processor):
    return make_model(processor.tokenizer, seed=0)


def picture(number: int) -> Image.Image:
    rng = random.Random(number)
    return Image.open(io.BytesIO(draw(make_scene(rng, "train", chart=False, things=(3, 6)), str(number))))


@pytest.fixture(scope="session")
def rows():
    """16 rows of very different lengths, the last two without an image."""
    rng = random.Random(0)
    words = " ".join(TEXTS).split()

    def text() -> str:
        return " ".join(rng.choice(words) for _ in range(rng.randint(1, 30)))

    return [
        {"images": [picture(number)] if number < 14 else [], "prompt": text(), "chosen": text(), "rejected": text()}
        for number in range(16)
    ]


@pytest.fixture
def run_folder(tmp_path, rows):
    """A run folder with three pairs: two of a question with an image, one of another without."""
    files = RunFiles(tmp_path / "run")
    images = tmp_path / "images"
    images.mkdir()
    rows[0]["images"][0].save(images / "0.png")
    file = files.image_roots_file("questions")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"drawn": str(images)}))
    files.pairs("pair").replace(
        PreferencePair(
            id=f"{question}/{number}",
            question_id=question,
            prompt=f"What is there? {question}",
            chosen=rows[number]["chosen"],
            rejected=rows[number]["rejected"],
            origin=Origin.CORRECTNESS,
            images=paths,
        )
        for question, number, paths in [("q", 0, ("drawn/0.png",)), ("q", 1, ("drawn/0.png",)), ("r", 2, ())]
    )
    return files
