import copy
import json
import math

import pytest
import torch

from mixpo.batches.encode import Encoder
from mixpo.batches.grouping import passes
from mixpo.batches.layout import Layout, lay_out
from mixpo.batches.positions import PositionAssigner
from mixpo.errors import DataError, UserError
from mixpo.models.chat import Chat
from mixpo.models.head import output_head
from mixpo.models.load import load_model, switch_dropout_off
from mixpo.training.choose_layout import is_shared_exact
from mixpo.training.config import MPOConfig
from mixpo.training.distributed import Processes
from mixpo.training.scoring import score
from mixpo.training.trainer import MPOTrainer


def config(folder, **given):
    values = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 1e-3,
        "layout": "shared",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return MPOConfig(**{**values, **given})


def train(folder, model, processor, rows, resume=None, **given):
    trainer = MPOTrainer(model, args=config(folder, **given), train_dataset=rows, processing_class=processor)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def history(trainer):
    return [line for line in trainer.state.log_history if "loss" in line]


def plain_logps(model, processor, row):
    """Both completions' log-probabilities by the usual way: one padless sequence each, all logits, log-softmax."""
    parts = [{"type": "image"} for _ in row["images"]] + [{"type": "text", "text": row["prompt"][0]["content"]}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=False
    )
    options = {"images": [row["images"]]} if row["images"] else {}
    # As the processor gives it, token types included: what the model sees when it generates.
    inputs = dict(processor(text=[text], return_tensors="pt", add_special_tokens=False, **options))
    prompt = inputs["input_ids"].shape[1]
    sums = []
    for key in ("chosen", "rejected"):
        written = processor.tokenizer(row[key], add_special_tokens=False)["input_ids"]
        completion = [*written, Chat(processor).end_of_turn]
        grown = {
            name: grow(value, len(completion)) if value.shape[:2] == (1, prompt) else value
            for name, value in inputs.items()
        }
        grown["input_ids"][0, prompt:] = torch.tensor(completion)
        grown["attention_mask"] = torch.ones_like(grown["input_ids"])
        with torch.no_grad():
            logits = model(**grown).logits[0].double()
        picked = logits.log_softmax(-1)[prompt - 1 : -1].gather(1, torch.tensor(completion)[:, None])
        sums.append(picked.sum().item())
    return sums


def grow(value, count):
    """Zeros are the types of text; what is attended to apart stays as it is for the prompt's last token."""
    new = torch.zeros(1, count, dtype=value.dtype) if value.dim() == 2 else value[:, -1:].expand(1, count, -1, -1)
    return torch.cat([value, new], dim=1)


def test_scores_equal_plain_log_probabilities(model, processor, rows):
    model.eval()
    expected = [logp for row in rows for logp in plain_logps(model, processor, row)]
    examples = [Encoder(processor)(row) for row in rows]
    for layout in (Layout.SHARED, Layout.PAIRED):
        with torch.no_grad():
            logps = score(model, lay_out(examples, layout, 0), output_head(model), chunk=7)
        torch.testing.assert_close(logps.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-4)


def test_every_family_is_scored_as_it_generates(tmp_path, family, rows):
    """Three-dimensional positions, bidirectional image attention and cross-attention included: `paired` always, `auto`
    as it chooses."""
    model, processor = family
    rows = sorted(rows[10:], key=lambda row: len(row["images"]))  # the order of `passes`
    expected = [logp for row in rows for logp in plain_logps(model, processor, row)]
    examples = [PositionAssigner(model)(Encoder(processor)(row)) for row in rows]
    head = output_head(model)

    def scored(layout):
        with torch.no_grad():
            return torch.cat([score(model, lay_out(row, layout, 0), head, chunk=64) for row in passes(examples, None)])

    processes = Processes(config(tmp_path), lambda: None)
    layouts = [Layout.PAIRED] + ([Layout.SHARED] if is_shared_exact(scored, model, processes) else [])
    for layout in layouts:
        torch.testing.assert_close(
            scored(layout).double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=1e-3
        )


