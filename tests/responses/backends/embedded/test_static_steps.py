"""Steps of fixed shapes, as a GPU has them, done on the CPU: the completions are those of plain steps."""

import copy
import logging
from dataclasses import replace

import pytest
import torch

from mixpo.responses.backends.embedded.budget import token_budget, token_bytes
from mixpo.responses.backends.embedded.graphs import Recorder
from mixpo.responses.backends.embedded.steps import rounded
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from responses.backends.embedded.test_transformers import DRAWN, REQUESTS, by_sample, same

LONG = replace(DRAWN, max_new_tokens=70, temperature=2.0, top_k=0)
"""Beyond the first 64 columns of memory."""
UNEVEN = [replace(REQUESTS[number % 4], id=f"q{number}", samples=tuple(range(2 + number))) for number in range(5)]


def made(family, budget="auto", static=False) -> TransformersBackend:
    """One of 30 tokens ends a turn, so that rows are of very different length."""
    backend = TransformersBackend(*family, token_budget=budget)
    backend.static = static
    backend.end_ids |= set(range(0, backend.model.config.get_text_config().vocab_size, 30))
    return backend


@pytest.fixture(scope="module")
def plain(internvl):
    found = by_sample(made(internvl), UNEVEN, LONG)
    assert len({len(completion.token_ids) for completion in found.values()}) > 10
    return found


@pytest.mark.parametrize("params", [DRAWN, LONG, replace(LONG, top_p=0.9), replace(DRAWN, temperature=0)])
def test_static_steps_give_what_plain_ones_do(family, params):
    """InternVL, Qwen2.5-VL (positions of three axes), Gemma (sliding windows); prompts with two to six samples."""
    found = by_sample(made(family, static=True), UNEVEN, params)
    assert len(found) == 20
    same(by_sample(made(family), UNEVEN, params), found)


@pytest.mark.parametrize("budget", [1500, 600, 1])
def test_static_rows_join_leave_and_give_way(internvl, plain, budget):
    same(plain, by_sample(made(internvl, budget, static=True), UNEVEN, LONG))


def test_rows_that_wait_for_others_stay_within_the_context(internvl):
    """Learned positions (BLIP-2's OPT) end there: a GPU that reads behind them stops the whole process."""
    backend = TransformersBackend(*internvl)
    backend.static, backend.end_ids = True, frozenset([0])
    first = replace(REQUESTS[1], id="long", prompt="circle " * 400, samples=(0,))
    backend.context = backend.encoder([first])["input_ids"].shape[1] + 3
    seen = []
    hook = backend.model.get_decoder().register_forward_pre_hook(
        lambda module, given, options: seen.append(int(options["position_ids"].max())), with_kwargs=True
    )
    try:
        assert len(by_sample(backend, [first, *UNEVEN], LONG)) == 21
    finally:
        hook.remove()
    assert max(seen) < backend.context


@pytest.mark.parametrize("rows", [4, 12])
def test_what_was_begun_goes_on_when_memory_is_short(internvl, plain, caplog, rows):
    """A device on which more than so many prompts or rows do not fit: nothing is lost or done twice."""
    backend = made(internvl)

    def refuse(module, given, options):
        if len(options["inputs_embeds"]) > rows:
            raise torch.OutOfMemoryError("too many")

    hook = backend.model.get_decoder().register_forward_pre_hook(refuse, with_kwargs=True)
    with caplog.at_level(logging.WARNING):
        try:
            same(plain, by_sample(backend, UNEVEN, LONG))
        finally:
            hook.remove()
    assert "does not suffice" in caplog.text
    assert backend.token_budget < 65_536


def test_shapes_are_rounded_up():
    assert [rounded(count) for count in (1, 7, 8, 9, 16, 17, 33, 100, 512)] == [1, 7, 8, 10, 16, 20, 40, 112, 512]
    assert all(count <= rounded(count) <= 1.25 * count for count in range(1, 5000))


def test_token_budget(internvl):
    model, _ = internvl
    assert token_budget(model, "auto") == 65_536
    assert token_budget(model, 99) == 99
    backend = made(internvl)
    with torch.no_grad():
        cache = model(**backend.encoder([REQUESTS[0]]), use_cache=True).past_key_values
    stored = sum(tensor.nbytes for layer in cache.layers for tensor in (layer.keys, layer.values))
    assert token_bytes(model) == stored / cache.get_seq_length()


def test_graphs_are_given_up_before_shared_prompts(internvl, caplog):
    """A canary that finds other log-probabilities: first without graphs, then without shared prompts."""
    backend = TransformersBackend(*internvl)
    backend.recorder, backend.windows = Recorder(), [4] * len(backend.windows)
    backend.check()
    assert (backend.recorder, backend.windows) == (None, None)
    backend = TransformersBackend(*internvl)
    backend.recorder = Recorder()
    with caplog.at_level(logging.WARNING):
        backend._do_without(backend, near=1e-3)
    assert backend.windows is not None
    assert "CUDA graphs" in caplog.text


@pytest.mark.gpu
def test_recorded_steps_on_a_gpu(family):
    """The completions of the CPU, and those of steps that are not recorded, up to where rounding decides a draw."""
    if not torch.cuda.is_available():
        pytest.skip("needs a real GPU")
    model, processor = family
    cpu = by_sample(TransformersBackend(model, processor), UNEVEN, DRAWN)
    model = copy.deepcopy(model).cuda()
    backend = TransformersBackend(model, processor)
    recorded = by_sample(backend, UNEVEN, DRAWN)
    assert backend.recorder.works
    same(recorded, by_sample(TransformersBackend(model, processor, cuda_graphs=False), UNEVEN, DRAWN))
    equal = sum(recorded[key].token_ids == cpu[key].token_ids for key in cpu)
    assert equal >= 0.8 * len(cpu)
