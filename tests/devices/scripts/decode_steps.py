"""Prefill and decode steps of the embedded backend at InternVL3-8B's shape, or with fewer layers.

Everything reads as zeros, also how many rows have finished: bursts end where the memory's columns do.
"""

import argparse
import json

import torch
from transformers import GenerationConfig, InternVLConfig, InternVLForConditionalGeneration
from transformers.initialization import no_init_weights

from devices.on_null_gpu import counted, waits
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.embedded.budget import token_budget
from mixpo.responses.backends.embedded.draw import sampler
from mixpo.responses.backends.embedded.graphs import Recorder
from mixpo.responses.backends.embedded.kv_cache import Memory
from mixpo.responses.backends.embedded.prefill import Encoded, attention_windows, prefill
from mixpo.responses.backends.embedded.rows import StoppingCriteria, begin
from mixpo.responses.backends.embedded.steps import Drawing, PlainSteps, StaticSteps

TILES, TEXT = 8, 60
IMAGE = 151667


def made(layers: int):
    """InternVL3-8B in bfloat16, with so many layers."""
    vision = {
        "hidden_size": 1024, "num_hidden_layers": min(layers, 24), "num_attention_heads": 16,
        "intermediate_size": 4096, "image_size": [448, 448], "patch_size": [14, 14], "attention_bias": True,
        "use_absolute_position_embeddings": True, "norm_type": "layer_norm", "use_qk_norm": False,
    }  # fmt: skip
    text = {
        "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": layers, "num_attention_heads": 28,
        "num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 151674, "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        "tie_word_embeddings": False,
    }  # fmt: skip
    config = InternVLConfig(vision_config=vision, text_config=text, image_token_id=IMAGE, tie_word_embeddings=False)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"), no_init_weights():
        model = InternVLForConditionalGeneration(config).eval()
    torch.set_default_dtype(torch.float32)
    model.generation_config = GenerationConfig()
    return model


def encoded(prompts: int, samples: int) -> Encoded:
    tokens = torch.tensor([[10] + [IMAGE] * (TILES * 256) + [11] * (TEXT - 1)] * prompts)
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    inputs["pixel_values"] = torch.zeros(prompts * TILES, 3, 448, 448)
    requests = tuple(
        Request(id=str(number), prompt="x", images=(), samples=tuple(range(samples))) for number in range(prompts)
    )
    return Encoded(requests, inputs, (tokens.shape[1],) * prompts)


def spoil(model) -> None:
    """A forward in which the host waits for a value: it cannot be recorded."""
    layer = model.get_decoder().layers[0]
    layer.register_forward_hook(lambda module, given, output: print("looked at", output.sum().item()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--steps", choices=["graph", "static", "plain"], default="graph")
    parser.add_argument("--logps", action="store_true")
    parser.add_argument("--spoil", action="store_true")
    args = parser.parse_args()
    model = made(args.layers)
    if args.spoil:
        spoil(model)
    found: dict = {"budget": token_budget(model, "auto"), "weights": torch.cuda.memory_allocated()}
    device, end_ids = torch.device("cuda"), torch.tensor([2], device="cuda")
    memory = Memory(found["budget"], device, attention_windows(model))
    drawing = Drawing(sampler(SamplingParams(temperature=0.7, top_k=50)), 0, args.logps)
    recorder = Recorder() if args.steps == "graph" else None
    steps = PlainSteps(model, drawing, end_ids, memory)
    if args.steps != "plain":
        steps = StaticSteps(model, drawing, end_ids, memory, recorder)
    batch = encoded(args.prompts, args.samples)
    pairs = [(number, sample) for number in range(args.prompts) for sample in range(args.samples)]
    with torch.inference_mode():
        with counted() as found["prefill"], waits() as places:
            prefilled = prefill(model, batch)
        found["prefill"] |= {"waits": dict(places), "peak": torch.cuda.max_memory_allocated()}
        with counted() as found["join"], waits() as places:
            rows = begin(prefilled, pairs, StoppingCriteria(end_ids, 1024, 32768), 0)
            memory.join(prefilled.layers, prefilled.lengths, torch.tensor([prompt for prompt, _ in pairs]))
        found["join"]["waits"] = dict(places)
        rows.counts += 1
        for burst in ("first", "second"):
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            memory.width = 0  # the same columns again
            with counted() as counts, waits() as places:
                steps.advance(rows)
            done = memory.width
            found[burst] = {name: count / done for name, count in counts.items()}
            found[burst] |= {"steps": done, "waits": {place: count / done for place, count in places.items()}}
            found[burst]["peak"] = torch.cuda.max_memory_allocated() - before
    found["recorded"] = bool(recorder and recorder.works)
    print(json.dumps(found))


main()
