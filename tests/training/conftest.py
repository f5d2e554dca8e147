"""A tiny InternVL with its processor, and preference rows with drawn images."""

import io
import random

import pytest
import torch
from PIL import Image

from mixpo.questions.scenes.scene import draw, make_scene
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
