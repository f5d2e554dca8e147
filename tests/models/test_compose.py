"""Composing: what is text stays the language model's to the bit, and pictures reach it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    BartConfig,
    BartForCausalLM,
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from fixtures.languages import TEMPLATE, tiny_language
from mixpo.errors import UserError
from mixpo.models.chat import Chat
from mixpo.models.compose import compose

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """A tiny language model whose template takes texts alone."""
    return tiny_language(tmp_path_factory.mktemp("language"), ["How many dogs are there? There are two dogs."])


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    place = tmp_path_factory.mktemp("towers")
    shape = {**SMALL, "image_size": 28, "patch_size": 14}
    size = {"height": 28, "width": 28}
    CLIPVisionModel(CLIPVisionConfig(**shape)).save_pretrained(place / "clip")
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(place / "clip")
    SiglipVisionModel(SiglipVisionConfig(**shape)).save_pretrained(place / "siglip")
    SiglipImageProcessor(size=size).save_pretrained(place / "siglip")
    return {"clip": str(place / "clip"), "siglip": str(place / "siglip"), "base": "base"}


@pytest.mark.parametrize("tower", ["base", "clip", "siglip"])
def test_text_is_the_language_models_and_pictures_are_seen(language, towers, tower, tmp_path):
    compose(str(language), towers[tower], tmp_path / "vlm")

    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "vlm").eval()
    processor = AutoProcessor.from_pretrained(tmp_path / "vlm")
    chat = Chat(processor)
    words = LlamaForCausalLM.from_pretrained(language).eval()
    ids = processor.tokenizer(chat.render("How many dogs are there?"), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        ours, theirs = model(input_ids=ids).logits, words(input_ids=ids).logits
    assert torch.equal(ours[..., : theirs.shape[-1]], theirs)
    assert model.get_input_embeddings().weight is model.lm_head.weight

    text = chat.render("How many?", images=1)
    assert text == f"<|im_start|>user\n{chat.picture}\nHow many?<|im_end|>\n<|im_start|>assistant\n"
    seen = []
    for shade in ("white", "black"):
        inputs = processor(images=[Image.new("RGB", (28, 28), shade)], text=text, return_tensors="pt")
        with torch.no_grad():
            seen.append(model(**inputs).logits[0, -1])
    assert torch.isfinite(seen[0]).all()
    assert not torch.equal(*seen)


def test_what_cannot_be_joined_is_one_sentence_and_nothing_is_written(language, towers, tmp_path):
    plain = tmp_path / "plain"
    shutil.copytree(language, plain)
    (plain / "chat_template.jinja").unlink()
    torn, other = (Path(shutil.copytree(language, tmp_path / name)) for name in ("torn", "other"))
    (torn / "chat_template.jinja").write_text("{% for message in messages %}{{ message['content'] ")
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens([f"word{number}" for number in range(50)])
    tokenizer.save_pretrained(other)
    (tmp_path / "model.bin").write_text("no model")
    BartForCausalLM(
        BartConfig(d_model=16, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, vocab_size=300)
    ).save_pretrained(tmp_path / "bart")
    for file in language.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "bart")
    blind = Path(shutil.copytree(towers["clip"], tmp_path / "blind"))
    (blind / "preprocessor_config.json").unlink()
    for words, tower, said in (
        (str(language), str(blind), "no image processor"),
        (str(plain), "base", "no chat template"),
        (str(tmp_path / "nowhere.gguf"), "base", "no file of this name"),
        (str(language), str(language), "no vision tower"),
        (towers["clip"], "base", "language"),
        (str(torn), "base", "chat template refuses the prompt"),
        (str(other), "base", "its tokenizer has more tokens than the 284 that"),
        (str(tmp_path / "model.bin"), "base", "is a file; give the folder"),
        (str(tmp_path / "bart"), "base", "BartForCausalLM is no plain decoder"),
    ):
        with pytest.raises(UserError, match=said):
            compose(words, tower, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(UserError, match="exists already"):
        compose(str(language), "base", tmp_path / "mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="exists already"):
        compose(str(language), "base", tmp_path / "link")
    assert not {"out", "nowhere"} & {path.name for path in tmp_path.iterdir()}


def changed(language, folder, name, change):
    """A copy of the language model whose config says something else."""
    shutil.copytree(language, folder / name)
    file = folder / name / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    return folder / name


def test_a_language_model_that_would_be_another_one_is_refused(language, towers, tmp_path):
    """Torn, or weights that are made up; logits scaled behind the head; a tower whose pictures are others."""
    torn = changed(language, tmp_path, "torn", {})
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:5000])
    scaled = tmp_path / "scaled"
    shutil.copytree(language, scaled)
    GraniteForCausalLM(
        GraniteConfig(**SMALL, num_key_value_heads=1, vocab_size=300, logits_scaling=8.0)
    ).save_pretrained(scaled)
    other = tmp_path / "other"
    shutil.copytree(towers["clip"], other)
    CLIPImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}).save_pretrained(other)
    for words, tower, said in (
        (torn, "base", "cannot be loaded"),
        (changed(language, tmp_path, "head", {"tie_word_embeddings": False}), "base", "lm_head.weight"),
        (changed(language, tmp_path, "wide", {"hidden_size": 64}), "base", "cannot be loaded"),
        (scaled, "base", "scales or caps"),
        (language, str(other), "doesn't match model"),
    ):
        with pytest.raises(UserError, match=said):
            compose(str(words), tower, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_processor_type": "Qwen2VLImageProcessor"}, "does not take them"),
        ({"size": {"height": 0, "width": 0}, "crop_size": {"height": 0, "width": 0}}, "does not take them"),
        ({"rescale_factor": "x"}, "does not take them"),
        ({"image_processor_type": "NobodysImageProcessor"}, "no image processor"),
    ],
)
def test_an_image_processor_that_cannot_prepare_a_picture(language, towers, tmp_path, change, said):
    tower = Path(shutil.copytree(towers["clip"], tmp_path / "tower"))
    file = tower / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match=said) as told:
        compose(str(language), str(tower), tmp_path / "out")
    assert len(str(told.value)) < 500


def test_damaged_weights_are_said_to_be_damaged(language, towers, tmp_path):
    words = LlamaForCausalLM.from_pretrained(language)
    words.model.layers[1].mlp.up_proj.weight.data[0, 0] = float("nan")
    broken = Path(shutil.copytree(language, tmp_path / "words"))
    words.save_pretrained(broken)
    tower = CLIPVisionModel.from_pretrained(towers["clip"])
    next(tower.parameters()).data[0] = float("inf")
    blind = Path(shutil.copytree(towers["clip"], tmp_path / "tower"))
    tower.save_pretrained(blind)
    other = Path(shutil.copytree(towers["clip"], tmp_path / "other"))
    file = other / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "patch_size": 7}))
    for given, vision, said in (
        (broken, "base", r"language .* is damaged: its weights model.layers.1.mlp.up_proj.weight are not all finite"),
        (language, str(blind), r"vision .* is damaged: its weights .* are not all finite"),
        (language, str(other), "other shapes than its config says"),
    ):
        with pytest.raises(UserError, match=said):
            compose(str(given), vision, tmp_path / "out")


@pytest.mark.parametrize("start", ["\n  SYS: hi\n", "  {% set x = 1 %}", "{%- set x = 1 %}\n", "\n\n"])
def test_what_a_chat_template_begins_with_stays(language, tmp_path, start):
    """White space, too: on text alone the new model is asked in the same words."""
    own = Path(shutil.copytree(language, tmp_path / "a $NAME"))
    (own / "chat_template.jinja").write_text(start + TEMPLATE)
    compose(str(own), "base", tmp_path / "vlm")
    said = [{"role": "user", "content": "How?"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "How?"}]}]
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (own, tmp_path / "vlm"))
    expected = before.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    for asked in (said, parts):
        assert after.apply_chat_template(asked, tokenize=False, add_generation_prompt=True) == expected


def test_of_several_chat_templates_the_default_is_taken(language, tmp_path):
    several = changed(language, tmp_path, "several", {})
    (several / "chat_template.jinja").rename(several / "default.jinja")
    file = several / "tokenizer_config.json"
    templates = [{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": "{{ tools }}"}]
    file.write_text(json.dumps({**json.loads(file.read_text()), "chat_template": templates}))
    compose(str(several), "base", tmp_path / "vlm")
    assert Chat(AutoProcessor.from_pretrained(tmp_path / "vlm")).render("How?").startswith("<|im_start|>user\nHow?")


def test_the_same_seed_composes_the_same_weights(language, tmp_path):
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        compose(str(language), "base", tmp_path / name, seed)
    one, same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other


def test_the_new_projector_is_drawn_as_transformers_draws_it(language, towers, tmp_path):
    compose(str(language), towers["clip"], tmp_path / "vlm")
    config = AutoConfig.from_pretrained(tmp_path / "vlm")
    torch.manual_seed(0)
    drawn = LlavaForConditionalGeneration(config).model.multi_modal_projector
    ours = AutoModelForImageTextToText.from_pretrained(tmp_path / "vlm").model.multi_modal_projector
    for name, weight in drawn.named_parameters():
        mine = ours.get_parameter(name)
        assert mine.std().item() == pytest.approx(weight.std().item(), rel=0.1), name
