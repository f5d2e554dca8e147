"""A model that is sped up computes what it did, also in copies; saved, it is as it was."""

import copy

import pytest
import torch
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from mixpo.files import BASE_MODEL
from mixpo.models.cpu_attention import NAME
from mixpo.models.cpu_model import speed_up
from mixpo.models.cpu_products import available

needs_avx512 = pytest.mark.skipif(not available(), reason="the processor has no AVX-512: models are left as they are")


def small():
    return AutoModelForImageTextToText.from_pretrained(BASE_MODEL)


def logits(model):
    torch.manual_seed(0)
    processor = AutoProcessor.from_pretrained(BASE_MODEL)
    ids = processor.tokenizer("<IMG_CONTEXT>" * 16 + "count the red circles", return_tensors="pt").input_ids
    return model(input_ids=ids, pixel_values=torch.randn(1, 3, 64, 64)).logits


@needs_avx512
def test_logits_and_gradients_stay():
    plain, fast = small(), small()
    speed_up(fast)
    replaced = [module for module in fast.modules() if type(module) is nn.Linear]
    assert all("forward" in vars(module) for module in replaced)
    assert fast.get_encoder(modality="image").config._attn_implementation == NAME
    found = []
    for model in (plain, fast):
        model.zero_grad()
        result = logits(model)
        result.square().mean().backward()
        found.append((result.detach(), [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-4, rtol=1e-4)
    scale = max(gradient.abs().max() for gradient in found[0][1] if gradient is not None)
    for one, other in zip(found[1][1], found[0][1], strict=True):
        if other is not None:
            torch.testing.assert_close(one / scale, other / scale, atol=1e-5, rtol=1e-4)


@needs_avx512
def test_a_copy_computes_with_its_own_weights():
    model = small()
    speed_up(model)
    twin = copy.deepcopy(model)
    before = logits(twin)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(logits(twin), before)
    assert not torch.equal(logits(model), before)


@needs_avx512
def test_one_layer_may_be_left_out(tmp_path):
    model = small()
    head = model.get_output_embeddings()
    speed_up(model, but=head)
    assert "forward" not in vars(head)
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert again.config.vision_config._attn_implementation == "sdpa"
