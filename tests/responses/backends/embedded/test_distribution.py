"""The embedded backend draws from the distribution that `generate` draws from."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mixpo.responses.backend import Request, SamplingParams

STEPS = 10
COUNT = 800
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
REQUEST = Request(id="a", prompt="what is the colour?", images=(Image.fromarray(PIXELS),))
DRAWN = SamplingParams(temperature=0.8, top_k=12, top_p=0.9, max_new_tokens=2)


def test_per_token_probabilities_agree_with_generate(backend):
    """Greedy; the log-probability of token k is the sum over k tokens less the sum over k - 1."""
    inputs = backend.encoder([REQUEST])
    output = backend.model.generate(
        **inputs, do_sample=False, max_new_tokens=STEPS, output_logits=True, return_dict_in_generate=True
    )
    tokens = output.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    theirs = [
        logits[0].float().log_softmax(-1)[token].exp().item()
        for logits, token in zip(output.logits, tokens, strict=True)
    ]
    sums = [0.0]
    for count in range(1, len(tokens) + 1):
        params = SamplingParams(temperature=0, max_new_tokens=count, logps=True)
        (completion,) = backend.complete([REQUEST], params)
        assert list(completion.token_ids) == tokens[: len(completion.token_ids)]
        sums.append(completion.logp)
    ours = [math.exp(after - before) for before, after in itertools.pairwise(sums)]
    assert len(set(tokens)) > 2
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_sampled_frequencies_agree_with_generate(backend):
    """800 completions of two tokens each from either side; chi-squared of the two samples of pairs of tokens."""
    torch.manual_seed(0)
    inputs = backend.encoder([REQUEST])
    length = inputs["input_ids"].shape[1]
    with torch.no_grad():
        rows = backend.model.generate(
            **inputs, do_sample=True, temperature=0.8, top_k=12, top_p=0.9, max_new_tokens=2, num_return_sequences=COUNT
        )
    theirs = [tuple(row) for row in rows[:, length:].tolist()]
    request = replace(REQUEST, samples=tuple(range(COUNT)))
    ours = []
    for completion in backend.complete([request], DRAWN):
        ends = () if len(completion.token_ids) == 2 else (min(backend.end_ids),)
        ours.append((*completion.token_ids, *ends))
    # Rare pairs are counted as one: each cell expects at least ten on either side.
    cells: dict[tuple[int, ...], list[int]] = {}
    for side, drawn in enumerate((ours, theirs)):
        for pair in drawn:
            cells.setdefault(pair, [0, 0])[side] += 1
    counts = np.array([cell for cell in cells.values() if sum(cell) >= 20])
    counts = np.vstack([counts, COUNT - counts.sum(0)])
    assert len(counts) > 5
    pooled = counts.sum(1)
    expected = pooled[pooled > 0, None] / 2
    chi_squared = ((counts[pooled > 0] - expected) ** 2 / expected).sum()
    # Mean is the number of cells less one, variance twice that: five standard deviations above.
    freedom = len(expected) - 1
    assert chi_squared < freedom + 5 * (2 * freedom) ** 0.5
