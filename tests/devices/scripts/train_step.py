"""Optimizer steps of the shipped base model: waits inside a micro-batch and in all, launches, the attention chosen.

What is given as `name=value` goes to `MPOConfig`.
"""

import io
import json
import random
import sys
import tempfile
from collections import Counter

from PIL import Image
from torch._dynamo.utils import counters
from yaml import safe_load

from devices.on_null_gpu import counted, counts, waits
from mixpo.files import BASE_MODEL
from mixpo.models.load import load_model, load_processor
from mixpo.questions.scenes.scene import draw, make_scene
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer

BASE = str(BASE_MODEL)
STEPS, MICRO_BATCHES = 3, 2
WORDS = "How many red circles are there Let me look closely Final answer one two three".split()


def rows(count: int) -> list[dict[str, object]]:
    """Four pairs of each question, with its own picture."""
    rng = random.Random(0)
    text = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 30))) for _ in range(2 * count)]
    scenes = [make_scene(random.Random(n), "train", chart=False, things=(3, 6)) for n in range(count)]
    return [
        {
            "images": [Image.open(io.BytesIO(draw(scenes[n // 4], str(n // 4)))).convert("RGB")],
            "prompt": [{"role": "user", "content": f"What is there {n // 4}?"}],
            "chosen": text[2 * n],
            "rejected": text[2 * n + 1],
            "question_id": n // 4,
        }
        for n in range(count)
    ]


class Counting(MPOTrainer):
    """The first step is not counted: it chooses the layout and compiles."""

    def get_batch_samples(self, *given, **more):
        if self.state.global_step == 1:
            everywhere.clear()
            began.update(counts())
        return super().get_batch_samples(*given, **more)

    def training_step(self, *given, **more):
        before = Counter(everywhere)
        with counted() as found:
            loss = super().training_step(*given, **more)
        if self.state.global_step:
            inside.update(everywhere - before)
            launched.update(found)
        return loss


config = MPOConfig(
    output_dir=tempfile.mkdtemp(), per_device_train_batch_size=4, gradient_accumulation_steps=MICRO_BATCHES,
    max_steps=STEPS, save_strategy="no", report_to="none", disable_tqdm=True,
    **{name: safe_load(value) for name, value in (one.split("=") for one in sys.argv[1:])},
)  # fmt: skip
trainer = Counting(load_model(BASE), args=config, train_dataset=rows(8), processing_class=load_processor(BASE))
inside, launched, began = Counter(), Counter(), {}
with waits() as everywhere:
    trainer.train()
counted_steps = STEPS - 1
print(
    json.dumps(
        {
            "device": str(config.device),
            "attention": trainer.model.get_decoder().config._attn_implementation,
            "tower": trainer.model.get_encoder(modality="image").config._attn_implementation,
            "layout": trainer.layout,
            "waits": {place: count / counted_steps / MICRO_BATCHES for place, count in inside.items()},
            "step_waits": {place: count / counted_steps for place, count in everywhere.items()},
            "launches": launched["launches"] / counted_steps / MICRO_BATCHES,
            "step_launches": (counts()["launches"] - began["launches"]) / counted_steps,
            "graphs": counters["stats"]["unique_graphs"],
        }
    )
)
