"""Two processes (gloo, DDP) compute what one does: loss, gradient and evaluation, whatever images the ranks have."""

import copy
import json
import shutil

import pytest
import torch

from fixtures.engines import given_by
from fixtures.processes import two_processes
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.models.load import load_model
from mixpo.training import train
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer
from mixpo.videos import Frames
from training.families import conftest as families


@pytest.fixture
def mixed(rows):
    """Of batches of two, the second rank gets no image at all: 2 and 3, then 6 and, repeated, 0."""
    alone = {**rows[4], "images": []}
    return [rows[0], rows[1], rows[14], rows[15], rows[2], rows[3], alone]


def one_step(folder, model, processor, rows, accumulation, **given):
    """One optimizer step over all rows: gradients, what is logged, and an evaluation on the same rows."""
    config = MPOConfig(
        output_dir=str(folder), per_device_train_batch_size=2, per_device_eval_batch_size=2, max_grad_norm=0,
        gradient_accumulation_steps=accumulation, train_sampling_strategy="sequential", save_strategy="no",
        report_to="none", disable_tqdm=True, use_cpu=True, learning_rate=0.0, **given,
    )  # fmt: skip
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    trainer = MPOTrainer(
        model, args=config, train_dataset=rows, eval_dataset=rows, processing_class=processor, ref_model=reference
    )
    trainer.shift.update(3.0, 10)
    trainer.create_optimizer()
    gradients = {}
    trainer.optimizer.step = lambda *args, **kwargs: gradients.update(
        {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    )
    trainer.train()
    shift = trainer.shift.value
    trainer.evaluate()
    first, *_, last = trainer.state.log_history
    return {
        "gradients": gradients, "logged": first, "evaluated": last, "layout": str(trainer.layout), "shift": shift,
        "wrapped": type(trainer.model_wrapped).__name__, "steps": trainer.state.global_step,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "given"),
    [(7, {"layout": "auto"}), (2, {"layout": "paired"}), (7, {"row_tokens": 200})],
    ids=["auto", "a rank without rows", "rows of 200 tokens"],
)
def test_two_processes_equal_one(tmp_path, model, processor, mixed, count, given):
    rows = mixed[:count]
    two = two_processes(tmp_path, one_step, tmp_path / "two", copy.deepcopy(model), processor, rows, 2, **given)
    one = one_step(tmp_path / "one", copy.deepcopy(model), processor, rows, 4, **given)
    assert two["wrapped"] == "DistributedDataParallel"
    assert two["layout"] == one["layout"]
    assert two["steps"] == one["steps"] == 1
    # A mean of rewards of either sign, each 0.1 times a difference of sums near -300 in float32.
    assert two["shift"] == pytest.approx(one["shift"], abs=1e-5)
    for line in ("logged", "evaluated"):
        same = [name for name in one[line] if not name.endswith(("tokens", "runtime", "_per_second"))]
        assert {name: two[line][name] for name in same} == pytest.approx(
            {name: one[line][name] for name in same}, rel=1e-5, abs=1e-5
        )
    scale = max(gradient.abs().max().item() for gradient in one["gradients"].values())
    for name, gradient in one["gradients"].items():
        torch.testing.assert_close(two["gradients"][name], gradient, rtol=1e-4, atol=1e-5 * scale, msg=name)
    assert not any(two["gradients"][name].any() for name in two["gradients"].keys() - one["gradients"].keys())


def test_the_step_train_in_two_processes(tmp_path, run_folder):
    """Three pairs, two a step: of the last step the second process has none. The log is that of one process."""
    other = RunFiles(tmp_path / "other")
    shutil.copytree(run_folder.root, other.root)
    config = train.Config(batch=2, micro_batch=1, learning_rate=1e-3, warmup=0.0)
    two_processes(tmp_path, train.run, config, run_folder)
    train.run(config, other)
    logs = []
    for files in (run_folder, other):
        load_model(str(files.checkpoints("train") / "model"))
        assert not list(files.checkpoints("train").glob("checkpoint-*"))
        lines = (files.checkpoints("train") / "log.jsonl").read_text().splitlines()
        logs.append([json.loads(line) for line in lines if "loss/quality" in line])
    assert [line["step"] for line in logs[0]] == [line["step"] for line in logs[1]] == [1, 2]
    for two, one in zip(*logs, strict=True):
        for key in ("loss", "loss/quality", "rewards/margins", "grad_norm", "reward_shift"):
            assert two[key] == pytest.approx(one[key], rel=1e-3, abs=1e-4), key


