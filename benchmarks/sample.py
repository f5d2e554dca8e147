"""Responses a second of the embedded backend beside `model.generate(num_return_sequences=n)`, in one process.

    python benchmarks/sample.py [--questions 8] [--runs 3] [--tiny]

An InternVL model of about 15 million random parameters, prompts with 1,024 image tokens (four tiles of 256), n = 16
responses of 16, 32 … 256 tokens. Random weights know no end of turn, so the lengths are set from outside, on both
sides by the same rule: sample s of a question ends after `LENGTHS[s]` tokens and not before. For `generate` that is a
logits processor, for the backend the same masking around its own sampler; drawing itself (temperature 0.7, top-k 50)
is each side's own. `generate` must run all rows of a question to the longest; the backend lets finished rows leave and
the next question's join, encodes image and prompt once for all samples, and keeps their keys and values once.

Both sides answer the same questions in turn, `runs` times; the medians are compared. Run it on an idle machine.
"""

import argparse
import copy
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    LogitsProcessor,
    LogitsProcessorList,
)

from mixpo.models.base_model import make_tokenizer
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.embedded import transformers as embedded
from mixpo.responses.backends.embedded.draw import noise_key, sampler
from mixpo.responses.backends.embedded.transformers import TransformersBackend

RESULTS = Path(__file__).parent / "results"
N = 16
TILE, PATCH, TILES = 256, 8, 4
TOKENS_A_TILE = (TILE // PATCH // 2) ** 2
"""Pixel shuffle halves either side: 16 x 16 = 256 tokens, 1,024 for the four tiles."""
# In mixed order: rows of one question do not end one after the other.
LENGTHS = [16 * (1 + 7 * sample % N) for sample in range(N)]
PARAMS = SamplingParams(temperature=0.7, top_k=50, max_new_tokens=max(LENGTHS))
WORDS = ["How many red circles are left of the blue square in this picture of shapes? Final answer: 3 green 12"] * 50


def build(width: int, layers: int) -> tuple[Any, Any]:
    """A random model and its processor; four tiles an image."""
    tokenizer = make_tokenizer(WORDS, 4096)
    tokenizer.model_max_length = 4096
    vision = {
        "image_size": [TILE, TILE], "patch_size": [PATCH, PATCH], "hidden_size": width // 2, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": width, "layer_scale_init_value": 1.0,
    }  # fmt: skip
    text = {
        "model_type": "qwen2", "vocab_size": 8192, "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": 8, "num_key_value_heads": 4, "intermediate_size": 3 * width,
        "max_position_embeddings": 4096, "tie_word_embeddings": False, "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    config = InternVLConfig(
        vision_config=vision, text_config=text, downsample_ratio=0.5, image_seq_length=TOKENS_A_TILE,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    model = InternVLForConditionalGeneration(config).eval()
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    images = GotOcr2ImageProcessor(size={"height": TILE, "width": TILE}, crop_to_patches=False)
    processor = InternVLProcessor(
        image_processor=images, tokenizer=tokenizer, image_seq_length=TOKENS_A_TILE,
        video_processor=InternVLVideoProcessor(size={"height": TILE, "width": TILE}),
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    # The processor's own default would cut each image into tiles of its own choice.
    processor.image_processor.crop_to_patches = False
    return model, processor


def questions(count: int) -> list[Request]:
    """Each with four pictures of noise: one tile each, 1,024 image tokens."""
    made = []
    for number in range(count):
        rng = np.random.default_rng(number)
        images = tuple(Image.fromarray(rng.integers(0, 256, (TILE, TILE, 3), dtype=np.uint8)) for _ in range(TILES))
        prompt = "How many red circles are left of the blue square?"
        made.append(Request(id=f"q-{number}", prompt=prompt, images=images, samples=tuple(range(N))))
    return made


def masked(logits: torch.Tensor, written: torch.Tensor, lengths: torch.Tensor, end: int) -> torch.Tensor:
    """The end token alone where the length is reached, and never before. `written`, `lengths`: (rows,)."""
    ends = written + 1 >= lengths
    logits = logits.clone()
    logits[:, end] = torch.where(ends, 1e9, -torch.inf)
    return logits


class EndsAt(LogitsProcessor):
    """For `generate`: row s is sample s."""

    def __init__(self, prompt_tokens: int, end: int):
        self.prompt_tokens, self.end = prompt_tokens, end

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        written = torch.full((len(scores),), input_ids.shape[1] - self.prompt_tokens)
        return masked(scores, written, torch.tensor(LENGTHS), self.end)


def with_generate(model: Any, backend: TransformersBackend, requests: list[Request]) -> tuple[int, int]:
    """(responses, tokens) of one `generate` a question."""
    end = backend.tokenizer.eos_token_id
    responses = tokens = 0
    for request in requests:
        inputs = backend.encoder([request])
        length = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            rows = model.generate(
                **inputs, do_sample=True, temperature=PARAMS.temperature, top_k=PARAMS.top_k, num_return_sequences=N,
                max_new_tokens=PARAMS.max_new_tokens, logits_processor=LogitsProcessorList([EndsAt(length, end)]),
            )[:, length:]  # fmt: skip
        found = [(row == end).nonzero()[0, 0].item() + 1 for row in rows]
        assert found == LENGTHS, found
        responses, tokens = responses + N, tokens + sum(found)
    return responses, tokens


def with_backend(backend: TransformersBackend, requests: list[Request]) -> tuple[int, int]:
    """(responses, tokens) of the embedded backend, all questions in one stream."""
    end = backend.tokenizer.eos_token_id
    lengths = {noise_key(0, request.id, sample): LENGTHS[sample] for request in requests for sample in range(N)}
    draw = sampler(PARAMS)

    def ends_at(logits: torch.Tensor, keys: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        limits = torch.tensor([lengths[key] for key in keys.tolist()])
        return draw(masked(logits, written, limits, end), keys, written)

    original, embedded.sampler = embedded.sampler, lambda params: ends_at
    try:
        found = list(backend.complete(requests, PARAMS))
    finally:
        embedded.sampler = original
    assert all(completion.completion_tokens == LENGTHS[completion.sample] for completion in found)
    return len(found), sum(completion.completion_tokens for completion in found)


def timed(answer: Callable[[], tuple[int, int]]) -> dict[str, float]:
    started = time.perf_counter()
    responses, tokens = answer()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "responses_per_second": responses / seconds, "tokens_per_second": tokens / seconds}


def main() -> None:
    """Prints the medians and their ratio, and writes every run to benchmarks/results/sample.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tiny", action="store_true", help="a narrow model: only to see that it runs; nothing is kept")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, processor = build(*((32, 1) if options.tiny else (320, 6)))
    plain = copy.deepcopy(model)  # the backend speeds its own model up
    backend = TransformersBackend(model, processor)
    requests = questions(options.questions)
    image_tokens = (backend.encoder(requests[:1])["input_ids"] == backend.model.config.image_token_id).sum().item()
    assert image_tokens == TILES * TOKENS_A_TILE == 1024, image_tokens
    sides = {"generate": partial(with_generate, plain), "mixpo": with_backend}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(options.runs):
        for name, answer in sides.items():
            runs[name].append(timed(lambda answer=answer: answer(backend, requests)))
            print(f"{name:9} {runs[name][-1]['responses_per_second']:8.2f} responses a second", flush=True)
    medians = {name: statistics.median(run["responses_per_second"] for run in found) for name, found in runs.items()}
    ratio = medians["mixpo"] / medians["generate"]
    print(f"medians: {medians['generate']:.2f} and {medians['mixpo']:.2f} responses a second, ratio {ratio:.2f}")
    if not options.tiny:
        RESULTS.mkdir(exist_ok=True)
        result = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.machine(), "runs": runs,
            "threads": options.threads, "torch": torch.__version__, "n": N, "lengths": LENGTHS,
            "parameters": sum(parameter.numel() for parameter in backend.model.parameters()),
            "image_tokens": image_tokens, "questions": options.questions, "medians": medians, "ratio": ratio,
        }  # fmt: skip
        (RESULTS / "sample.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
