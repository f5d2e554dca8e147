"""Models by name: their attention, their own precision."""

import copy
import shutil

import pytest
import torch
import transformers as t

from mixpo.errors import UserError
from mixpo.files import BASE_MODEL
from mixpo.models.load import CHECKPOINT_DTYPE, load_model, load_processor
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.responses.backends.make import make_backend
from mixpo.training.config import MPOConfig
from mixpo.training.trainer import MPOTrainer


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
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be loaded as a vision-language model"):
        load_model(str(tmp_path))


SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def encoder_decoder():
    tower = t.ViTConfig(image_size=28, patch_size=14, **SMALL)
    writer = t.BertConfig(vocab_size=400, is_decoder=True, add_cross_attention=True, **SMALL)
    return t.VisionEncoderDecoderModel(t.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tower, writer))


def two_towers():
    tower = {**SMALL, "projection_dim": 16}
    return t.CLIPModel(t.CLIPConfig(text_config=tower, vision_config={"image_size": 28, "patch_size": 14, **tower}))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (encoder_decoder, "VisionEncoderDecoderModel reads the prompt in an encoder"),
        (two_towers, "does not write token"),
    ],
)
def test_a_model_of_another_kind_is_a_sentence_in_sampling_and_in_training(build, words, internvl, tmp_path):
    model, config = build(), MPOConfig(output_dir=str(tmp_path), use_cpu=True)
    with pytest.raises(UserError, match=words):
        TransformersBackend(model, internvl[1])
    with pytest.raises(UserError, match=words):
        MPOTrainer(model, args=config, train_dataset=[{}], processing_class=internvl[1])


def trainer(folder):
    return MPOTrainer(folder, args=MPOConfig(output_dir=folder, report_to="none"), train_dataset=[])


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("chat_template.jinja", "has no chat template (chat_template.jinja"),
        ("tokenizer", "its processor cannot be loaded (it has no tokenizer: tokenizer.json or tokenizer.model)"),
        ("processor_config.json", "its processor cannot be loaded (it has no processor: processor_config.json or"),
    ],
)
@pytest.mark.parametrize("load", [load_processor, lambda folder: make_backend(BackendConfig(), folder), trainer])
def test_a_checkpoint_that_lacks_a_file_is_a_sentence_wherever_it_is_named(load, missing, sentence, tmp_path):
    shutil.copytree(BASE_MODEL, tmp_path / "model")
    for file in (tmp_path / "model").glob(f"{missing}*"):
        file.unlink()
    with pytest.raises(UserError) as refused:
        load(str(tmp_path / "model"))
    assert sentence in str(refused.value)
    assert "put the file, as its publisher has it, into the model's folder" in str(refused.value)
