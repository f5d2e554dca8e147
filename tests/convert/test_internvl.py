"""Original InternVL chat checkpoints in transformers' format: the publisher's numbers, names, tokens, refusals."""

import json
import os
import resource
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForImageTextToText, AutoProcessor

from mixpo.convert.internvl import convert
from mixpo.convert.names import split_vision_qkv, split_wqkv, target_names
from mixpo.convert.tokenizer import parse_sentencepiece, sentencepiece_backend
from mixpo.errors import UserError

SENTENCEPIECE = Path(__file__).parent / "sentencepiece"
GOLDEN = Path(os.environ.get("MIXPO_DATA", "")) / "internvl2_golden"
GOLDEN_NAMES = ("internvl2-8b-like", "internvl2_5-4b-like", "internvl2-76b-like")
needs_golden = pytest.mark.skipif(
    not os.environ.get("MIXPO_DATA") or not GOLDEN.is_dir(), reason="MIXPO_DATA has no internvl2_golden"
)

VOCABULARY = 430
VISION = {
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 14,
    "image_size": 28,
    "norm_type": "layer_norm",
    "qkv_bias": True,
    "qk_normalization": False,
}
LANGUAGE = {
    "architectures": ["InternLM2ForCausalLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "bias": False,
    "rope_theta": 1000000,
    "rope_scaling": {"type": "dynamic", "factor": 2.0},
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
CHAT = {
    "model_type": "internvl_chat",
    "template": "internlm2-chat",
    "ps_version": "v2",
    "dynamic_image_size": True,
    "use_thumbnail": True,
    "max_dynamic_patch": 6,
    "force_image_size": 28,
}
LAYER = "vision_model.encoder.layers.0"
BLOCK = "language_model.model.layers.0"
SHAPES = {
    "vision_model.embeddings.class_embedding": (1, 1, 8),
    "vision_model.embeddings.position_embedding": (1, 5, 8),
    "vision_model.embeddings.patch_embedding.weight": (8, 3, 14, 14),
    "vision_model.embeddings.patch_embedding.bias": (8,),
    f"{LAYER}.ls1": (8,),
    f"{LAYER}.ls2": (8,),
    f"{LAYER}.norm1.weight": (8,),
    f"{LAYER}.norm1.bias": (8,),
    f"{LAYER}.norm2.weight": (8,),
    f"{LAYER}.norm2.bias": (8,),
    f"{LAYER}.attn.qkv.weight": (24, 8),
    f"{LAYER}.attn.qkv.bias": (24,),
    f"{LAYER}.attn.proj.weight": (8, 8),
    f"{LAYER}.attn.proj.bias": (8,),
    f"{LAYER}.mlp.fc1.weight": (12, 8),
    f"{LAYER}.mlp.fc1.bias": (12,),
    f"{LAYER}.mlp.fc2.weight": (8, 12),
    f"{LAYER}.mlp.fc2.bias": (8,),
    "mlp1.0.weight": (32,),
    "mlp1.0.bias": (32,),
    "mlp1.1.weight": (16, 32),
    "mlp1.1.bias": (16,),
    "mlp1.3.weight": (16, 16),
    "mlp1.3.bias": (16,),
    f"{BLOCK}.attention.wqkv.weight": (32, 16),
    f"{BLOCK}.attention.wo.weight": (16, 16),
    f"{BLOCK}.attention_norm.weight": (16,),
    f"{BLOCK}.ffn_norm.weight": (16,),
    f"{BLOCK}.feed_forward.w1.weight": (24, 16),
    f"{BLOCK}.feed_forward.w2.weight": (16, 24),
    f"{BLOCK}.feed_forward.w3.weight": (24, 16),
    "language_model.model.norm.weight": (16,),
    "language_model.model.tok_embeddings.weight": (VOCABULARY, 16),
    "language_model.output.weight": (VOCABULARY, 16),
}
ADDED = ["<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]
SYSTEM = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"


def read(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of their own, not a map of the file: tests write over it."""
    return {name: tensor.clone() for name, tensor in load_file(file).items()}


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def edit_json(path: Path, **changes) -> None:
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | changes)


@pytest.fixture
def source(tmp_path):
    """An original checkpoint with random weights and an InternLM2 language model, no tokenizer."""
    folder = tmp_path / "source"
    folder.mkdir()
    torch.manual_seed(0)
    save_file({name: torch.randn(shape) * 0.1 for name, shape in SHAPES.items()}, folder / "model.safetensors")
    write_json(folder / "config.json", CHAT | {"vision_config": VISION, "llm_config": LANGUAGE})
    return folder


def add_sentencepiece(source: Path) -> None:
    """InternLM2's way: the last pieces of the model are renamed (here id 3), the image tokens follow it."""
    shutil.copy(SENTENCEPIECE / "bpe.model", source / "tokenizer.model")
    tokens = {0: "<unk>", 1: "<s>", 2: "</s>", 3: "<|im_start|>"} | dict(enumerate(ADDED, 420))
    write_json(
        source / "tokenizer_config.json",
        {
            "tokenizer_class": "InternLM2Tokenizer",
            "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]},
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "</s>",
            "unk_token": "<unk>",
            "added_tokens_decoder": {number: {"content": text, "special": True} for number, text in tokens.items()},
        },
    )


def load(folder: Path):
    """The model, strictly: no weight missing, left over or of another shape."""
    model, found = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in read(file).items()}


def shard(folder: Path, files: int) -> None:
    """Cuts a checkpoint's one file into several with an index."""
    tensors = read(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {name: f"model-{number % files:05d}.safetensors" for number, name in enumerate(sorted(tensors))}
    for file in set(weight_map.values()):
        save_file({name: tensors[name] for name in tensors if weight_map[name] == file}, folder / file)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


@needs_golden
@pytest.mark.parametrize("sharded", [False, True], ids=["one file", "shards"])
@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_the_publishers_numbers(name, sharded, tmp_path):
    source = shutil.copytree(GOLDEN / name, tmp_path / "source")
    golden = read(source / "golden.safetensors")
    (source / "golden.safetensors").unlink()
    if sharded:
        shard(source, 3)
    convert(source, tmp_path / "target", image_token_id=90, shard_bytes=100_000 if sharded else 2**32)
    files = sorted(path.name for path in (tmp_path / "target").glob("*.safetensors"))
    assert (len(files) > 4) if sharded else (files == ["model.safetensors"])
    model = load(tmp_path / "target")
    with torch.no_grad():
        features = model.get_image_features(golden["pixel_values"]).pooler_output
        logits = model(**{key: golden[key] for key in ("input_ids", "attention_mask", "pixel_values")}).logits
    torch.testing.assert_close(features, golden["image_features"], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, golden["logits"], atol=1e-5, rtol=0)


def test_sharding_changes_nothing(source, tmp_path):
    convert(source, tmp_path / "whole")
    shard(source, 4)
    convert(source, tmp_path / "parts", shard_bytes=4000)
    whole, parts = tensors_of(tmp_path / "whole"), tensors_of(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    index = json.loads((tmp_path / "parts" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in parts.values())
    assert set(index["weight_map"]) == set(parts)
    # Embeddings, head and patch weights are larger than a shard and stand alone; nothing else is.
    files = (tmp_path / "parts").glob("*.safetensors")
    sizes = [sum(tensor.nbytes for tensor in read(file).values()) for file in files]
    assert sorted(size for size in sizes if size > 4000) == [8 * 3 * 14 * 14 * 4, 430 * 16 * 4, 430 * 16 * 4]


def test_every_number_arrives_once(source, tmp_path):
    convert(source, tmp_path / "target")
    before = torch.cat([tensor.flatten() for tensor in tensors_of(source).values()]).sort().values
    after = torch.cat([tensor.flatten() for tensor in tensors_of(tmp_path / "target").values()]).sort().values
    assert torch.equal(before, after)


def test_wqkv_goes_by_key_value_head():
    """4 heads, 2 key-value heads, head dimension 1: rows are q0 q1 k0 v0 | q2 q3 k1 v1."""
    query, key, value = split_wqkv(torch.arange(8).unsqueeze(1), heads=4, kv_heads=2)
    assert query.flatten().tolist() == [0, 1, 4, 5]
    assert key.flatten().tolist() == [2, 6]
    assert value.flatten().tolist() == [3, 7]


def test_vision_qkv_is_stacked():
    assert [part.tolist() for part in split_vision_qkv(torch.arange(6))] == [[0, 1], [2, 3], [4, 5]]


def test_names_that_shapes_cannot_tell_apart():
    """ls and norm 1 belong to the attention, 2 to the MLP; w1 is the gate, w3 the way up, w2 the way down."""
    names = {
        f"{LAYER}.ls1": "vision_tower.encoder.layer.0.lambda_1",
        f"{LAYER}.ls2": "vision_tower.encoder.layer.0.lambda_2",
        f"{LAYER}.norm1.bias": "vision_tower.encoder.layer.0.layernorm_before.bias",
        f"{LAYER}.norm2.bias": "vision_tower.encoder.layer.0.layernorm_after.bias",
        f"{LAYER}.attn.q_norm.weight": "vision_tower.encoder.layer.0.attention.q_norm.weight",
        f"{LAYER}.attn.k_norm.weight": "vision_tower.encoder.layer.0.attention.k_norm.weight",
        f"{LAYER}.attn.proj.weight": "vision_tower.encoder.layer.0.attention.projection_layer.weight",
        f"{BLOCK}.feed_forward.w1.weight": "language_model.layers.0.mlp.gate_proj.weight",
        f"{BLOCK}.feed_forward.w3.weight": "language_model.layers.0.mlp.up_proj.weight",
        f"{BLOCK}.attention.wo.weight": "language_model.layers.0.self_attn.o_proj.weight",
        f"{BLOCK}.attention_norm.weight": "language_model.layers.0.input_layernorm.weight",
        f"{BLOCK}.ffn_norm.weight": "language_model.layers.0.post_attention_layernorm.weight",
        "mlp1.1.bias": "multi_modal_projector.linear_1.bias",
        "mlp1.3.bias": "multi_modal_projector.linear_2.bias",
    }
    for name, target in names.items():
        assert target_names(name, internlm2=True) == (f"model.{target}",)
    assert target_names(f"{LAYER}.attn.qkv.bias", internlm2=True) == tuple(
        f"model.vision_tower.encoder.layer.0.attention.{part}_proj.bias" for part in "qkv"
    )


def test_names_depend_on_the_language_model():
    name = "language_model.model.layers.12.feed_forward.w2.weight"
    assert target_names(name, internlm2=True) == ("model.language_model.layers.12.mlp.down_proj.weight",)
    assert target_names(name.replace("12", "x"), internlm2=True) == ()
    assert target_names("language_model.output.weight", internlm2=False) == ()


def test_dynamic_rope_is_internlm2s(source, tmp_path):
    """Head dimension 4, 512 positions, factor 2. Up to 512 the base is 1e6; at 1024 it is 1e6 (2 x 2 - 1)^(4/2) = 9e6,
    so the second of the two frequencies goes from 1e-3 to 1 / 3000."""
    convert(source, tmp_path / "target")
    rotary = load(tmp_path / "target").model.language_model.rotary_emb
    for length, frequency in ((512, 1e-3), (1024, 1 / 3000), (511, 1e-3)):
        _, sine = rotary(torch.zeros(1), torch.arange(length).unsqueeze(0))
        position = torch.arange(length)
        torch.testing.assert_close(sine[0, :, 0], position.float().sin(), atol=1e-4, rtol=0)
        torch.testing.assert_close(sine[0, :, 1], (position * frequency).sin(), atol=1e-4, rtol=0)


def test_dtype_is_kept(source, tmp_path):
    halves = {name: tensor.bfloat16() for name, tensor in read(source / "model.safetensors").items()}
    save_file(halves, source / "model.safetensors")
    convert(source, tmp_path / "target")
    assert {tensor.dtype for tensor in tensors_of(tmp_path / "target").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "target" / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.parametrize("stored", [False, True])
def test_a_tied_head(source, tmp_path, stored):
    """Tied and not stored: transformers ties it. Tied and stored all the same: kept as it stands."""
    edit_json(source / "config.json", llm_config=LANGUAGE | {"tie_word_embeddings": True})
    tensors = read(source / "model.safetensors")
    head = tensors.pop("language_model.output.weight")
    if stored:
        tensors["language_model.output.weight"] = head
    save_file(tensors, source / "model.safetensors")
    convert(source, tmp_path / "target")
    expected = head if stored else tensors["language_model.model.tok_embeddings.weight"]
    assert torch.equal(load(tmp_path / "target").lm_head.weight, expected)


def test_a_checkpoint_with_an_internlm2_tokenizer(source, tmp_path):
    add_sentencepiece(source)
    convert(source, tmp_path / "target")
    processor, model = AutoProcessor.from_pretrained(tmp_path / "target"), load(tmp_path / "target")
    image = Image.new("RGB", (56, 28), (255, 0, 51))
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "count 3"}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    # `get_prompt()` of the publisher's template internlm2-chat, after `chat` has put the image before the question.
    assert text == (
        f"<|im_start|>system\n{SYSTEM}<|im_end|><|im_start|>user\n<IMG_CONTEXT>\ncount 3<|im_end|>"
        "<|im_start|>assistant\n"
    )
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    # Two tiles side by side and a thumbnail, each 2 x 2 patches, which pixel shuffle makes one token.
    assert inputs["pixel_values"].shape == (3, 3, 28, 28)
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(inputs["pixel_values"], expected.expand(3, 3, 28, 28), atol=1e-5, rtol=0)
    ids = inputs["input_ids"][0].tolist()
    assert ids[:2] == [1, 3]  # <s>, and the renamed piece 3
    assert ids.count(model.config.image_token_id) == 3
    assert [ids[ids.index(421) + offset] for offset in range(5)] == [421, 423, 423, 423, 422]
    written = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert written.shape[1] > len(ids)
    assert model.generation_config.eos_token_id == 420


@pytest.mark.parametrize("template", ["Hermes-2", "internvl2_5"])
def test_templates_of_the_other_families(source, tmp_path, template):
    add_sentencepiece(source)
    edit_json(source / "config.json", template=template)
    convert(source, tmp_path / "target")
    processor = AutoProcessor.from_pretrained(tmp_path / "target")
    messages = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "A"},
    ]
    end = "<|im_end|>\n" if template == "internvl2_5" else "<|im_end|>"
    assert processor.apply_chat_template(messages, tokenize=False) == (
        f"<|im_start|>system\nS{end}<|im_start|>user\nQ{end}<|im_start|>assistant\nA{end}"
    )
    rendered = processor.apply_chat_template(messages[1:], tokenize=False)
    assert rendered.startswith("<|im_start|>system\n你是")
    assert rendered.count("<|im_start|>") == 3


def test_sentencepiece_ids():
    """Texts and ids as sentencepiece 0.2.3 gives them for the same model file (BPE, byte fallback)."""
    backend = sentencepiece_backend(parse_sentencepiece((SENTENCEPIECE / "bpe.model").read_bytes()), {}, bos=None)
    rows = [json.loads(line) for line in (SENTENCEPIECE / "encoded.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 120
    for row in rows:
        assert backend.encode(row["text"]).ids == row["ids"], row["text"]
        assert backend.decode(row["ids"], skip_special_tokens=False) == row["decoded"]


def test_a_sentencepiece_model_needs_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(UserError, match=r"pip install 'mixpo\[convert\]'"):
        parse_sentencepiece((SENTENCEPIECE / "bpe.model").read_bytes())


def test_a_checkpoint_with_a_qwen2_tokenizer(source, tmp_path):
    letters = {letter: number for number, letter in enumerate("abcdĠ")}
    write_json(source / "vocab.json", letters | {"ab": 5, "Ġc": 6})
    (source / "merges.txt").write_text("#version: 0.2\na b\nĠ c\n", encoding="utf-8")
    tokens = dict(enumerate(["<|endoftext|>", "<|im_start|>", *ADDED], 7))
    declared = {number: {"content": text, "special": True} for number, text in tokens.items()}
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None}
    write_json(source / "tokenizer_config.json", settings | {"added_tokens_decoder": declared})
    convert(source, tmp_path / "target")
    tokenizer = AutoProcessor.from_pretrained(tmp_path / "target").tokenizer
    assert tokenizer("ab c<IMG_CONTEXT>d")["input_ids"] == [5, 6, 12, 3]
    assert json.loads((tmp_path / "target" / "config.json").read_text())["image_token_id"] == 12

    # The same tokens from the older added_tokens.json, and from a tokenizer.json.
    edit_json(source / "tokenizer_config.json", added_tokens_decoder={}, additional_special_tokens=ADDED)
    write_json(source / "added_tokens.json", {text: number for number, text in tokens.items()})
    convert(source, tmp_path / "older")
    (source / "vocab.json").unlink()
    shutil.copy(tmp_path / "target" / "tokenizer.json", source / "tokenizer.json")
    convert(source, tmp_path / "newer")
    for folder in ("older", "newer"):
        ids = Tokenizer.from_file(str(tmp_path / folder / "tokenizer.json")).encode("ab c<IMG_CONTEXT>d").ids
        assert ids == [5, 6, 12, 3]


def test_without_a_tokenizer_it_says_what_is_missing(source, tmp_path, capsys):
    convert(source, tmp_path / "target")
    said = " ".join(capsys.readouterr().err.split())
    assert "has no tokenizer, so there is no processor" in said
    assert json.loads((tmp_path / "target" / "config.json").read_text())["image_token_id"] == -1


def drop_tensor(source):
    tensors = read(source / "model.safetensors")
    del tensors[f"{BLOCK}.ffn_norm.weight"]
    save_file(tensors, source / "model.safetensors")


def add_tensor(source):
    tensors = read(source / "model.safetensors")
    save_file(tensors | {"vision_model.head.weight": torch.zeros(1)}, source / "model.safetensors")


def reshape_tensor(source):
    tensors = read(source / "model.safetensors")
    save_file(tensors | {"mlp1.1.bias": torch.zeros(7)}, source / "model.safetensors")


def tear(source):
    content = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(content[:-100])


def lose_a_shard(source):
    shard(source, 2)
    (source / "model-00001.safetensors").unlink()


def repeat_a_tensor(source):
    shard(source, 2)
    first = read(source / "model-00000.safetensors")
    second = read(source / "model-00001.safetensors")
    name = next(iter(first))
    save_file(second | {name: first[name]}, source / "model-00001.safetensors")


def tear_the_tokenizer(source):
    add_sentencepiece(source)
    (source / "tokenizer.model").write_bytes((SENTENCEPIECE / "bpe.model").read_bytes()[:1000])


def another_tokens_id(source):
    add_sentencepiece(source)
    edit_json(source / "tokenizer_config.json", added_tokens_decoder={"500": {"content": "<img>", "special": True}})


def small_vocabulary(source):
    add_sentencepiece(source)
    edit_json(source / "config.json", llm_config=LANGUAGE | {"vocab_size": 420})


def template_of_another_family(source):
    add_sentencepiece(source)
    edit_json(source / "config.json", template="phi3-chat")


def chat(**changes):
    return lambda source: edit_json(source / "config.json", **changes)


def language(**changes):
    return chat(llm_config=LANGUAGE | changes)


BAD = {
    "no config": (lambda source: (source / "config.json").unlink(), "has no config.json"),
    "torn config": (lambda source: (source / "config.json").write_text("{"), "is not JSON"),
    "no object": (lambda source: (source / "config.json").write_text("[]"), "does not hold a JSON object"),
    "converted already": (chat(model_type="internvl"), "in the transformers format already"),
    "another model": (chat(model_type="llava"), "model_type 'llava' is not 'internvl_chat'"),
    "no language model": (chat(llm_config=None), "has no llm_config"),
    "Phi-3": (language(architectures=["Phi3ForCausalLM"]), "Phi3ForCausalLM has no counterpart"),
    "no architecture": (language(architectures=None), "without a name has no counterpart"),
    "V2PE": (language(rope_pos_id_version="v2pe"), "V2PE"),
    "yarn": (language(rope_scaling={"type": "yarn", "factor": 4.0}), "rope_scaling .*yarn.* cannot be converted"),
    "sizes that do not fit": (language(hidden_size="wide"), "hidden_size"),
    "heads that do not fit": (language(num_key_value_heads=3), "wqkv.weight .* does not fit config.json"),
    "LoRA": (chat(use_llm_lora=128), "unmerged LoRA"),
    "transposed": (chat(ps_version="v1"), "ps_version 'v1'"),
    "inner layer": (chat(select_layer=-4), "select_layer is -4"),
    "padding": (chat(pad2square=True), "pad2square"),
    "no thumbnail": (chat(use_thumbnail=False), "use_thumbnail"),
    "epsilon": (
        chat(vision_config=VISION | {"qk_normalization": True, "layer_norm_eps": 1e-5}),
        "another epsilon than transformers' 1e-6",
    ),
    "missing tensor": (drop_tensor, r"layers\.0\.post_attention_layernorm\.weight has no source"),
    "no head": (
        lambda source: save_file(
            {n: t for n, t in read(source / "model.safetensors").items() if "output" not in n},
            source / "model.safetensors",
        ),
        r"lm_head\.weight has no source",
    ),
    "left-over tensor": (add_tensor, r"vision_model\.head\.weight is left over"),
    "shape": (reshape_tensor, r"linear_1\.bias the shape \(7,\), config\.json says \(16,\)"),
    "torn weights": (tear, "model.safetensors is torn"),
    "no weights": (lambda source: (source / "model.safetensors").unlink(), "has no model.safetensors"),
    "lost shard": (lose_a_shard, "has no model-00001.safetensors"),
    "tensor twice": (repeat_a_tensor, "is in model-00000.safetensors and in model-00001.safetensors"),
    "quantised": (
        lambda source: save_file({"mlp1.0.bias": torch.zeros(32, dtype=torch.int8)}, source / "model.safetensors"),
        "mlp1.0.bias is I8",
    ),
    "torn tokenizer": (tear_the_tokenizer, "tokenizer.model is torn"),
    "tokenizer of another kind": (
        lambda source: (source / "tokenizer.json").write_text("{}"),
        "the tokenizer in .* cannot be used",
    ),
    "tokens that are no tokens": (
        lambda source: write_json(source / "tokenizer_config.json", {"added_tokens_decoder": {"0": "<unk>"}}),
        "the tokenizer in .* cannot be used",
    ),
    "sizes that are no numbers": (chat(force_image_size="28"), "values that do not fit"),
    "tokenizer of a larger model": (small_vocabulary, "id 423 is beyond the model's 420 tokens"),
    "token id": (another_tokens_id, "'<img>' should have id 500"),
    "template": (template_of_another_family, "template 'phi3-chat' is not known"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(source, tmp_path, case):
    spoil, sentence = BAD[case]
    spoil(source)
    with pytest.raises(UserError, match=sentence) as caught:
        convert(source, tmp_path / "target")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_existing_target_is_kept(source, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        convert(source, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing(source, tmp_path):
    """A file may not grow beyond 20,000 bytes: the weights (about 84,000) do not fit."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            convert(source, tmp_path / "target")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
