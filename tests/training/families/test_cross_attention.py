"""Llama-3.2-Vision: layers attend to the images apart, so that a forward pass holds prompts with one number of them."""

import copy

import pytest
import torch

from fixtures.processes import two_processes
from mixpo.batches.encode import Encoder
from mixpo.batches.grouping import passes
from mixpo.batches.layout import Layout
from mixpo.errors import UserError
from mixpo.models.attention import cross_attends
from mixpo.training.choose_layout import possible
from mixpo.training.config import MPOConfig
from mixpo.training.distributed import Processes
from mixpo.training.trainer import MPOTrainer


def one_step(folder, model, processor, rows, size, **given):
    """Gradients and what is logged of one step over all rows, and of an evaluation, `size` pairs a forward pass."""
    processes = int(given.pop("processes", 1))
    config = MPOConfig(
        output_dir=str(folder), per_device_train_batch_size=size, per_device_eval_batch_size=size, max_grad_norm=0,
        gradient_accumulation_steps=-(-len(rows) // size // processes), train_sampling_strategy="sequential",
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, learning_rate=0.0, **given,
    )  # fmt: skip
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.02)
    trainer = MPOTrainer(
        model, args=config, train_dataset=rows, eval_dataset=rows, processing_class=processor, ref_model=reference
    )
    trainer.create_optimizer()
    gradients = {}
    trainer.optimizer.step = lambda *args, **kwargs: gradients.update(
        {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    )
    trainer.train()
    trainer.evaluate()
    first, *_, last = trainer.state.log_history
    return gradients, first, last


def same(one, other):
    for line in (1, 2):
        names = [name for name in one[line] if not name.endswith(("runtime", "_per_second"))]
        assert {name: other[line][name] for name in names} == pytest.approx(
            {name: one[line][name] for name in names}, rel=1e-4, abs=1e-5
        )
    scale = max(gradient.abs().max().item() for gradient in one[0].values())
    assert one[0].keys() == other[0].keys()
    for name, gradient in one[0].items():
        torch.testing.assert_close(other[0][name], gradient, rtol=1e-3, atol=1e-5 * scale, msg=name)


@pytest.fixture
def mixed(rows):
    """Prompts with one image, two, and none."""
    return [rows[0], rows[6], rows[4], rows[1]]


@pytest.mark.parametrize("given", [{}, {"row_tokens": 60}, {"cached": True}], ids=["live", "rows", "cached"])
def test_the_step_does_not_depend_on_who_is_beside_whom(mllama, mixed, tmp_path, given):
    given = dict(given)
    cached = {"reference_cache": str(tmp_path / "cache")} if given.pop("cached", False) else {}
    found = [one_step(tmp_path, copy.deepcopy(mllama[0]), mllama[1], mixed, 1)]
    found.append(one_step(tmp_path, copy.deepcopy(mllama[0]), mllama[1], mixed, 4, **given, **cached))
    same(*found)


def test_two_processes_equal_one(mllama, mixed, tmp_path):
    """The second one gets a pair with two images, and one with none."""
    rows = [mixed[0], mixed[3], mixed[1], mixed[2]]
    two = two_processes(tmp_path, one_step, tmp_path / "two", copy.deepcopy(mllama[0]), mllama[1], rows, 2, processes=2)
    same(one_step(tmp_path / "one", copy.deepcopy(mllama[0]), mllama[1], rows, 4), two)


def test_passes_hold_one_number_of_images(mllama, mixed):
    examples = [Encoder(mllama[1])(row) for row in mixed]
    found = [[example.attended for example in row] for row in passes(examples, None)]
    assert found == [[0], [1, 1], [2]]
    assert [len(row) for row in passes(examples, 1)] == [1, 1, 1, 1]
    assert passes([], None) == [[]]


def test_shared_rows_are_refused_with_a_sentence(mllama):
    assert cross_attends(mllama[0])
    with pytest.raises(UserError, match="attends to images apart from the prompt's tokens; say auto, or paired"):
        possible(Layout.SHARED, mllama[0])


def test_an_engine_that_shards_takes_no_prompt_without_images(mllama, mixed, tmp_path):
    """Layers are left out for it, which other processes would wait for."""
    encoder = Encoder(mllama[1])
    processes = Processes(MPOConfig(output_dir=str(tmp_path), use_cpu=True), encoder.filler, crossing=True)
    with pytest.raises(UserError, match="cannot be sharded on pairs without images"):
        processes.rows([encoder(mixed[1])], None, engine=True)
    assert len(processes.rows([encoder(mixed[0]), encoder(mixed[2])], None, engine=True)) == 2
