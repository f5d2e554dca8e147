"""What the checks train on and ask: pairs about drawn scenes, for the small model that ships with mixpo."""

import io
import random
from typing import Any

from PIL import Image

from mixpo.files import BASE_MODEL
from mixpo.models.load import load_model, load_processor
from mixpo.questions.scenes.scene import draw, make_scene
from mixpo.responses.backend import Request
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer

WORDS = "How many red circles are there Let me look closely Final answer one two three".split()


def picture(number: int) -> Image.Image:
    scene = make_scene(random.Random(number), "train", chart=False, things=(3, 6))
    return Image.open(io.BytesIO(draw(scene, str(number)))).convert("RGB")


def rows(count: int, longest: int = 30) -> list[dict[str, Any]]:
    """Pairs of very different lengths, four to a question, with an image each."""
    rng = random.Random(0)

    def text() -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, longest)))

    return [
        {
            "images": [picture(number // 4)], "question_id": number // 4, "chosen": text(), "rejected": text(),
            "prompt": [{"role": "user", "content": f"What is there {number // 4}?"}],
        }
        for number in range(count)
    ]  # fmt: skip


def requests(count: int, samples: int) -> list[Request]:
    return [
        Request(
            id=str(number), prompt="How many red circles are there?", images=(picture(number),),
            samples=tuple(range(samples)),
        )
        for number in range(count)
    ]  # fmt: skip


def base() -> Any:
    return load_model(str(BASE_MODEL))


def processor() -> Any:
    return load_processor(str(BASE_MODEL))


def trainer(folder: str, model: Any = None, pairs: int = 8, **given: Any) -> MPOTrainer:
    """Of two micro-batches a step over few pairs; the rest of its arguments is given."""
    settings = {
        "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 2, "save_strategy": "no",
        "report_to": "none", "disable_tqdm": True, "warmup_steps": 0,
    }  # fmt: skip
    args = MPOConfig(output_dir=folder, **{**settings, **given})
    return MPOTrainer(model or base(), args=args, train_dataset=rows(pairs), processing_class=processor())