def test_auto_is_not_decided_by_text_alone(tmp_path, gemma, rows):
    """The first step has no image: AUTO waits for one that has, and then sees that its tokens see each other."""
    model, processor = copy.deepcopy(gemma[0]), gemma[1]
    for one in (model.config.get_text_config(), *model.modules()):
        if getattr(one, "sliding_window", None):
            one.sliding_window = 512  # longer rows are not compared
    ordered = [rows[14], rows[15], rows[0], rows[1]]
    trainer = MPOTrainer(
        model,
        args=config(
            tmp_path,
            layout="auto",
            per_device_train_batch_size=1,
            learning_rate=0.0,
            train_sampling_strategy="sequential",
        ),
        train_dataset=ordered,
        processing_class=processor,
    )
    trainer.train()
    assert trainer.layout is Layout.PAIRED
    expected = torch.tensor([logp for row in ordered[2:] for logp in plain_logps(model, processor, row)])
    examples = [Encoder(processor)(row) for row in ordered[2:]]
    with torch.no_grad():
        found = score(model, lay_out(examples, trainer.layout, 0), output_head(model), 64)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-3)


def test_the_first_loss_under_autocast(tmp_path, model, processor, rows):
    """Policy and reference run in the same precision: the preference loss is ln 2 in bfloat16, too."""
    line = history(train(tmp_path, model, processor, rows, bf16=True))[0]
    assert line["loss/preference"] == pytest.approx(math.log(2), abs=1e-5)


def test_an_adapter_trained_before_is_part_of_the_reference(tmp_path, model, processor, rows):
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj"]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.1)
    line = history(train(tmp_path, adapted, processor, rows))[0]
    assert line["loss/preference"] == pytest.approx(math.log(2), abs=1e-5)


def test_users_mistakes_are_sentences(tmp_path, model, processor, rows):
    with pytest.raises(DataError, match="training set is empty"):
        train(tmp_path, model, processor, [])
    with pytest.raises(DataError, match="row 0: a row has no prompt"):
        train(tmp_path, model, processor, [{"images": [], "chosen": "a", "rejected": "b"}])
    with pytest.raises(DataError, match="no 'rejected'"):
        train(tmp_path, model, processor, [*rows[:3], {**rows[3], "rejected": None}])
    (tmp_path / "checkpoint-1").mkdir()
    with pytest.raises(UserError, match="no whole checkpoint"):
        train(tmp_path, model, processor, rows, resume=str(tmp_path / "checkpoint-1"))


def test_a_policy_that_diverges_stops_with_a_sentence(tmp_path, model, processor, rows):
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="training diverged at step 1"):
        train(tmp_path, model, processor, rows)


def test_the_first_loss_is_what_theory_says(tmp_path, model, processor, rows):
    """Policy equals reference: 0.8 ln 2 + 0.2 * 2 ln 2 + L_g = 0.831777 + L_g."""
    lines = history(train(tmp_path, model, processor, rows))
    first = lines[0]
    assert first["loss"] == pytest.approx(0.8317766 + first["loss/generation"], abs=1e-4)
    assert first["expected_first_loss"] == pytest.approx(first["loss"], abs=1e-4)
    assert first["loss/preference"] == pytest.approx(math.log(2), abs=1e-5)
    assert first["loss/quality"] == pytest.approx(2 * math.log(2), abs=1e-5)
    assert len(lines) == 2
    assert all(line["loss"] > 0 for line in lines)
    assert "expected_first_loss" not in lines[1]


def test_the_generation_loss_is_a_mean_over_sequences(tmp_path, model, processor, rows):
    """Each sequence by its own length, then over the pairs: not a token mean."""
    model.eval()
    values = []
    for row in rows:
        values.append(-plain_logps(model, processor, row)[0] / len(Encoder(processor)(row).completions[0]))
    trainer = train(tmp_path, model, processor, rows, per_device_train_batch_size=16, gradient_accumulation_steps=1)
    assert history(trainer)[0]["loss/generation"] == pytest.approx(sum(values) / len(values), rel=1e-5)


def gradients(folder, model, processor, rows, **given):
    """The gradient of one optimizer step over all rows."""
    args = config(folder, learning_rate=0.0, **given)  # no step is made
    trainer = MPOTrainer(copy.deepcopy(model), args=args, train_dataset=rows, processing_class=processor)
    # A policy away from its reference, and a shift away from 0, so that every term has a gradient of its own.
    with torch.no_grad():
        for number, parameter in enumerate(trainer.model.parameters()):
            generator = torch.Generator().manual_seed(number)
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    trainer.shift.update(3.0, 10)
    kept = {}
    trainer.create_optimizer()
    trainer.optimizer.step = lambda *args, **kwargs: kept.update(
        {
            name: parameter.grad.clone()
            for name, parameter in trainer.model.named_parameters()
            if parameter.grad is not None
        }
    )
    trainer.train()
    return kept, history(trainer)[0]


