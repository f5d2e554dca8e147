"""Graphs that FlexAttention compiles over rows of other lengths, with and without a gradient."""

import json
import random

import torch
from torch._dynamo.utils import counters

from devices.on_null_gpu import waits
from mixpo.models.attention import flex_attention
from mixpo.models.prefix_mask import BLOCK, block_mask

DEVICE = torch.device("cuda:0")
HEADS, KEYS, WIDTH, LAYERS = 6, 2, 64, 3
layer = torch.nn.Identity()


def step(prefixes: torch.Tensor) -> int:
    """The reference's pass, then the policy's with its gradient."""
    tokens = -(-int(prefixes.sum()) // BLOCK) * BLOCK
    mask = block_mask(prefixes, tokens, DEVICE)
    for grad in (False, True):
        shapes = [(1, heads, tokens, WIDTH) for heads in (HEADS, KEYS, KEYS)]
        given = [torch.zeros(shape, device=DEVICE, dtype=torch.bfloat16, requires_grad=grad) for shape in shapes]
        with torch.set_grad_enabled(grad):
            outputs = [flex_attention(layer.train(grad), *given, mask)[0] for _ in range(LAYERS)]
        if grad:
            torch.stack(outputs).sum().backward()
    return tokens


rng = random.Random(0)
rows = [
    [[rng.randint(30, 900), *(rng.randint(5, 200) for _ in range(completions))] for _ in range(rng.randint(1, 3))]
    for completions in (2, 8, 4, 1, 6, 3)
]
lengths = [step(torch.tensor(prefixes)) for prefixes in [*rows, [[40, 20, 30]], [[100, 50, 60]]]]
graphs = counters["stats"]["unique_graphs"]
with waits() as places:
    step(torch.tensor(rows[1]))
print(json.dumps({"lengths": lengths, "graphs": graphs, "waits": dict(places)}))
