"""Few records are trained on, and a training that changed nothing is no training."""

import copy
import json
from dataclasses import replace

import pytest
import torch

from mixpo.errors import DataError, UserError
from mixpo.models.load import load_model
from mixpo.records import Demonstration
from mixpo.training import few_records
from mixpo.training.config import MPOConfig
from mixpo.training.moved import checksums
from mixpo.training.section import Config
from mixpo.training.sharding import Sharding
from mixpo.training.train import Lora, arguments, run
from mixpo.training.trainer import MPOTrainer


def rates(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["learning_rate"] for line in lines if "loss" in line]


def weights(path):
    return load_model(str(path)).state_dict()


def differ(one, other):
    return [name for name, weight in one.items() if not weight.equal(other[name])]


# -- what is learned ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pairs", "demonstrations"])
def test_three_records_train_with_the_defaults(run_folder, checkpoint, rows, kind, capsys):
    """Every step at a learning rate above 0; the batch is the data's, which is said."""
    config = Config(model=checkpoint)
    if kind == "demonstrations":
        run_folder.demonstrations("shown").replace(
            Demonstration(id=f"q{number}", question_id="q", prompt="What?", text=rows[number]["chosen"])
            for number in range(3)
        )
        config = replace(config, demonstrations="shown")
    run(config, run_folder)
    folder = run_folder.checkpoints("train")
    assert len(rates(folder)) == 3
    assert rates(folder)[0] == config.learning_rate
    assert min(rates(folder)) > 0
    assert differ(weights(folder / "model"), weights(checkpoint))
    said = " ".join(capsys.readouterr().err.split())
    assert "note: train: 3 records make 1 step of the default batch, 256: 1 a step instead, 3 steps" in said


def test_a_batch_that_is_said_is_taken(run_folder, checkpoint, capsys):
    """Its one step is at the peak."""
    run(Config(model=checkpoint, batch=64), run_folder)
    folder = run_folder.checkpoints("train")
    assert rates(folder) == [5e-6]
    assert differ(weights(folder / "model"), weights(checkpoint))
    said = " ".join(capsys.readouterr().err.split())
    assert "note: train: 3 records make 1 step of `batch: 64`; a smaller batch makes more of them" in said


def test_an_adapter_on_few_records_trains(run_folder, checkpoint):
    pytest.importorskip("peft")
    run(Config(model=checkpoint, lora=Lora(r=2, target_modules=("q_proj",))), run_folder)
    changed = differ(weights(run_folder.checkpoints("train") / "model"), weights(checkpoint))
    assert changed
    assert all(name.endswith("q_proj.weight") for name in changed)


# -- how many a step ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "given", "processes", "expected"),
    [
        (3, {}, 1, (1, 1)),
        (40, {}, 1, (4, 4)),
        (40, {}, 2, (4, 2)),
        (40, {}, 8, (8, 1)),  # each process has a pair
        (40, {"epochs": 4.0}, 1, (32, 16)),
        (300, {}, 1, (32, 16)),
        (300, {"micro_batch": 4}, 4, (32, 4)),
        (1800, {}, 1, (256, 16)),  # eight steps, the last of 8 pairs
        (3_000_000, {}, 1, (256, 16)),
        (40, {"batch": 64}, 1, (64, 16)),
        (40, {"trainer": {"max_steps": 2}}, 1, (256, 16)),
    ],
)
def test_the_default_batch_is_halved_until_there_are_eight_steps(records, given, processes, expected):
    config = Config(**given)
    used = few_records.fitted(config, records, processes)
    assert (used.batch, used.micro_batch) == expected
    assert used.batch % (used.micro_batch * processes) == 0
    assert (used is config) == (used.batch == config.batch)


def test_compared_trainings_keep_their_batch(monkeypatch):
    monkeypatch.setenv(few_records.SAME_BATCH, "true")
    config = Config()
    assert few_records.fitted(config, 40) is config
    assert "make 1 step of `batch: 256`" in few_records.note(config, config, 40)


