"""Activations that are computed again: the same gradients, and as much less memory as the arithmetic says."""

import copy

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import CheckpointPolicy
from transformers import LlamaConfig, LlamaForCausalLM

from mixpo.models.cpu_attention import attention
from mixpo.models.cpu_model import speed_up
from mixpo.models.cpu_products import ONEDNN
from mixpo.training.config import MPOConfig
from mixpo.training.recompute import aten, policy, recompute_elementwise, worthwhile

WIDTH, WIDE, LAYERS, TOKENS = 256, 1024, 4, 512


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=WIDTH, intermediate_size=WIDE, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=4,
    )  # fmt: skip
    return LlamaForCausalLM(config).train()


def lean(llama):
    model = copy.deepcopy(llama)
    recompute_elementwise(model)
    return model


def kept(model):
    """Bytes that a forward pass leaves behind for the backward pass, and every gradient."""
    ids = torch.arange(TOKENS)[None] % 64
    model(ids, use_cache=False, logits_to_keep=1)  # what is set up once
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        loss = model(ids, use_cache=False, logits_to_keep=1).logits.square().sum()
    left = sum(e.nbytes() for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]")
    loss.backward()
    return left, [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("faster", [False, True], ids=["torch's products", "mixpo.cpu"])
def test_less_is_kept_and_gradients_are_equal(llama, faster):
    whole, lean_one = copy.deepcopy(llama), lean(llama)
    if faster:
        for model in (whole, lean_one):
            speed_up_language(model)
    (much, expected), (little, gradients) = kept(whole), kept(lean_one)
    number = TOKENS * 4
    # Each layer's input, queries, keys, values, what attention made of them, and the output projection of that; three
    # times the last states, of which the last norm keeps all.
    assert little == pytest.approx((LAYERS * 6 + 3) * WIDTH * number, rel=0.05)
    # Above that: two norms (two each), the sum in between, and of the gated MLP four; but no output projection.
    assert much - little == pytest.approx(LAYERS * (4 * WIDTH + 4 * WIDE) * number, rel=0.02)
    assert all(torch.equal(one, other) for one, other in zip(gradients, expected, strict=True))


def speed_up_language(model):
    model.get_encoder = lambda modality: model
    speed_up(model, but=model.lm_head)


@pytest.mark.parametrize(
    ("operator", "shapes", "saved"),
    [
        (aten.mm.default, [(7, 256), (256, 256)], True),
        (aten.mm.default, [(7, 256), (256, 512)], False),
        (aten.mm.default, [(7, 512), (512, 256)], False),
        (aten.mm.default, [(7, 255), (255, 255)], False),
        (aten.addmm.default, [(300,), (7, 300), (300, 300)], True),
        (aten.addmm.default, [(300,), (7, 300), (300, 400)], False),
        (aten.bmm.default, [(2, 7, 300), (2, 300, 300)], True),
        (aten.bmm.default, [(2, 400, 64), (2, 64, 400)], False),
        (ONEDNN, [(1, 7, 256), (256, 256)], True),
        (ONEDNN, [(1, 7, 256), (512, 256)], False),
        (aten.add.Tensor, [(256, 256), (256, 256)], False),
        (attention._opoverload, [(1, 1, 4, 8)] * 3, True),
        (aten._scaled_dot_product_flash_attention.default, [(1, 1, 4, 8)] * 3, True),
    ],
)
def test_what_is_kept(operator, shapes, saved):
    given = [torch.empty(shape) for shape in shapes]
    wanted = CheckpointPolicy.MUST_SAVE if saved else CheckpointPolicy.PREFER_RECOMPUTE
    assert policy(None, operator, *given) is wanted


def test_a_model_that_was_told_what_to_keep_stays_so(llama):
    model = copy.deepcopy(llama)
    model.gradient_checkpointing_enable({"use_reentrant": True})
    before = model.model.layers[0]._gradient_checkpointing_func
    recompute_elementwise(model)
    assert model.model.layers[0]._gradient_checkpointing_func is before


def test_small_models_keep_all(llama, model, tmp_path):
    args = MPOConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    assert worthwhile(llama, args)
    assert not worthwhile(model, args)  # 128 wide: the operators' own time counts for more
    compiled = MPOConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none", torch_compile=True)
    assert not worthwhile(llama, compiled)


def test_an_unknown_choice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="recompute must be auto, elementwise or none, not 'all'"):
        MPOConfig(output_dir=str(tmp_path), recompute="all")
