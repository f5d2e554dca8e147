"""Models by name: their attention, their own precision."""

import copy

import pytest
import torch

from mixpo.errors import UserError
from mixpo.models.load import CHECKPOINT_DTYPE, load_model


@pytest.fixture(scope="module")
def halved(internvl, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halved")
    copy.deepcopy(internvl[0]).to(torch.bfloat16).save_pretrained(folder)
    return str(folder)


def test_the_checkpoints_own_precision_is_remembered(halved, internvl, tmp_path):
    """Whatever the weights are loaded in, in a copy and under an adapter, too."""
    model = load_model(halved)
    assert {one.dtype for one in model.parameters()} == {torch.float32}
    assert getattr(copy.deepcopy(model), CHECKPOINT_DTYPE) is torch.bfloat16
    assert {one.dtype for one in load_model(halved, "checkpoint").parameters()} == {torch.bfloat16}
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
    assert getattr(adapted, CHECKPOINT_DTYPE) is torch.bfloat16
    internvl[0].save_pretrained(tmp_path)
    assert getattr(load_model(str(tmp_path), "bfloat16"), CHECKPOINT_DTYPE) is torch.float32


def test_attention_by_its_name(halved):
    def chosen(model):
        return [part.config._attn_implementation for part in (model.get_decoder(), model.get_encoder(modality="image"))]

    assert chosen(load_model(halved)) == ["sdpa", "sdpa"]
    assert chosen(load_model(halved, attention="eager")) == ["eager", "eager"]


def test_what_cannot_be_loaded_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded as a vision-language model"):
        load_model(str(tmp_path))
