"""`layout: auto` of every family, whatever its weights and the precision it computes in."""

import copy
from itertools import product

import pytest
import torch

from mixpo.batches.encode import Encoder
from mixpo.batches.layout import Layout, lay_out
from mixpo.batches.positions import PositionAssigner
from mixpo.models.attention import prepare
from mixpo.models.head import output_head
from mixpo.training.choose_layout import is_shared_exact
from mixpo.training.config import MPOConfig
from mixpo.training.distributed import Processes
from mixpo.training.scoring import score
from mixpo.training.trainer import MPOTrainer

PAIRED = {"gemma3", "paligemma", "mllama"}
"""They attend in both directions within the image, or the prompt, or to images apart from the prompt's tokens."""


def chosen(family, rows, tmp_path, model):
    examples = [PositionAssigner(model)(Encoder(family.processor)(row)) for row in rows if family.takes(row)]
    head = output_head(model)
    processes = Processes(MPOConfig(output_dir=str(tmp_path), use_cpu=True), lambda: None)
    with torch.no_grad():
        return is_shared_exact(
            lambda layout: score(model, lay_out(examples, layout, 0), head, chunk=64), model, processes
        )


@pytest.mark.parametrize("attention", ["ours", "eager"])
def test_weights_do_not_matter(family, rows, tmp_path, attention):
    """Random ones from small to large, in float32 and in bfloat16. Small ones move log-probabilities by less than
    rounding when tokens see later ones."""
    model = copy.deepcopy(family.model)
    if attention == "ours":
        prepare(model, torch.device("cpu"))
    else:
        model.get_decoder().config._attn_implementation = "eager"
    for seed, (scale, dtype) in enumerate(product((0.005, 0.02, 0.2), (torch.float32, torch.bfloat16))):
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(std=scale)
        found = chosen(family, rows[:3], tmp_path, copy.deepcopy(model).to(dtype))
        assert found == (family.name not in PAIRED), (scale, dtype)


def test_autocast_does_not_matter(family, rows, tmp_path):
    config = MPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=2, max_steps=1, save_strategy="no", report_to="none",
        disable_tqdm=True, use_cpu=True, bf16=True,
    )  # fmt: skip
    trainer = MPOTrainer(
        copy.deepcopy(family.model), args=config, train_dataset=rows[:2], processing_class=family.processor
    )
    trainer.train()
    assert trainer.layout is (Layout.PAIRED if family.name in PAIRED else Layout.SHARED)
    assert trainer.model.training
