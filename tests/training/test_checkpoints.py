"""Damaged checkpoints: the newest whole one is taken, and what was left is said; a full disk takes nothing away."""

import json
import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import TrainerCallback

from mixpo.errors import UserError
from mixpo.models.base_model import make_model
from mixpo.models.weight_files import new_model, refuse_damaged, saving
from mixpo.training import checkpoints
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer

FILES = (
    "model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "training_args.bin",
    "config.json", "mpo_state.json",
)  # fmt: skip


def make(folder, processor, rows, **given):
    args = MPOConfig(
        output_dir=str(folder), per_device_train_batch_size=1, num_train_epochs=2, save_strategy="steps", save_steps=2,
        report_to="none", learning_rate=1e-3, disable_tqdm=True, use_cpu=True, layout="shared", warmup_steps=0, **given,
    )  # fmt: skip
    model = make_model(processor.tokenizer, seed=0)
    return MPOTrainer(model, args=args, train_dataset=rows[14:], processing_class=processor)  # without images: fast


def lines(trainer):
    return [(line["step"], line["loss"], line["grad_norm"]) for line in trainer.state.log_history if "loss" in line]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, processor, rows):
    """Four steps with two checkpoints, uninterrupted: the trainer, whose folder stays as it is."""
    trainer = make(tmp_path_factory.mktemp("whole"), processor, rows)
    trainer.train()
    return trainer


@pytest.fixture
def folder(tmp_path, trained):
    """A copy; what is damaged in it must be written anew, since its files are links."""
    return shutil.copytree(trained.args.output_dir, tmp_path / "out", copy_function=os.link)


@pytest.fixture
def chosen(trained, monkeypatch, capsys):
    """What a resumed training would go on from in a folder, and what it says."""

    def choose(folder):
        monkeypatch.setattr(trained.args, "output_dir", str(folder))
        capsys.readouterr()
        found = trained._newest_whole()
        return found and found.rpartition("/")[2], " ".join(capsys.readouterr().err.split())

    return choose


def damaged(path, how):
    content = path.read_bytes()
    path.unlink()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "half":
        path.write_bytes(content[: len(content) // 2])
    elif how == "bit":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["empty", "half", "bit", "missing"])
@pytest.mark.parametrize("name", FILES)
def test_the_newest_whole_one_is_taken_and_what_was_left_is_said(folder, chosen, name, how):
    assert chosen(folder) == ("checkpoint-4", "")
    damaged(folder / "checkpoint-4" / name, how)
    found, said = chosen(folder)
    assert found == "checkpoint-2"
    assert f"checkpoint-4 is left: {'it has no ' if how == 'missing' and name == 'mpo_state.json' else name}" in said
    assert said.endswith("training goes on from checkpoint-2: steps from 3 on are made again")
    assert (folder / "checkpoint-4").exists(), "a damaged one is nobody's to delete"
    damaged(folder / "checkpoint-2" / name, how)
    found, said = chosen(folder)
    assert found is None
    assert said.endswith("there is no whole one, training begins anew: steps from 1 on are made again")


def as_an_earlier_version(checkpoint):
    state = json.loads((checkpoint / "mpo_state.json").read_text())
    (checkpoint / "mpo_state.json").unlink()
    (checkpoint / "mpo_state.json").write_text(json.dumps({k: state[k] for k in state if k not in ("files", "sha256")}))


def test_a_checkpoint_of_an_earlier_version_is_looked_at_as_far_as_it_tells(folder, chosen):
    as_an_earlier_version(folder / "checkpoint-2")
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json"):
        for how in ("empty", "half", "missing", *(["bit"] if name == "optimizer.pt" else [])):
            other = shutil.copytree(folder, folder.parent / f"{name} {how}", copy_function=os.link)
            damaged(other / "checkpoint-4" / name, how)
            as_an_earlier_version(other / "checkpoint-4")
            found, said = chosen(other)
            assert found == "checkpoint-2", (name, how)
            assert name in said or ("model*" in said and how == "missing"), said


def test_no_bit_of_an_earlier_version_s_archive_ends_in_anything_but_a_clause(tmp_path):
    (tmp_path / "mpo_state.json").write_text("{}")
    path = tmp_path / "scheduler.pt"
    torch.save({"a": 1}, path)
    content = path.read_bytes()
    head = content.rindex(b"PK\1\2")  # an entry of the directory at its end
    for byte, bit in ((8, 1), (10, 8), (10, 12), (10, 14)):  # whether it is encrypted, and how it is packed
        changed = bytearray(content)
        changed[head + byte] ^= bit
        path.write_bytes(changed)
        assert checkpoints.damage(tmp_path).startswith("scheduler.pt is torn (")


def test_a_pipe_in_place_of_the_list_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "mpo_state.json")
    assert checkpoints.damage(tmp_path) == "mpo_state.json cannot be read (it is a pipe, no file)"