def test_a_training_begun_before_batches_were_fitted_keeps_its_own(tmp_path):
    config = Config(name="train")
    assert few_records.used(config, 40, 1, tmp_path).batch == 4
    (tmp_path / "data.json").write_text('{"sha256": "", "records": 40}')
    assert few_records.used(config, 40, 1, tmp_path).batch == 4  # no step of it was kept
    (tmp_path / "checkpoint-1").mkdir()
    assert few_records.used(config, 40, 1, tmp_path).batch == 256
    (tmp_path / "data.json").write_text('{"sha256": "", "records": 40, "batch": 256}')
    assert few_records.used(config, 40, 1, tmp_path).batch == 256  # resumed a second time
    (tmp_path / "data.json").write_text('{"sha256": "", "records": 40, "batch": 4}')
    assert few_records.used(config, 40, 1, tmp_path).batch == 4


@pytest.mark.parametrize(("share", "steps", "expected"), [
    (0.05, 1, 0), (0.05, 2, 0), (0.05, 19, 0), (0.05, 20, 1), (0.05, 21, 2), (0.05, 1000, 50),
    (0.9, 1, 0), (0.9, 5, 4), (3, 2, 1), (3, 100, 3), (0, 10, 0),
])  # fmt: skip
def test_no_training_is_all_warm_up(tmp_path, share, steps, expected):
    args = MPOConfig(output_dir=str(tmp_path), warmup_steps=share, use_cpu=True)
    assert args.get_warmup_steps(steps) == expected


def test_all_held_out_is_a_sentence(run_folder, checkpoint):
    with pytest.raises(DataError, match=r"train: held_out: 0.9999 takes all 3 records; say less"):
        run(Config(model=checkpoint, held_out=0.9999), run_folder)


# -- nothing moved -----------------------------------------------------------------------------------------------------


def args(folder, **given):
    usual = {"learning_rate": 1e-3, "per_device_train_batch_size": 2, "layout": "shared", "save_strategy": "no"}
    told = {"output_dir": str(folder), "report_to": "none", "disable_tqdm": True, "use_cpu": True}
    return MPOConfig(**{**usual, **told, **given})


def trainer_on(folder, model, processor, rows, peft_config=None, **given):
    return MPOTrainer(
        model, args=args(folder, **given), train_dataset=rows, processing_class=processor, peft_config=peft_config
    )


def test_one_step_from_python_trains(tmp_path, model, processor, rows):
    before = copy.deepcopy(model.state_dict())
    trainer = trainer_on(tmp_path, model, processor, rows[:2])
    trainer.train()
    assert trainer.state.max_steps == 1
    assert differ(model.state_dict(), before)


def test_a_training_that_changed_no_weight_is_an_error(tmp_path, model, processor, rows):
    with pytest.raises(UserError, match=r"changed no weight: at a learning rate of 1e-60 .* too short; raise it"):
        trainer_on(tmp_path, model, processor, rows[:2], learning_rate=1e-60).train()
    with pytest.raises(UserError, match=r"changed no weight: it made no step; look at max_steps"):
        trainer_on(tmp_path, model, processor, rows[:2], max_steps=0).train()
    with pytest.raises(DataError, match=r"dataloader_drop_last drops all 1 rows: .* has 2"):
        trainer_on(tmp_path, model, processor, rows[:1], dataloader_drop_last=True)
    same = [{**row, "rejected": row["chosen"]} for row in rows[:2]]
    with pytest.raises(UserError, match=r"changed no weight: every gradient was 0; chosen and rejected"):
        trainer_on(tmp_path, model, processor, same, generation_weight=0.0, quality_weight=0.0).train()
    trainer_on(tmp_path, model, processor, rows[:2], learning_rate=0.0).train()  # which is what it says
    with pytest.raises(UserError, match=r"is held in torch.bfloat16, where a step of 1e-60 is lost"):
        trainer_on(tmp_path, model.to(torch.bfloat16), processor, rows[:2], learning_rate=1e-60, bf16=True).train()


def test_a_training_that_was_stopped_is_compared_with_its_start(tmp_path, model, processor, rows):
    """Nothing is left to be done when it goes on, and the saved weights are others than the first ones."""
    start = copy.deepcopy(model)
    trainer_on(tmp_path, model, processor, rows[:2], save_strategy="steps", save_steps=1).train()
    again = trainer_on(tmp_path, start, processor, rows[:2], save_strategy="steps", save_steps=1)
    again.train(resume_from_checkpoint=True)
    assert not differ(start.state_dict(), model.state_dict())


