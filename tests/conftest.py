"""Tiny random checkpoints of several architectures."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

from mixpo.files import RunFiles
from mixpo.models.base_model import make_model, make_processor, make_tokenizer
from mixpo.pairs.build import Config as PairConfig
from mixpo.pairs.build import run as build_pairs
from mixpo.questions.collect import Config as QuestionsConfig
from mixpo.questions.collect import run as collect
from mixpo.records import FinishReason, Response
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.verdicts.mathematics import symbolic
from mixpo.verdicts.verify import Config as VerifyConfig
from mixpo.verdicts.verify import run as verify

# A machine with other work is slow: no test is timed. CI generates the same cases every time, so that what it refuses
# is the change it looks at; everywhere else they are new ones.
settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=any(os.environ.get(name) for name in ("CI", "MIXPO_DERANDOMIZE")),
)
settings.load_profile("untimed")

TEXTS = ["what is the colour of the circle left of the blue square? answer: red green 三角形 Final answer: 3"] * 20


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def generous_limit(monkeypatch):
    """SymPy's time runs by a clock on the wall: the usual 1.5 s may be over on a busy machine before it has begun."""
    monkeypatch.setattr(symbolic, "_limit", 60.0)
    symbolic.start_clock()


@pytest.fixture(autouse=True)
def _launched_by_nobody():
    """accelerate writes what it is told into the environment (DeepSpeed's stage …), which the next test would read."""
    kept = dict(os.environ)
    yield
    for name in [name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_"))]:
        del os.environ[name]
    os.environ.update({name: value for name, value in kept.items() if name.startswith(("ACCELERATE_", "FSDP_"))})


@pytest.fixture(scope="session")
def internvl():
    """The architecture of the base model: (model, processor)."""
    tokenizer = make_tokenizer(TEXTS, 400)
    return make_model(tokenizer, 0).eval(), make_processor(tokenizer)


@pytest.fixture(scope="session")
def qwen(internvl):
    """Rotary positions of three axes, image tokens that depend on the picture's size."""
    import transformers as t

    tokenizer, ids = _tokenizer(["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"])
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    tokenizer.chat_template = tokenizer.chat_template.replace("<IMG_CONTEXT>\n", image)
    tokenizer.image_token, tokenizer.video_token = "<|image_pad|>", "<|video_pad|>"
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 64,
        "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "fullatt_block_indexes": [1],
        "window_size": 56,
    }  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = t.Qwen2_5_VLConfig(
        vision_config=vision,
        text_config={"model_type": "qwen2_5_vl_text", "rope_parameters": rope, **_text(tokenizer)},
        image_token_id=ids[0], video_token_id=ids[1], vision_start_token_id=ids[2], vision_end_token_id=ids[3],
        tie_word_embeddings=False,
    )  # fmt: skip
    processor = t.Qwen2_5_VLProcessor(
        image_processor=t.Qwen2VLImageProcessor(
            patch_size=14, merge_size=2, size={"shortest_edge": 28**2, "longest_edge": 56**2}
        ),
        tokenizer=tokenizer,
        video_processor=t.Qwen2VLVideoProcessor(patch_size=14, merge_size=2),
        chat_template=tokenizer.chat_template,
    )
    return _random(t.Qwen2_5_VLForConditionalGeneration, config, tokenizer), processor


@pytest.fixture(scope="session")
def gemma():
    """Sliding windows (of 16 tokens, shorter than the prompts), and a first token that the template writes."""
    import transformers as t

    extra = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer, ids = _tokenizer(list(extra.values()), bos_token="<|im_start|>")
    tokenizer.chat_template = tokenizer.chat_template.replace("<IMG_CONTEXT>\n", "<start_of_image>")
    for name, token in extra.items():
        setattr(tokenizer, name, token)
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
    vision = {
        "model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14, "hidden_size": 32,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "vision_use_head": False,
    }  # fmt: skip
    text = {
        "model_type": "gemma3_text", "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention"], **_text(tokenizer, initializer_range=0.03),
    }  # fmt: skip
    config = t.Gemma3Config(
        vision_config=vision, text_config=text, mm_tokens_per_image=4,
        boi_token_index=ids[0], eoi_token_index=ids[1], image_token_index=ids[2], image_token_id=ids[2],
    )  # fmt: skip
    processor = t.Gemma3Processor(
        image_processor=t.Gemma3ImageProcessor(size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
        image_seq_length=4,
    )
    return _random(t.Gemma3ForConditionalGeneration, config, tokenizer), processor


@pytest.fixture(scope="session")
def mllama():
    """Images that layers attend to apart from the prompt's tokens."""
    from training.families import conftest as families

    model_class, config, processor = families.mllama()
    return families.randomised(model_class(config)), processor


def _tokenizer(special: list[str], **options):
    tokenizer = make_tokenizer(TEXTS, 400)
    tokenizer.add_special_tokens({"additional_special_tokens": special, **options})
    return tokenizer, tokenizer.convert_tokens_to_ids(special)


def _text(tokenizer, initializer_range: float = 0.2) -> dict:
    return {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 128, "max_position_embeddings": 1024, "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": initializer_range,
        "bos_token_id": None,
    }  # fmt: skip


def _random(model_class, config, tokenizer):
    torch.manual_seed(0)
    model = model_class(config).eval()
    # Weights of 0.02 would make every next token about equally likely, and every bug invisible.
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(2.0)
            if not parameter.any():  # Gemma's image projection starts as zeros
                parameter.data.normal_(std=0.2)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


@pytest.fixture(scope="session", params=["internvl", "qwen", "gemma", "mllama"])
def family(request):
    """(model, processor) of each architecture in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def backend(internvl):
    return TransformersBackend(*internvl)


@pytest.fixture(scope="session")
def scenes_run():
    """Makes a run folder of drawn questions, responses right and wrong, judged and paired by the real steps."""

    def make(folder, count=4, wrong=""):
        """`wrong` stands in the first wrong response, before its answer."""
        files = RunFiles(folder)
        collect(QuestionsConfig(sources={"scenes": {"loader": "scenes", "count": count}}), files)
        for number, question in enumerate(files.questions("questions")):
            other = {"yes": "no", "no": "yes"}.get(question.answer, "77")
            texts = [f"I look at the picture.\nFinal answer: {question.answer}", f"I guess.\nFinal answer: {other}"]
            if number == 0 and wrong:
                texts[1] = f"{wrong}\nFinal answer: {other}"
            files.responses("sample").append(
                Response(id=f"{question.id}/{n}", question_id=question.id, sample=n, text=text, prompt=question.text,
                         finish_reason=FinishReason.STOP)
                for n, text in enumerate(texts)
            )  # fmt: skip
        verify(VerifyConfig(workers=1), files)
        build_pairs(PairConfig(), files)
        return files

    return make
