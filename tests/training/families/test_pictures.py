"""Pictures of every size and mode, through sampling and training: read, or refused with a reason, each for itself."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from mixpo.batches.encode import Encoder
from mixpo.batches.grouping import passes
from mixpo.batches.layout import Layout, lay_out
from mixpo.batches.positions import PositionAssigner
from mixpo.images import ImageRoots
from mixpo.models.head import output_head
from mixpo.records import Dropped, DropReason, Origin, PreferencePair
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.training.config import MPOConfig
from mixpo.training.rows import RowDataset
from mixpo.training.scoring import score
from mixpo.training.selection import usable
from mixpo.training.trainer import MPOTrainer

PROMPT = "how many red circles"
GREEDY = SamplingParams(temperature=0, max_new_tokens=3, logps=True)
TAKEN = {
    "good.png": (64, 64), "pixel.png": (1, 1), "tiny.png": (28, 28), "small.png": (13, 9), "grey.png": (60, 80),
    "bits.png": (60, 80), "palette.png": (60, 80), "alpha.png": (60, 80), "deep.png": (50, 40), "cmyk.jpg": (60, 80),
    "turned.jpg": (90, 40),
}  # fmt: skip
THIN = {"upright.png": (2, 600), "lying.png": (600, 2), "column.png": (1, 300), "line.png": (300, 1)}
MODES = {"grey": "L", "bits": "1", "palette": "P", "alpha": "RGBA", "cmyk": "CMYK"}
REFUSE_THIN = {"qwen2_5_vl", "qwen3_vl", "mistral3"}
"""Their processors take no sides of more than 200 to 1, or of no pixels after resizing."""


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, (width, height) in {**TAKEN, **THIN}.items():
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        image = image.convert(MODES.get(name.partition(".")[0], "RGB"))
        if name == "deep.png":
            image = Image.fromarray(rng.integers(0, 2**16, (height, width), dtype=np.uint16))
        image.save(folder / name, **({"exif": exif} if name == "turned.jpg" else {}))
    return ImageRoots({"own": folder})


def request(roots, name):
    return Request(id=name, prompt=PROMPT, images=(roots.open(f"own/{name}"),))


def test_sampling_takes_a_picture_or_drops_its_question_alone(family, roots):
    backend = TransformersBackend(copy.deepcopy(family.model), family.processor)
    alone = {name: next(backend.complete([request(roots, name)], GREEDY)) for name in (*TAKEN, *THIN)}
    dropped = {name for name, record in alone.items() if isinstance(record, Dropped)}
    assert dropped == (set(THIN) if family.name in REFUSE_THIN else set())
    assert {alone[name].reason for name in dropped} <= {DropReason.BAD_IMAGE}
    for record in backend.complete([request(roots, name) for name in alone], GREEDY):
        if isinstance(record, Dropped):
            assert alone.pop(record.id).detail == record.detail
        else:
            assert alone.pop(record.request_id).logp == pytest.approx(record.logp, abs=1e-3), record.request_id
    assert not alone


def test_training_takes_a_picture_or_leaves_its_pair_out_before_it_begins(family, roots, tmp_path):
    def pair(name):
        return PreferencePair(
            id=name, question_id=name, prompt=PROMPT, chosen="one", rejected="two", origin=Origin.CORRECTNESS,
            images=(f"own/{name}",),
        )  # fmt: skip

    dropped, encoder, model = [], Encoder(family.processor), copy.deepcopy(family.model)
    kept = usable(map(pair, (*TAKEN, *THIN)), encoder, roots, "train", dropped)
    refused = set(THIN) if family.name in REFUSE_THIN else set()
    assert {record.id for record in dropped if record.reason is DropReason.BAD_IMAGE} == refused
    assert len(kept) + len(refused) == len(TAKEN) + len(THIN)
    rows = RowDataset([one for one in kept if one.id in ("tiny.png", "pixel.png")], roots)
    config = MPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=1, max_steps=2, save_strategy="no", report_to="none",
        disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = MPOTrainer(model, args=config, train_dataset=rows, processing_class=family.processor)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] > 0
    assigned, head = PositionAssigner(model), output_head(model)
    examples = [assigned(encoder(row)) for row in map(RowDataset(kept, roots).__getitem__, range(len(kept)))]
    with torch.no_grad():
        logps = torch.cat([score(model, lay_out(one, Layout.PAIRED, 0), head, 64) for one in passes(examples, None)])
        alone = torch.cat([score(model, lay_out([one], Layout.PAIRED, 0), head, 64) for one in examples])
    torch.testing.assert_close(logps, alone, rtol=1e-4, atol=1e-4)