@pytest.mark.parametrize(
    ("lost", "begins"), [(("checkpoint-4",), 3), (("checkpoint-4", "checkpoint-2"), 1)], ids=["the newest", "both"]
)
def test_a_training_ends_as_if_nothing_had_been_damaged(folder, processor, rows, trained, lost, begins, capsys):
    """Without the optimizer's state it would go on, too, and end as another model."""
    for name in lost:
        damaged(folder / name / "optimizer.pt", "missing")
    resumed = make(folder, processor, rows)
    resumed.train(resume_from_checkpoint=True)
    assert f"steps from {begins} on are made again" in " ".join(capsys.readouterr().err.split())
    assert lines(resumed) == lines(trained)
    for left, right in zip(trained.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(left, right)
    assert {path.name: checkpoints.fault(path) for path in checkpoints.numbered(folder)} == {
        "checkpoint-4": "",
        "checkpoint-2": "",
    }


def test_a_path_means_that_one(folder, processor, rows, trained):
    damaged(folder / "checkpoint-4" / "scheduler.pt", "bit")
    for name, why in (("checkpoint-4", "scheduler.pt is not what was written"), ("checkpoint-3", "no such folder")):
        with pytest.raises(UserError, match=f"{name} is no whole checkpoint of an MPO training: .*{why}"):
            trained.train(resume_from_checkpoint=str(folder / name))
    (folder / "checkpoint-4" / "mine.txt").write_text("a note")  # what is not listed is no damage, and may be there
    damaged(folder / "checkpoint-4" / "mpo_state.json", "missing")  # as another program would have left it
    resumed = make(folder, processor, rows)
    resumed.train(resume_from_checkpoint=str(folder / "checkpoint-2"))
    assert lines(resumed) == lines(trained)
    assert checkpoints.fault(folder / "checkpoint-4") == ""
    assert (folder / "other-checkpoint-4" / "mine.txt").read_text() == "a note"
    (folder / "checkpoint-4" / "mine.txt").write_text("another")
    damaged(folder / "checkpoint-4" / "mpo_state.json", "missing")
    checkpoints.begin(folder / "checkpoint-4")  # a second time
    assert (folder / "other-checkpoint-4" / "mine.txt").read_text() == "a note"
    assert (folder / "other-other-checkpoint-4" / "mine.txt").read_text() == "another"


def test_a_model_alone_is_not_gone_on_from(folder, chosen):
    for checkpoint in (folder / "checkpoint-4", folder / "checkpoint-2"):
        damaged(checkpoint / "optimizer.pt", "missing")
        damaged(checkpoint / "mpo_state.json", "missing")
        checkpoints.seal(checkpoint, {})  # as with `save_only_model`
    found, said = chosen(folder)
    assert found is None
    assert "checkpoint-4 is left: it has no optimizer" in said


def test_what_a_kill_left_is_deleted_and_what_others_wrote_stays(folder, chosen):
    checkpoints.begin(folder / "checkpoint-6")
    (folder / "checkpoint-6" / "model.safetensors").write_bytes(b"half")
    (folder / "checkpoint-8").mkdir()  # another program's
    (folder / "checkpoint-mine").mkdir()
    found, said = chosen(folder)
    assert found == "checkpoint-4"
    assert "checkpoint-8 is left: it has no mpo_state.json" in said
    assert "checkpoint-6 is left: it was not written to its end" in said
    checkpoints.rotate(folder / "checkpoint-4", 1, None)
    assert {path.name for path in folder.iterdir()} == {"checkpoint-4", "checkpoint-8", "checkpoint-mine"}
    checkpoints.drop_checkpoints(folder)
    assert {path.name for path in folder.iterdir()} == {"checkpoint-8", "checkpoint-mine"}


@pytest.mark.parametrize("files", range(4))
def test_a_checkpoint_that_was_half_deleted_is_still_ours(tmp_path, monkeypatch, files):
    """A kill after so many of its files are gone: the next run deletes the rest."""
    checkpoint, unlink, left = tmp_path / "checkpoint-1", Path.unlink, files
    checkpoints.begin(checkpoint)
    for name in ("a", "b", "z"):
        (checkpoint / name).write_text("weights")
    checkpoints.seal(checkpoint, {})

    def killed(path, **how):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        unlink(path, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.discard(checkpoint)
    assert checkpoints.is_ours(checkpoint)
    checkpoints.drop_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_rotation_keeps_the_newest_and_the_best(tmp_path):
    for step in (1, 2, 3, 4, 9):
        checkpoints.begin(tmp_path / f"checkpoint-{step}")
        checkpoints.seal(tmp_path / f"checkpoint-{step}", {})
    newest = tmp_path / "checkpoint-4"

    def left(limit, best=None):
        checkpoints.rotate(newest, limit, best)
        return [checkpoints.step_of(path) for path in checkpoints.numbered(tmp_path)]

    assert left(None) == left(0) == left(4) == [9, 4, 3, 2, 1]
    assert left(3, str(tmp_path / "checkpoint-1")) == [9, 4, 3, 1]
    assert left(1, str(tmp_path / "checkpoint-1")) == [9, 4, 1]
    assert left(1) == [9, 4], "9 is of another training"


@contextmanager
def files_of_at_most(size):
    """As on a full disk, the kernel refuses to write beyond."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class FullDisk(TrainerCallback):
    """From a step on, until `close`."""

    def __init__(self, step, size):
        self.step, self.limit = step, files_of_at_most(size)

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.limit.__enter__()


SIZES = (2_000_000, 5_000_000)
"""Bytes: less than the weights' file, and less than the optimizer's."""


@pytest.mark.parametrize("size", SIZES, ids=["safetensors", "torch"])
def test_a_disk_that_fills_up_leaves_the_checkpoint_before(tmp_path, processor, rows, trained, size):
    trainer = make(tmp_path, processor, rows, save_total_limit=1)
    full = FullDisk(4, size)
    trainer.add_callback(full)
    try:
        with pytest.raises(UserError, match=r"checkpoint-4 cannot be written \(.+\); make room or choose another"):
            trainer.train()
    finally:
        full.limit.__exit__(None, None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]
    if size != max(SIZES):
        return
    resumed = make(tmp_path, processor, rows, save_total_limit=1)
    resumed.train(resume_from_checkpoint=True)
    assert lines(resumed) == lines(trained)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]


def test_every_library_that_writes_a_model_gives_the_sentence(tmp_path, processor):
    weights = {"w": torch.zeros(10_000)}
    writers = {
        "safetensors": lambda path: save_file(weights, path),
        "torch": lambda path: torch.save(weights, path),
        "tokenizers": lambda path: processor.tokenizer.backend_tokenizer.save(str(path)),
        "python": lambda path: path.write_bytes(bytes(10_000)),
    }
    for name, write in writers.items():
        with files_of_at_most(2_000), pytest.raises(UserError, match="cannot be written"), saving(tmp_path / name):
            write(tmp_path / name)
    with pytest.raises(RuntimeError, match="a fault of ours"), saving(tmp_path):
        raise RuntimeError("a fault of ours")


def test_a_model_is_whole_or_not_there(tmp_path, processor):
    with files_of_at_most(100_000), pytest.raises(UserError, match="model cannot be written"):  # noqa: SIM117
        with new_model(tmp_path / "model") as place:
            make_model(processor.tokenizer, seed=0).save_pretrained(place)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("config.json", "missing", "config.json is missing"),
        ("config.json", "half", "config.json is no JSON"),
        ("model.safetensors", "missing", "model.safetensors is missing"),
        ("model.safetensors", "half", "model.safetensors is torn"),
        ("model.safetensors", "empty", "model.safetensors is torn"),
    ],
)
def test_a_damaged_model_is_not_taken_for_a_finished_one(folder, name, how, said):
    refuse_damaged(folder / "checkpoint-4")
    damaged(folder / "checkpoint-4" / name, how)
    with pytest.raises(UserError, match=f"checkpoint-4 is damaged: {said}.*; delete that folder and run again"):
        refuse_damaged(folder / "checkpoint-4")
