"""The first optimizer steps of one of two ranks, as `accelerate launch` starts it: sharded_step.py ddp|fsdp2.

Collectives do nothing (torch's fake process group), and every value reads as zero.
"""
# ruff: noqa: E402  (the environment comes first)

import json
import os
import sys
import tempfile
from pathlib import Path

KIND = sys.argv[1]
STEPS = 1 if KIND == "ddp" else 2
os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", ACCELERATE_MIXED_PRECISION="bf16")
if KIND == "fsdp2":
    import yaml

    recipe = Path(__file__).parents[3] / "recipes" / "accelerate" / "fsdp2.yaml"
    given = yaml.safe_load(recipe.read_text())["fsdp_config"]
    os.environ.update({key.upper(): str(value) for key, value in given.items()}, ACCELERATE_USE_FSDP="true")

import torch
import torch.distributed as dist
import torch.nn.parallel.distributed as ddp
from torch.testing._internal.distributed.fake_pg import FakeStore

from devices.on_null_gpu import waits
from fixtures.pairs_run import TEXTS, picture
from mixpo.models.base_model import make_model, make_processor, make_tokenizer
from mixpo.models.load import load_model
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer

begin = dist.init_process_group
dist.init_process_group = dist.distributed_c10d.init_process_group = lambda *_, **__: begin(
    "fake", store=FakeStore(), rank=0, world_size=2
)
# DDP reads what others would have said, and waits for their gradients: what stands in for that holds for one step.
ddp._verify_param_shape_across_processes = lambda *_, **__: True
made = ddp.DistributedDataParallel.__init__


def alone(_state, bucket):
    future = torch.futures.Future(devices=[torch.device("cuda:0")])
    future.set_result(bucket.buffer())
    return future


def make(self, *args, **given):
    made(self, *args, **given)
    self.register_comm_hook(None, alone)


ddp.DistributedDataParallel.__init__ = make
folder = tempfile.mkdtemp()
processor = make_processor(make_tokenizer(TEXTS * 5, vocab_size=300))
make_model(processor.tokenizer, seed=0).save_pretrained(folder)
config = MPOConfig(
    output_dir=folder, per_device_train_batch_size=2, max_steps=STEPS, save_strategy="no", report_to="none",
    layout="shared", attention="sdpa", disable_tqdm=True, row_tokens=100, ddp_find_unused_parameters=False,
)  # fmt: skip
rows = [
    {
        "images": [picture(n // 2)],
        "prompt": [{"role": "user", "content": TEXTS[0]}],
        "chosen": TEXTS[1],
        "rejected": TEXTS[n % 4],
    }
    for n in range(8)
]
trainer = MPOTrainer(load_model(folder), args=config, train_dataset=rows, processing_class=processor)
scored = trainer.reference.model, trainer.model
with waits() as places:
    trainer.train()
head = scored[0].lm_head.weight
print(
    json.dumps(
        {
            "steps": trainer.state.global_step,
            "wrapped": type(trainer.model_wrapped).__name__,
            "bf16": config.bf16,
            "attention": trainer.model.get_decoder().config._attn_implementation,
            "waits": dict(places),
            "policy": str(next(trainer.model.parameters()).dtype),
            "reference": [str(head.dtype), str(head.device), list(getattr(head, "to_local", lambda: head)().shape)],
        }
    )
)
os._exit(0)  # nothing is left for the fake group to say
