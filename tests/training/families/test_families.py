"""Every family: scored as it generates, trained, saved, resumed, in the layout that it can take."""

import copy
import shutil
from dataclasses import replace

import pytest
import torch

from mixpo.batches.collator import Collator
from mixpo.batches.encode import Encoder
from mixpo.batches.grouping import passes
from mixpo.batches.layout import Layout, lay_out
from mixpo.batches.positions import PositionAssigner
from mixpo.errors import DataError
from mixpo.images import ImageRoots
from mixpo.losses.mix import Objective, mix
from mixpo.models.head import output_head
from mixpo.models.load import load_model, switch_dropout_off
from mixpo.records import DropReason, Origin, PreferencePair
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.training import recompute
from mixpo.training.config import MPOConfig
from mixpo.training.optimizer_step import terms_of
from mixpo.training.policy import freeze, halve_frozen, parameters_of
from mixpo.training.reading import Speller
from mixpo.training.scoring import score
from mixpo.training.selection import usable
from mixpo.training.trainer import MPOTrainer
from mixpo.training.words import Part

CHOSEN = {"gemma3": Layout.PAIRED, "paligemma": Layout.PAIRED, "mllama": Layout.PAIRED}
"""What `auto` chooses; shared for the others. The first two attend in both directions within the image, or the prompt,
the third to images apart from the prompt's tokens."""


def encoded(family, rows):
    continuation, encoder = PositionAssigner(family.model), Encoder(family.processor)
    return [continuation(encoder(row)) for row in rows if family.takes(row)]


def scored(family, examples, layout):
    """By completion, in the order of the examples, whatever the forward passes."""
    head, found = output_head(family.model), {}
    for row in passes(examples, None):
        with torch.no_grad():
            logps = iter(score(family.model, lay_out(row, layout, 0), head, chunk=5))
        found |= {id(example): [next(logps) for _ in example.completions] for example in row}
    return torch.stack([logp for example in examples for logp in found[id(example)]])