def test_a_batch_that_processes_cannot_share_is_a_sentence(run_folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UserError, match=r"times the processes \(4\)"):
        train.run(train.Config(batch=2, micro_batch=1), run_folder)


def three_steps(folder, model, processor, rows):
    config = MPOConfig(
        output_dir=str(folder), use_cpu=True, per_device_train_batch_size=1, gradient_checkpointing=True, max_steps=3,
        save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    trainer = MPOTrainer(model, args=config, train_dataset=rows, processing_class=processor)
    trainer.train()
    return trainer.state.global_step


def test_a_tower_whose_last_layer_nobody_reads_and_checkpointed_layers(tmp_path, rows, monkeypatch):
    """LLaVA as it is published, as a GPU trains it by default."""
    monkeypatch.setitem(families.CLIP, "num_hidden_layers", 2)
    kind, config, processor = families.llava()
    config.vision_feature_layer = -2
    torch.manual_seed(0)
    assert two_processes(tmp_path, three_steps, tmp_path, kind(config), processor, rows[:6]) == 3


def filmed(folder, model, processor, rows, engine, accumulation):
    """What is logged of three steps and their evaluations, shards gathered whenever the tower is run."""
    config = MPOConfig(
        output_dir=str(folder), use_cpu=True, per_device_train_batch_size=1, gradient_accumulation_steps=accumulation,
        per_device_eval_batch_size=1, eval_strategy="steps", eval_steps=1, train_sampling_strategy="sequential",
        save_strategy="no", report_to="none", disable_tqdm=True, learning_rate=1e-3, warmup_steps=0,
        num_train_epochs=1, optim="adamw_torch", layout="shared", **given_by(engine, folder),
    )  # fmt: skip
    trainer = MPOTrainer(model, args=config, train_dataset=rows, eval_dataset=rows[:2], processing_class=processor)
    trainer.train()
    names = ("loss", "eval_loss", "grad_norm", "rewards/margins", "eval_loss/quality")
    return [{name: line[name] for name in names if name in line} for line in trainer.state.log_history]


def test_videos_on_one_process_alone(tmp_path, rows):
    """Of a family whose tower runs once for images and once for videos: nobody waits for a process without either."""
    kind, config, processor = families.qwen2_5_vl()
    prompt = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "how many"}]}]
    frames = Frames(tuple(row["images"][0].resize((56, 42)) for row in rows[:4]), 2.0)
    film = {"images": [frames], "prompt": prompt, "chosen": "one", "rejected": "two"}
    picture = {**film, "images": [frames.images[0]], "prompt": [{"role": "user", "content": "how many"}]}
    text = {**picture, "images": []}
    given = [film, picture, text, film, picture, text]
    torch.manual_seed(0)
    model = kind(config)
    two = two_processes(tmp_path, filmed, tmp_path / "two", copy.deepcopy(model), processor, given, "fsdp2", 1)
    one = filmed(tmp_path / "one", model, processor, given, "", 2)
    assert len(two) == len(one) == 7
    for line, expected in zip(two, one, strict=True):
        assert line == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_examples_of_a_step_are_no_longer_the_workers(tmp_path, model, processor, rows):
    config = MPOConfig(
        output_dir=str(tmp_path), use_cpu=True, per_device_train_batch_size=2, gradient_accumulation_steps=2,
        dataloader_num_workers=1, report_to="none",
    )  # fmt: skip
    trainer = MPOTrainer(model, args=config, train_dataset=rows, processing_class=processor)
    trainer.state.max_steps = 1
    micro_batches, _ = trainer.get_batch_samples(iter(trainer.get_train_dataloader()), 2, config.device)
    tensors = [one for group in micro_batches for example in group for one in example.image_inputs.values()]
    assert tensors
    assert not any(one.is_shared() for one in tensors)
