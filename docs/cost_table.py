"""Writes the table of docs/cost.md: what MPO costs over SFT, for three model sizes, by `mixpo.plan.cost`."""

from pathlib import Path

import torch
from transformers import InternVLConfig, InternVLForConditionalGeneration

from mixpo.models.shape import Prompt, Shape, paired, shape_of
from mixpo.plan.cost import step_flops
from mixpo.plan.machines import machine_named

PAGE = Path(__file__).parent / "cost.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"
PAIRS = 3_000_000
PAIR = Prompt(tokens=1024 + 60, completions=(300, 350), images=(1025,) * 4, image_tokens=1024)
CHOSEN = Prompt(tokens=PAIR.tokens, completions=PAIR.completions[:1], images=PAIR.images, image_tokens=1024)
SMALL = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
LARGE = {"hidden_size": 3200, "num_hidden_layers": 45, "num_attention_heads": 25, "intermediate_size": 12800}


def text(kind: str, width: int, layers: int, heads: int, groups: int, inner: int, vocabulary: int) -> dict:
    return {
        "model_type": kind, "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": groups, "intermediate_size": inner, "vocab_size": vocabulary,
    }  # fmt: skip


MODELS = {
    "1 B (InternViT-300M, Qwen2-0.5B)": (SMALL, text("qwen2", 896, 24, 14, 2, 4864, 151_655)),
    "8 B (InternViT-300M, InternLM2.5-7B)": (SMALL, text("llama", 4096, 32, 32, 8, 14336, 92_553)),
    "76 B (InternViT-6B, Llama 3 70B)": (LARGE, text("llama", 8192, 80, 64, 8, 28672, 128_258)),
}


def shape(vision: dict, language: dict) -> Shape:
    vision = {**vision, "image_size": [448, 448], "patch_size": [14, 14]}
    config = InternVLConfig(vision_config=vision, text_config=language, tie_word_embeddings=False)
    with torch.device("meta"):
        return shape_of(InternVLForConditionalGeneration(config))


def table() -> str:
    machine = machine_named("64xa100")
    hours = PAIRS / (machine.devices * (machine.peak("bf16") or 0) * machine.efficiency) / 3600
    lines = [
        "| model | parameters | SFT | MPO, paired, live | MPO, shared, live | MPO, shared, cached |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, parts in MODELS.items():
        model = shape(*parts)
        sft = step_flops(model, [CHOSEN], live_reference=False)
        costs = [
            step_flops(model, paired([PAIR]), True) + 4 * vision(model),
            step_flops(model, [PAIR], True),
            # Once over the data for the cache, then without a reference.
            step_flops(model, [PAIR], False),
        ]
        cells = [f"{sft / 1e12:,.1f} TFLOP a pair, {sft * hours:,.1f} h"]
        cells += [f"{cost / sft:.2f}x, {cost * hours:,.1f} h" for cost in costs]
        lines.append(f"| {name} | {model.parameters / 1e9:.2f} B | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def vision(model: Shape) -> int:
    """A second time through the vision tower and the projector, as trainers without sharing do for the rejected."""
    tower = sum(model.vision.flops(tile, tile**2) for tile in PAIR.images)
    return tower + 2 * model.projector * PAIR.image_tokens


def updated(page: str) -> str:
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