def test_a_trainer_that_is_done_may_be_asked_again(tmp_path, model, processor, rows):
    """A cell of a notebook that is run twice: the checkpoint's weights are those that the model has."""
    trainer = trainer_on(tmp_path, model, processor, rows[:2], save_strategy="steps", save_steps=1)
    for _ in range(2):
        trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 1


def test_a_checksum_sees_one_bit(model):
    class Alone:
        gathered = Sharding.gathered
        fsdp = zero = False

    before = list(checksums(model, Alone()))
    assert list(checksums(copy.deepcopy(model), Alone())) == before
    weight = model.lm_head.weight
    with torch.no_grad():
        weight[3, 5] = torch.nextafter(weight[3, 5], torch.tensor(1.0))
    after = list(checksums(model, Alone()))
    assert [a - b for a, b in zip(after, before) if a != b] in ([1], [-1])


# -- adapters ----------------------------------------------------------------------------------------------------------


def first_weights(trainer):
    return {name: one.detach().clone() for name, one in trainer.model.named_parameters() if "lora_A" in name}


def test_the_seed_decides_an_adapters_first_weights(tmp_path, checkpoint, processor, rows):
    """Of a recipe's training, and of one from Python, whatever was drawn before."""
    peft = pytest.importorskip("peft")
    from mixpo.training.train import make_trainer

    found = {}
    for seed in (1, 2, 1):
        torch.rand(seed)
        config = Config(lora=Lora(r=2, target_modules=("q_proj",)), seed=seed, batch=16)
        by_recipe = make_trainer(config, arguments(config, tmp_path), checkpoint, processor, rows)
        lora = peft.LoraConfig(r=2, lora_alpha=32, target_modules=["q_proj"])
        by_hand = trainer_on(tmp_path, load_model(checkpoint), processor, rows, peft_config=lora, seed=seed)
        for one in (first_weights(by_recipe), first_weights(by_hand)):
            assert not differ(one, found.setdefault(seed, one))
    assert len(differ(found[1], found[2])) == len(found[1])


def test_a_second_adapter_is_refused_and_a_trained_one_goes_on(tmp_path, model, processor, rows):
    peft = pytest.importorskip("peft")
    lora = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    peft.get_peft_model(copy.deepcopy(model), lora).save_pretrained(tmp_path / "adapter")
    adapted = peft.PeftModel.from_pretrained(copy.deepcopy(model), tmp_path / "adapter", is_trainable=True)
    with pytest.raises(UserError, match=r"has an adapter already, .* leave peft_config out .* or merge it first"):
        trainer_on(tmp_path, adapted, processor, rows, peft_config=lora)
    trainer = trainer_on(tmp_path, adapted, processor, rows[:2])
    before = first_weights(trainer)
    trainer.train()
    line = trainer.state.log_history[0]
    assert line["loss"] == pytest.approx(line["expected_first_loss"], abs=1e-4)  # the reference has the adapter, too
    assert differ(first_weights(trainer), before)
    frozen = peft.PeftModel.from_pretrained(model, tmp_path / "adapter")
    with pytest.raises(UserError, match=r"no weight of the model is to be trained .* is_trainable=True"):
        trainer_on(tmp_path, frozen, processor, rows)


def test_an_adapter_alone_is_no_model(tmp_path, run_folder, checkpoint, processor):
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(load_model(checkpoint), peft.LoraConfig(r=2, target_modules=["q_proj"]))
    adapted.save_pretrained(tmp_path / "adapter")
    sentence = rf"adapter' is an adapter alone, of {checkpoint}: merge it"
    with pytest.raises(UserError, match=sentence):
        run(Config(model=str(tmp_path / "adapter")), run_folder)
    processor.save_pretrained(tmp_path / "adapter")
    with pytest.raises(UserError, match=sentence):
        run(Config(model=str(tmp_path / "adapter")), run_folder)