def test_completions_are_scored_as_the_model_generates_them(family, rows):
    """Two sampled completions a prompt: the sum of their log-probabilities while they were written."""
    examples, expected = [], []
    for example in encoded(family, [rows[0], rows[4], rows[6]]):
        types = {name: torch.tensor([values]) for name, values in example.token_types.items()}
        torch.manual_seed(0)
        out = family.model.generate(
            input_ids=torch.tensor([example.prompt_ids]), **example.image_inputs, **types, do_sample=True,
            min_new_tokens=6, max_new_tokens=6, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
        written = out.sequences[0, len(example.prompt_ids) :]
        logps = torch.cat(out.logits).log_softmax(-1).gather(1, written[:, None]).squeeze(1)
        # The first three tokens, too, are what was written up to there.
        examples.append(replace(example, completions=[written.tolist(), written[:3].tolist()]))
        expected += [logps.sum(), logps[:3].sum()]
    layouts = {Layout.PAIRED, CHOSEN.get(family.name, Layout.SHARED)}
    for layout in layouts:
        torch.testing.assert_close(scored(family, examples, layout), torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_shared_rows_give_the_paired_gradient_of_every_parameter(family, rows):
    if family.name in CHOSEN:
        pytest.skip("auto chooses the paired layout")
    examples, found = encoded(family, rows), []
    for layout in (Layout.PAIRED, Layout.SHARED):
        batch, model = lay_out(examples, layout, 0), copy.deepcopy(family.model)
        logps = score(model, batch, output_head(model), chunk=64)
        loss = mix(terms_of(batch, logps, logps.detach() - 0.1 * batch.lengths), Objective(), shift=0.3).total.mean()
        loss.backward()
        found.append((loss, {name: parameter.grad for name, parameter in model.named_parameters()}))
    (paired, expected), (shared, gradients) = found
    torch.testing.assert_close(shared, paired, rtol=1e-5, atol=0)
    scale = max(gradient.abs().max() for gradient in expected.values() if gradient is not None).item()
    for name, gradient in expected.items():
        assert (gradients[name] is None) == (gradient is None), name
        if gradient is not None:
            torch.testing.assert_close(
                gradients[name], gradient, rtol=1e-3, atol=1e-5 * scale, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_padding_of_shared_rows_changes_nothing(family, rows):
    """As on a GPU, where FlexAttention takes whole blocks of tokens; here with a dense mask."""
    if family.name in CHOSEN:
        pytest.skip("auto chooses the paired layout")
    model = copy.deepcopy(family.model)
    model.get_decoder().config._attn_implementation = "eager"
    found = []
    for multiple in (1, 128):
        batch = lay_out(encoded(family, rows), Layout.SHARED, 0, multiple)
        logps = score(model, batch, output_head(model), chunk=64)
        found.append([logps, *torch.autograd.grad(logps.sum(), model.get_input_embeddings().weight)])
    for padded, plain in zip(*found, strict=True):
        torch.testing.assert_close(padded, plain, rtol=1e-4, atol=1e-4)
    assert batch.inputs["input_ids"].shape[1] % 128 == 0


def test_activations_computed_again_give_the_same_gradient(family, rows, monkeypatch):
    monkeypatch.setattr(recompute, "SHORT", 8)  # tiny models have square products, too
    examples, found = passes(encoded(family, rows), None)[-1], []
    layout = CHOSEN.get(family.name, Layout.SHARED)
    for again in (False, True):
        model = copy.deepcopy(family.model).train()
        switch_dropout_off(model)
        if again:
            recompute.recompute_elementwise(model)
            assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        score(model, lay_out(examples, layout, 0), output_head(model), chunk=64).sum().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for gradient, expected in zip(*found, strict=True):
        assert (gradient is None) == (expected is None)
        assert gradient is None or torch.equal(gradient, expected)


def trained(folder, family, rows, resume=None):
    config = MPOConfig(
        output_dir=str(folder), per_device_train_batch_size=2, gradient_accumulation_steps=2, learning_rate=1e-3,
        warmup_steps=0, num_train_epochs=1, save_strategy="steps", save_steps=1, report_to="none", disable_tqdm=True,
        use_cpu=True,
    )  # fmt: skip
    model = copy.deepcopy(family.model)
    rows = [row for row in rows if family.takes(row)]
    trainer = MPOTrainer(model, args=config, train_dataset=rows, processing_class=family.processor)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def test_training_resumes_and_what_is_saved_generates(family, rows, tmp_path):
    """Seven pairs (six without the text-only one), four a step: a resume's second step is the uninterrupted run's."""
    whole = trained(tmp_path / "whole", family, rows)
    assert whole.layout is CHOSEN.get(family.name, Layout.SHARED)
    lines = [line for line in whole.state.log_history if "loss" in line]
    assert len(lines) == 2
    assert lines[0]["loss"] == pytest.approx(lines[0]["expected_first_loss"], rel=1e-4)
    assert lines[1]["rewards/margins"] != 0
    shutil.copytree(tmp_path / "whole" / "checkpoint-1", tmp_path / "cut" / "checkpoint-1")
    resumed = trained(tmp_path / "cut", family, rows, resume=True)
    assert [line for line in resumed.state.log_history if "loss" in line] == lines
    for (name, left), right in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(left, right), name
    loaded = load_model(str(tmp_path / "whole" / "checkpoint-2"))
    for (name, left), right in zip(whole.model.named_parameters(), loaded.named_parameters(), strict=True):
        assert torch.equal(left, right[1]), name
    example = encoded(family, rows[:1])[0]
    types = {name: torch.tensor([values]) for name, values in example.token_types.items()}
    prompt = torch.tensor([example.prompt_ids])
    before, after = (
        model.eval().generate(input_ids=prompt, **example.image_inputs, **types, max_new_tokens=4, min_new_tokens=4)
        for model in (whole.model, loaded)
    )
    assert after.shape[1] == prompt.shape[1] + 4
    assert torch.equal(before, after)


def test_a_row_that_the_processor_refuses_is_a_sentence(family, rows):
    if family.takes(rows[6]):
        pytest.skip("takes text alone")
    encoder, dropped = Encoder(family.processor), []
    with pytest.raises(DataError, match="PaliGemmaProcessor refuses a row: `images` are expected"):
        encoder(rows[6])
    with pytest.raises(DataError, match="pair-17: PaliGemmaProcessor refuses"):
        Collator(encoder)([{"id": "pair-17", **rows[6]}])
    pairs = [
        PreferencePair(id=name, question_id="q", prompt="how many", chosen="one", rejected="two", origin=Origin.FORMAT)
        for name in ("a", "b")
    ]
    assert usable(pairs, encoder, ImageRoots({}), "train", dropped) == []
    assert [(record.id, record.reason) for record in dropped] == [(name, DropReason.UNSUPPORTED) for name in "ab"]
    backend = TransformersBackend(family.model, family.processor)
    (record,) = backend.complete([Request(id="q", prompt="how many")], SamplingParams(max_new_tokens=2))
    assert (record.id, record.reason) == ("q", DropReason.UNSUPPORTED)
    assert "refuses the text: `images` are expected" in record.detail


WITHIN = {"qwen2_5_vl": "visual.merger", "qwen3_vl": "merger"}
"""Where the projector is part of the tower."""


@pytest.mark.parametrize("part", list(Part))
def test_a_part_that_is_frozen_stays_and_the_others_move(family, rows, tmp_path, part):
    """Every parameter is in one part; bfloat16 on a CPU, as `precision: bf16` and `freeze` have it."""
    model = copy.deepcopy(family.model)
    found = parameters_of(model)
    assert sum(map(len, found.values())) == len(list(model.parameters()))
    names = {one: name for name, one in model.named_parameters()}
    between = {names[one] for one in found[Part.PROJECTOR]}
    words = (WITHIN.get(family.name, "projector"), "connector", "image_newline", "linear_1", "merger")
    assert between
    assert all(any(word in name for word in words) for name in between)
    freeze(model, [part])
    halve_frozen(model)
    assert part is Part.PROJECTOR or any(one.dtype == torch.bfloat16 for one in found[part])
    assert {one.dtype for one in model.parameters() if one.requires_grad} == {torch.float32}
    config = MPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, max_steps=2, learning_rate=1e-3, warmup_steps=0,
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, bf16=True, layout="paired",
        lr_scheduler_type="constant",
    )  # fmt: skip
    taken = [row for row in rows if family.takes(row)]
    trainer = MPOTrainer(model, args=config, train_dataset=taken, processing_class=family.processor)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    trainer.train()
    first = trainer.state.log_history[0]
    assert first["loss"] == pytest.approx(first["expected_first_loss"], rel=1e-3)
    still = {name for name, one in model.named_parameters() if torch.equal(one, before[name])}
    assert still >= {names[one] for one in found[part]}
    moved = {part for part, members in found.items() if any(names[one] not in still for one in members)}
    assert moved == set(Part) - {part}


def test_visual_tokens_are_read_without_the_language_model(family, rows):
    """Vision tower and projector get a gradient, and afterwards the model is as it was."""
    if family.name == "mllama":
        pytest.skip("pictures are no tokens of the prompt")
    model = copy.deepcopy(family.model)
    freeze(model, ["language"])
    examples = [replace(example, completions=[[65, 66], [67]]) for example in encoded(family, rows[:1])]
    batch = lay_out(examples, Layout.PAIRED, 0)
    before = score(model, batch, output_head(model), chunk=64)
    speller = Speller([[65], [66], [67]], model.config.image_token_id)
    logps = speller(model, batch, output_head(model))
    assert logps.shape == (2,)
    assert torch.isfinite(logps).all()
    logps.sum().backward()
    parts = parameters_of(model)
    assert any(parameter.grad is not None for parameter in parts[Part.PROJECTOR])
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in parts[Part.VISION])
    torch.testing.assert_close(score(model, batch, output_head(model), chunk=64), before, rtol=0, atol=0)