@pytest.mark.parametrize(
    "given",
    [
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8},
        {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1},
        {"layout": "paired"},
        {"score_chunk": 3},
        {"gradient_checkpointing": True},
        {"recompute": "elementwise"},
    ],
    ids=["micro-batches of 2", "one batch", "paired", "chunks of 3", "gradient checkpointing", "recompute"],
)
def test_loss_and_gradient_do_not_depend_on_how_they_are_computed(tmp_path, model, processor, rows, given):
    common = {"max_grad_norm": 0, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    expected, first = gradients(tmp_path / "a", model, processor, rows, **common)
    found, line = gradients(tmp_path / "b", model, processor, rows, **{**common, **given})
    assert line["loss"] == pytest.approx(first["loss"], rel=1e-5)
    assert found.keys() == expected.keys()
    scale = max(gradient.abs().max().item() for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-4, atol=1e-5 * scale, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_the_step_averages_over_pairs_when_the_last_one_is_smaller(tmp_path, model, processor, rows):
    """10 rows, 4 a step: the third step has 2 pairs; its loss is their mean, not half of it."""
    trainer = train(tmp_path, model, processor, rows[:10], per_device_train_batch_size=2, gradient_accumulation_steps=2,
                    learning_rate=0.0)  # fmt: skip
    for line in history(trainer):
        parts = 0.8 * line["loss/preference"] + 0.2 * line["loss/quality"] + line["loss/generation"]
        assert line["loss"] == pytest.approx(parts, rel=1e-5)
    assert len(history(trainer)) == 3


def test_the_reward_shift_holds_previous_steps_only(tmp_path, model, processor, rows):
    lines = history(train(tmp_path, model, processor, rows, num_train_epochs=2))
    step_means = [(line["rewards/chosen"] + line["rewards/rejected"]) / 2 for line in lines]
    shifts = [0.0]
    for number in range(1, len(lines) + 1):
        shifts.append(sum(step_means[:number]) / number)
    # The logged value is the one after the step.
    assert [line["reward_shift"] for line in lines] == pytest.approx(shifts[1:], rel=1e-5, abs=1e-7)
    assert lines[0]["loss/quality"] == pytest.approx(2 * math.log(2), abs=1e-5)


def test_supervised_training_needs_neither_rejected_nor_reference(tmp_path, model, processor, rows):
    plain = [{key: value for key, value in row.items() if key != "rejected"} for row in rows]
    trainer = train(tmp_path, model, processor, plain, preference_weight=0.0, quality_weight=0.0, num_train_epochs=6,
                    learning_rate=3e-3)  # fmt: skip
    assert trainer.reference is None
    lines = history(trainer)
    assert lines[0]["loss"] == pytest.approx(lines[0]["loss/generation"], rel=1e-5)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert "rewards/margins" not in lines[0]


def test_training_prefers_the_chosen(tmp_path, model, processor, rows):
    """Ten epochs on 16 pairs: every chosen completion is rewarded above its rejected one."""
    lines = history(train(tmp_path, model, processor, rows, num_train_epochs=10, learning_rate=3e-3))
    assert lines[-1]["rewards/accuracies"] >= 0.9
    assert lines[-1]["rewards/margins"] > 0.5


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_equals_uninterrupted(tmp_path, model, processor, rows, workers):
    given = {
        "num_train_epochs": 3, "save_strategy": "steps", "save_steps": 3, "save_total_limit": 2,
        "dataloader_num_workers": workers,
    }  # fmt: skip
    whole = train(tmp_path / "whole", copy.deepcopy(model), processor, rows, **given)
    train(tmp_path / "cut", copy.deepcopy(model), processor, rows, **given)
    # As after a kill while the last checkpoint was being written: its weights are torn, its state file is missing.
    (tmp_path / "cut" / "checkpoint-6" / "mpo_state.json").unlink()
    (tmp_path / "cut" / "checkpoint-6" / "model.safetensors").write_bytes(b"torn")
    resumed = train(tmp_path / "cut", copy.deepcopy(model), processor, rows, resume=True, **given)
    keys = ("step", "loss", "loss/quality", "rewards/margins", "grad_norm", "learning_rate", "reward_shift")
    assert [[line[key] for key in keys] for line in history(resumed)] == [
        [line[key] for key in keys] for line in history(whole)
    ]
    for (name, left), right in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(left, right), name


def test_weights_of_a_checkpoint_are_loaded_strictly(tmp_path, model, processor, rows):
    train(tmp_path, model, processor, rows, save_strategy="steps", save_steps=1, max_steps=1)
    from safetensors.torch import load_file, save_file

    path = tmp_path / "checkpoint-1" / "model.safetensors"
    weights = load_file(path)
    weights.pop(next(name for name in weights if "mlp" in name))
    save_file(weights, path, metadata={"format": "pt"})
    # As an earlier version wrote it, without a list of its files.
    state = path.with_name("mpo_state.json")
    state.write_text(json.dumps({name: json.loads(state.read_text())[name] for name in ("reward_shift", "layout")}))
    with pytest.raises(UserError, match="1 keys differ, the first is model.language_model.layers"):
        train(tmp_path, copy.deepcopy(model), processor, rows, resume=True, max_steps=2)


def test_the_trained_model_loads_and_generates(tmp_path, model, processor, rows):
    trainer = train(tmp_path, model, processor, rows)
    trainer.save_model(str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    for (name, left), right in zip(trainer.model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(left, right), name
    example = Encoder(processor)(rows[0])
    out = loaded.generate(input_ids=torch.tensor([example.prompt_ids]), **example.image_inputs, max_new_tokens=4)
    assert out.shape[1] > len(example.prompt_ids)


def test_lora_uses_the_model_without_its_adapter_as_reference(tmp_path, model, processor, rows):
    peft = pytest.importorskip("peft")
    before = copy.deepcopy(model)
    lora = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    trainer = MPOTrainer(model, args=config(tmp_path, learning_rate=1e-2, num_train_epochs=4), train_dataset=rows,
                         processing_class=processor, peft_config=lora)  # fmt: skip
    trainer.train()
    lines = history(trainer)
    assert lines[0]["loss/preference"] == pytest.approx(math.log(2), abs=1e-5)
    assert lines[-1]["rewards/margins"] > lines[0]["rewards/margins"]
    batch = trainer.collator.batch([trainer.collator.encoder(row) for row in rows], Layout.SHARED)
    with torch.no_grad():
        expected = score(before.eval(), batch, output_head(before), 64)
    torch.testing.assert_close(trainer.reference(batch, 64), expected, rtol=1e-5, atol=1e-4)
    assert trainer.model.training


def test_dropout_is_switched_off(processor, rows):
    from transformers import InternVLForConditionalGeneration

    from mixpo.models.base_model import make_model

    plain = make_model(processor.tokenizer, seed=0)
    settings = plain.config
    settings.text_config.attention_dropout = 0.5
    settings.vision_config.hidden_dropout_prob = 0.5
    settings.vision_config.attention_dropout = 0.5
    model = InternVLForConditionalGeneration(settings)
    batch = lay_out([Encoder(processor)(row) for row in rows[:2]], Layout.SHARED, 0)
    model.train()
    head = output_head(model)
    assert not torch.equal(score(model, batch, head, 64), score(model, batch, head, 64))
    switch_dropout_off(model)
    assert torch.equal(score(model, batch, head, 64), score(model, batch, head, 64))


def test_evaluation_reports_the_same_keys(tmp_path, model, processor, rows):
    trainer = MPOTrainer(
        model, args=config(tmp_path), train_dataset=rows, eval_dataset=rows[:6], processing_class=processor
    )
    trainer = MPOTrainer(
        model,
        args=config(tmp_path, per_device_eval_batch_size=4),
        train_dataset=rows,
        eval_dataset=rows[:6],
        processing_class=processor,
    )
    metrics = trainer.evaluate()
    # Batches of 4 and 2: the mean over six pairs, not over two batches.
    values = [-plain_logps(model, processor, row)[0] / len(Encoder(processor)(row).completions[0]) for row in rows[:6]]
    assert metrics["eval_loss"] == pytest.approx(0.8317766 + sum(values) / 6, rel=1e-5)
    line = trainer.state.log_history[-1]
    assert line["eval_loss/preference"] == pytest.approx(math.log(2), abs=1e-5)
    assert "eval_rewards/accuracies" in line
    json.dumps(line)


def test_auto_layout_keeps_shared_where_it_is_equal(tmp_path, model, processor, rows):
    trainer = train(tmp_path, model, processor, rows, layout="auto", max_steps=1)
    assert trainer.layout is Layout.SHARED
