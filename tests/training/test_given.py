"""What MPOTrainer is given: TRL's order, what is loaded by name, what is refused; `from mixpo import MPOTrainer`."""

import inspect
import logging
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import TrainingArguments

import mixpo
from mixpo import MPOConfig, MPOTrainer
from mixpo.batches.encode import Encoder
from mixpo.errors import DataError, UserError
from mixpo.models.load import load_model
from training.test_trl_arguments import Alike

OPTIONS = {
    "use_cpu": True, "report_to": "none", "max_steps": 1, "per_device_train_batch_size": 4, "save_strategy": "no",
    "disable_tqdm": True, "logging_steps": 1,
}  # fmt: skip
ORDER = (
    "model ref_model args data_collator train_dataset eval_dataset processing_class compute_metrics callbacks "
    "optimizers quantization_config peft_config"
)


@pytest.fixture
def args(tmp_path):
    return MPOConfig(str(tmp_path / "out"), **OPTIONS)


def first_line(trainer):
    trainer.train()
    return trainer.state.log_history[0]


def test_the_package_is_light_and_has_the_trainer_on_request():
    code = (
        "import sys, mixpo; assert {'MPOTrainer', 'MPOConfig', '__version__'} <= set(dir(mixpo));"
        "print(mixpo.__version__, *sorted({'torch', 'transformers', 'datasets', 'pydantic'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert found.stdout.split() == [mixpo.__version__]
    with pytest.raises(AttributeError, match="module 'mixpo' has no attribute 'DPOTrainer'"):
        mixpo.DPOTrainer  # noqa: B018


def test_the_order_is_trls():
    mine = [name for name in inspect.signature(MPOTrainer.__init__).parameters if name not in ("self", "others")]
    assert mine == ORDER.split()
    trl = pytest.importorskip("trl", reason="TRL is not installed: pip install 'mixpo[bench]'")
    assert mine == [name for name in inspect.signature(trl.DPOTrainer.__init__).parameters if name != "self"]


def test_by_position_and_with_a_name_alone(args, checkpoint, rows, monkeypatch):
    """The processor and the model are loaded from the name; a reference that is given is one by its name, too."""
    trainer = MPOTrainer(checkpoint, checkpoint, args, None, rows)
    assert type(trainer.processing_class).__name__ == "InternVLProcessor"
    assert first_line(trainer)["loss/preference"] == pytest.approx(math.log(2), abs=1e-5)
    monkeypatch.chdir(args.output_dir)
    alone = MPOTrainer(checkpoint, train_dataset=rows)
    assert (alone.args.output_dir, alone.args.learning_rate, alone.objective.quality_weight) == ("base-MPO", 5e-6, 0.2)


def test_the_processor_is_that_of_the_model(args, checkpoint, model, rows, caplog):
    trainer = MPOTrainer(load_model(checkpoint), args=args, train_dataset=rows)
    assert trainer.processing_class.tokenizer.get_vocab() == Encoder(trainer.processing_class).tokenizer.get_vocab()
    with pytest.raises(UserError, match="MPOTrainer needs processing_class"):
        MPOTrainer(model, args=args, train_dataset=rows)  # made here, loaded from nowhere
    args.model_init_kwargs = {"dtype": "bfloat16"}
    with caplog.at_level(logging.WARNING):
        MPOTrainer(load_model(checkpoint), args=args, train_dataset=rows)
    assert "model_init_kwargs are for a model given by name" in caplog.text


def test_model_init_kwargs_are_used_for_a_name(args, checkpoint, rows):
    args.model_init_kwargs = {"dtype": torch.bfloat16, "attn_implementation": "eager"}
    model = MPOTrainer(checkpoint, args=args, train_dataset=rows).model
    assert (model.dtype, model.config.vision_config._attn_implementation) == (torch.bfloat16, "eager")
    for given, words in (
        ({"dtype": "float7"}, "'float7' is none of auto, float32"),
        ({"dtpe": "float32"}, "dtpe"),
        ("dtype=float32", "must be a dictionary"),
    ):
        args.model_init_kwargs = given
        with pytest.raises(UserError, match=words):
            MPOTrainer(checkpoint, args=args, train_dataset=rows)


def test_a_dpo_configuration_as_it_is(tmp_path, model, processor, rows):
    """Its loss alone: sigmoid, with its learning rate."""
    given = Alike(str(tmp_path), use_cpu=True, report_to="none", max_steps=1, save_strategy="no", logging_steps=1)
    trainer = MPOTrainer(model, args=given, train_dataset=rows, processing_class=processor)
    line = first_line(trainer)
    assert (line["loss"], line["learning_rate"]) == (pytest.approx(math.log(2), abs=1e-5), 1e-6)
    assert "loss/generation" not in line


def test_plain_training_arguments_train_mpo(tmp_path, model, processor, rows):
    given = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", max_steps=1, save_strategy="no")
    line = first_line(MPOTrainer(model, args=given, train_dataset=rows, processing_class=processor))
    assert line["loss"] == pytest.approx(1.2 * math.log(2) + line["loss/generation"], abs=1e-5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data_collator": list}, "'data_collator': MPOTrainer encodes rows itself"),
        ({"compute_metrics": print}, "'compute_metrics': evaluation keeps no logits"),
        ({"preprocess_logits_for_metrics": print}, "'preprocess_logits_for_metrics'"),
        ({"tokenizer": "x"}, "'tokenizer': give the model's processor as processing_class"),
        ({"beta": 0.3}, r"'beta': say it in args, as MPOConfig\(beta=0.3\)"),
        ({"padding": 1}, "'padding': leave it out"),
        ({"quantization_config": 1}, "quantization_config is for a model given by name"),
        ({"args": {"beta": 1}}, "args must be an MPOConfig"),
        ({"ref_model": TrainingArguments("out", use_cpu=True)}, "second argument of MPOTrainer is ref_model"),
        ({"args": MPOConfig("out", use_cpu=True, fp16=True)}, "fp16=True needs a GPU"),
        (
            {"args": MPOConfig("out", use_cpu=True, train_sampling_strategy="group_by_length")},
            "needs a column 'length'",
        ),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_the_rest_is_refused_in_a_sentence(args, model, processor, rows, given, words):
    with pytest.raises(UserError, match=words):
        MPOTrainer(**{"model": model, "args": args, "train_dataset": rows, "processing_class": processor, **given})
    with pytest.raises(UserError, match="the same object"):
        MPOTrainer(model, model, args, train_dataset=rows, processing_class=processor)


def test_what_is_set_after_the_arguments_were_made_counts(args, model, processor, rows):
    args.loss_type = ["sigmoid"]
    trainer = MPOTrainer(model, args=args, train_dataset=rows, processing_class=processor)
    assert (trainer.args.quality_weight, trainer.args.generation_weight) == (0.0, 0.0)
    args.use_weighting = True
    with pytest.raises(UserError, match="use_weighting=True"):
        MPOTrainer(model, args=args, train_dataset=rows, processing_class=processor)


def test_optimizers_are_used(args, model, processor, rows):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    trainer = MPOTrainer(model, args=args, train_dataset=rows, processing_class=processor, optimizers=(optimizer, None))
    trainer.train()
    assert trainer.optimizer.optimizer is optimizer
    kind = (torch.optim.SGD, {"lr": 1e-3})
    trainer = MPOTrainer(
        model, args=args, train_dataset=rows, processing_class=processor, optimizer_cls_and_kwargs=kind
    )
    assert isinstance(trainer.create_optimizer(), torch.optim.SGD)


def test_several_evaluation_sets_each_have_their_numbers(args, model, processor, rows):
    data = {"first": rows[:2], "second": rows[2:4]}
    trainer = MPOTrainer(model, args=args, train_dataset=rows, eval_dataset=data, processing_class=processor)
    metrics = trainer.evaluate()
    names = ("loss", "rewards/accuracies", "loss/generation")
    assert {f"eval_{part}_{name}" for part in data for name in names} <= metrics.keys()
    assert metrics["eval_first_loss/generation"] != metrics["eval_second_loss/generation"]


def test_max_length_counts_the_prompt_and_cuts_completions(processor, rows):
    plain = Encoder(processor)(rows[0])
    length = len(plain.prompt_ids)
    cut = Encoder(processor, max_length=length + 3)(rows[0])
    assert cut.prompt_ids == plain.prompt_ids
    assert cut.completions == [ids[:3] for ids in plain.completions]
    with pytest.raises(DataError, match=f"the prompt has {length} tokens, which max_length={length} leaves"):
        Encoder(processor, max_length=length)(rows[0])


def test_max_length_reaches_the_encoder(args, model, processor, rows):
    args.max_length = 50
    trainer = MPOTrainer(model, args=args, train_dataset=rows, processing_class=processor)
    assert trainer.collator.encoder.max_length == 50


def test_one_data_set_is_trained_on(args, checkpoint, rows):
    with pytest.raises(UserError, match=r"several data sets \(train, test\); give one"):
        MPOTrainer(checkpoint, args=args, train_dataset={"train": rows, "test": rows})


def test_the_card_is_written_as_trls_scripts_ask_for_it(args, checkpoint, rows):
    """They end with `trainer.push_to_hub(dataset_name=...)`, which hands the name on."""
    trainer = MPOTrainer(checkpoint, args=args, train_dataset=rows)
    trainer.create_model_card(model_name="mine", dataset_name="some/pairs", tags=["mpo"])
    card = (Path(args.output_dir) / "README.md").read_text()
    assert "some/pairs" in card
    assert "- mpo" in card
