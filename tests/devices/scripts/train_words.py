"""What a `train` section that says nothing is on a GPU, and steps as its words say: frozen parts, an adapter."""

import json
import random
import tempfile
from pathlib import Path

import devices.on_null_gpu  # noqa: F401
from mixpo.files import BASE_MODEL
from mixpo.models.load import load_model, load_processor
from mixpo.training.section import Config, arguments
from mixpo.training.train import make_trainer
from mixpo.training.words import Lora

folder = Path(tempfile.mkdtemp())
processor = load_processor(str(BASE_MODEL))
load_model(str(BASE_MODEL), "bfloat16").save_pretrained(folder / "halved")
words = "red blue circle left of the square".split()
rng = random.Random(0)


def text():
    return " ".join(rng.choice(words) for _ in range(8))


rows = [
    {"images": [], "prompt": [{"role": "user", "content": text()}], "chosen": text(), "rejected": text()}
    for _ in range(4)
]
found = {}
args = arguments(Config(), folder / "plain")
names = ("bf16", "fp16", "gradient_checkpointing", "gradient_checkpointing_kwargs", "dataloader_pin_memory")
found["arguments"] = {name: getattr(args, name) for name in names} | {"optim": args.optim.value}
found["workers"] = args.dataloader_num_workers
found["persistent"] = args.dataloader_persistent_workers
for name, given in {"frozen": {"freeze": ("vision", "language")}, "adapted": {"lora": Lora(r=2)}}.items():
    config = Config(batch=4, micro_batch=2, workers=0, layout="paired", **given)
    args = arguments(config, folder / name)
    trainer = make_trainer(config, args, str(folder / "halved"), processor, rows)
    trainer.train()
    trained = {one.dtype for one in trainer.model.parameters() if one.requires_grad}
    held = {one.dtype for one in trainer.model.parameters() if not one.requires_grad}
    found[name] = {
        "steps": trainer.state.global_step, "trained": sorted(map(str, trained)), "held": sorted(map(str, held)),
        "devices": sorted({one.device.type for one in trainer.model.parameters()}),
    }  # fmt: skip
print(json.dumps(found))
