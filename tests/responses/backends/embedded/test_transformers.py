"""The embedded backend against the model's own `generate`, and against itself in other batches."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mixpo.errors import UserError
from mixpo.records import Dropped, DropReason, FinishReason
from mixpo.responses.backend import Completion, Request, SamplingParams
from mixpo.responses.backends import canaries
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.embedded.transformers import TransformersBackend
from mixpo.responses.backends.make import make_backend


def picture(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """Random pixels."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


GREEDY = SamplingParams(temperature=0, max_new_tokens=16, logps=True)
DRAWN = SamplingParams(temperature=1.0, top_k=20, max_new_tokens=16, logps=True)
REQUESTS = (
    Request(id="a", prompt="what is the colour?", images=(picture(0),), samples=(0, 1, 2)),
    Request(id="b", prompt="no picture here", samples=(0, 1)),
    Request(id="c", prompt="what is the colour of the circle left?", images=(picture(1, 90, 60),), samples=(0, 1)),
    Request(id="d", prompt="answer: " * 12, images=(picture(2), picture(3, 50, 64)), samples=(0, 4)),
)


def by_sample(backend, requests, params) -> dict[tuple[str, int], Completion]:
    completions = list(backend.complete(requests, params))
    found = {(c.request_id, c.sample): c for c in completions}
    assert len(found) == len(completions)
    return found


def same(one: dict, other: dict) -> None:
    """The same tokens, and log-probabilities up to rounding."""
    assert one.keys() == other.keys()
    for key in one:
        assert one[key].token_ids == other[key].token_ids, key
        assert one[key].finish_reason == other[key].finish_reason
        assert one[key].logp == pytest.approx(other[key].logp, abs=1e-3)


def test_greedy_equals_generate(family):
    """One mixed batch: prompts of different lengths, with none, one and two images."""
    backend = TransformersBackend(*family)
    assert (backend.windows is None) == (backend.model.config.model_type == "mllama")
    found = by_sample(backend, REQUESTS, GREEDY)
    for request in REQUESTS:
        inputs = backend.encoder([request])
        with torch.no_grad():
            output = backend.model.generate(**inputs, do_sample=False, max_new_tokens=16)[0]
        tokens = output[inputs["input_ids"].shape[1] :].tolist()
        ends = [number for number, token in enumerate(tokens) if token in backend.end_ids]
        for sample in request.samples:
            completion = found[request.id, sample]
            assert list(completion.token_ids) == (tokens[: ends[0]] if ends else tokens)
            assert completion.prompt_tokens == inputs["input_ids"].shape[1]


def test_logps_equal_a_forward_pass_over_the_whole_text(family):
    """Teacher forcing: prompt and completion in one pass without cache."""
    backend = TransformersBackend(*family)
    for request in (REQUESTS[0], REQUESTS[1]):
        for completion in backend.complete([request], DRAWN):
            tokens = list(completion.token_ids)
            whole = backend.encoder([replace(request, prefix_token_ids=completion.token_ids)])
            with torch.no_grad():
                logps = backend.model(**whole).logits[0].float().log_softmax(-1)
            start = whole["input_ids"].shape[1] - len(tokens)
            expected = sum(logps[start - 1 + number, token].item() for number, token in enumerate(tokens))
            if completion.finish_reason is FinishReason.STOP:
                expected += max(logps[-1, token].item() for token in backend.end_ids)
            assert completion.logp == pytest.approx(expected, abs=1e-3)


def test_a_response_is_the_same_in_any_batch(family):
    backend = TransformersBackend(*family)
    together = by_sample(backend, REQUESTS, DRAWN)
    alone: dict = {}
    for request in reversed(REQUESTS):
        for sample in reversed(request.samples):
            alone |= by_sample(backend, [replace(request, samples=(sample,))], DRAWN)
    same(together, alone)
    assert len({completion.token_ids for completion in together.values()}) == len(together)


@pytest.mark.parametrize("budget", [600, 1])
def test_continuous_batching_under_a_small_budget(internvl, backend, budget):
    """16 rows of uneven length where 4 to 6 fit, or one: they join as others leave; some give way and come again."""
    requests = [replace(REQUESTS[0], id=f"q{number}", samples=(0, 1, 2, 3)) for number in range(4)]
    params = replace(DRAWN, max_new_tokens=70, temperature=2.0, top_k=0)
    roomy = by_sample(backend, requests, params)
    assert len({len(completion.token_ids) for completion in roomy.values()}) > 3
    same(roomy, by_sample(TransformersBackend(*internvl, token_budget=budget), requests, params))


def test_the_plain_way_gives_the_same(family):
    """What models with another sort of memory go through."""
    plain = TransformersBackend(*family, share_prompts=False)
    same(by_sample(TransformersBackend(*family), REQUESTS, DRAWN), by_sample(plain, REQUESTS, DRAWN))


def test_seed_changes_what_is_drawn(backend):
    one = by_sample(backend, REQUESTS[:1], DRAWN)
    other = by_sample(backend, REQUESTS[:1], replace(DRAWN, seed=1))
    assert all(one[key].token_ids != other[key].token_ids for key in one)


def test_first_tokens_follow_the_softmax(backend):
    """4,000 samples of one prompt, one token each; chi-squared over the tokens expected at least 5 times."""
    request = replace(REQUESTS[0], samples=tuple(range(4000)))
    with torch.no_grad():
        logits = backend.model(**backend.encoder([request])).logits[0, -1].float()
    shares = (logits.topk(20).values / 0.7).softmax(-1)
    tokens = logits.topk(20).indices.tolist()
    params = SamplingParams(temperature=0.7, top_k=20, max_new_tokens=1)
    drawn = [c.token_ids[0] if c.token_ids else min(backend.end_ids) for c in backend.complete([request], params)]
    assert set(drawn) <= set(tokens)
    expected = {token: 4000 * share.item() for token, share in zip(tokens, shares, strict=True) if 4000 * share >= 5}
    chi_squared = sum((drawn.count(token) - count) ** 2 / count for token, count in expected.items())
    # Mean is the number of cells, variance twice that: five standard deviations above.
    assert chi_squared < len(expected) + 5 * (2 * len(expected)) ** 0.5


def test_prefix_is_continued_token_by_token(family):
    """Greedy from the first half of a greedy answer is its second half; also in one batch with other prefixes."""
    backend = TransformersBackend(*family)
    whole = by_sample(backend, [replace(request, samples=(0,)) for request in REQUESTS], GREEDY)
    prefixed = [
        replace(request, samples=(0,), prefix_token_ids=whole[request.id, 0].token_ids[:kept])
        for request, kept in zip(REQUESTS, (3, 1, 7, 5), strict=True)
    ]
    rest = by_sample(backend, prefixed, replace(GREEDY, max_new_tokens=9))
    for request in prefixed:
        full, tail = whole[request.id, 0], rest[request.id, 0]
        joined = request.prefix_token_ids + tail.token_ids
        shared = min(len(joined), len(full.token_ids))
        assert joined[:shared] == full.token_ids[:shared]
        assert tail.text == backend.decode(joined)
        assert tail.completion_tokens == len(tail.token_ids) + (tail.finish_reason is FinishReason.STOP)


def test_the_image_matters(family):
    backend = TransformersBackend(*family)
    logps = {
        by_sample(backend, [replace(REQUESTS[0], images=(picture(seed),), samples=(0,))], GREEDY)["a", 0].logp
        for seed in range(3)
    }
    assert len(logps) == 3


def test_questions_of_the_same_words_keep_their_own_pictures(family):
    """Side by side in one batch each says what it says alone, also where a picture comes a second time."""
    backend = TransformersBackend(*family)
    asked = [
        Request(id=id, prompt="Describe the picture.", images=(picture(seed),), samples=(0, 1))
        for id, seed in (("a", 0), ("b", 1), ("c", 0))
    ]
    alone = {}
    for request in asked:
        alone |= by_sample(backend, [request], GREEDY)
    found = by_sample(backend, asked, GREEDY)
    same(found, alone)
    assert found["a", 0].logp == pytest.approx(found["c", 0].logp, abs=1e-3)
    assert found["a", 0].logp != pytest.approx(found["b", 0].logp, abs=1e-3)


def test_stop_token_ends_and_is_left_out(internvl):
    """The greedy third token declared an end of turn: two tokens are left, three were written."""
    model, processor = internvl
    request = replace(REQUESTS[0], samples=(0, 1))
    written = by_sample(TransformersBackend(model, processor), [request], GREEDY)["a", 0].token_ids
    assert written[2] not in written[:2]
    backend = TransformersBackend(model, processor)
    backend.end_ids = backend.end_ids | {written[2]}
    for completion in backend.complete([request], GREEDY):
        assert completion.token_ids == written[:2]
        assert completion.finish_reason is FinishReason.STOP
        assert completion.completion_tokens == 3
        assert completion.text == backend.decode(written[:2])


def test_what_the_checkpoint_says_of_sampling_changes_nothing(internvl, backend):
    """`generate` would take it; what is drawn is what `SamplingParams` say."""
    model, processor = internvl
    before, model.generation_config = model.generation_config, copy.deepcopy(model.generation_config)
    expected = [by_sample(backend, REQUESTS, params) for params in (GREEDY, DRAWN)]
    try:
        model.generation_config.update(repetition_penalty=1.5, top_k=1, min_p=0.3, temperature=0.1)
        for share in (True, False):
            other = TransformersBackend(model, processor, share_prompts=share)
            for params, found in zip((GREEDY, DRAWN), expected, strict=True):
                same(by_sample(other, REQUESTS, params), found)
    finally:
        model.generation_config = before


def test_special_tokens_are_kept_and_those_that_frame_a_turn_are_not(internvl):
    backend = TransformersBackend(*internvl)
    ids = backend.encoder.tokenizer.encode("a<img>b</img><|im_start|>c", add_special_tokens=False)
    assert backend.decode(ids) == "a<img>b</img><|im_start|>c"
    assert backend.decode([*ids, backend.encoder.tokenizer.pad_token_id, ids[0]]) == "a<img>b</img><|im_start|>ca"


def test_length_limit(backend):
    for completion in backend.complete(REQUESTS[:1], replace(GREEDY, max_new_tokens=5)):
        assert (len(completion.token_ids), completion.completion_tokens) == (5, 5)
        assert completion.finish_reason is FinishReason.LENGTH


def test_prompt_longer_than_the_context_is_dropped_and_others_go_on(internvl):
    backend = TransformersBackend(*internvl)
    backend.context = 60
    found = list(backend.complete([REQUESTS[1], replace(REQUESTS[1], id="long", prompt="circle " * 80)], GREEDY))
    (dropped,) = [record for record in found if isinstance(record, Dropped)]
    assert (dropped.id, dropped.reason) == ("long", DropReason.PROMPT_TOO_LONG)
    assert {record.request_id for record in found if isinstance(record, Completion)} == {"b"}


def test_an_image_that_the_processor_refuses_is_dropped_and_others_go_on(qwen):
    """Qwen's processor takes no picture whose sides are more than 200 to 1."""
    strip = Request(id="strip", prompt="what?", images=(picture(0, 600, 2),), samples=(0, 1))
    requests = [REQUESTS[0], strip, REQUESTS[2]]
    found = list(TransformersBackend(*qwen).complete(requests, GREEDY))
    (dropped,) = [record for record in found if isinstance(record, Dropped)]
    assert (dropped.id, dropped.reason) == ("strip", DropReason.BAD_IMAGE)
    assert "aspect ratio" in dropped.detail
    done = {(record.request_id, record.sample) for record in found if isinstance(record, Completion)}
    assert done == {("a", 0), ("a", 1), ("a", 2), ("c", 0), ("c", 1)}


def test_completion_ends_where_the_context_does(internvl):
    backend = TransformersBackend(*internvl)
    (first,) = backend.complete([replace(REQUESTS[1], samples=(0,))], replace(GREEDY, max_new_tokens=1))
    backend.context = first.prompt_tokens + 4
    (cut,) = backend.complete([replace(REQUESTS[1], samples=(0,))], GREEDY)
    assert cut.completion_tokens == 4
    assert cut.finish_reason is FinishReason.LENGTH


def test_weights_and_attention_are_left_as_they_were(internvl, backend):
    model, _ = internvl
    before = {name: value.clone() for name, value in model.state_dict().items()}
    implementation = model.get_decoder().config._attn_implementation
    list(backend.complete(REQUESTS, DRAWN))
    assert model.get_decoder().config._attn_implementation == implementation
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_make_backend_loads_a_checkpoint_and_runs_the_canaries(internvl, backend, tmp_path):
    for part in internvl:
        part.save_pretrained(tmp_path)
    loaded = make_backend(BackendConfig(), str(tmp_path))
    same(by_sample(loaded, REQUESTS, DRAWN), by_sample(backend, REQUESTS, DRAWN))


def test_missing_checkpoint_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        make_backend(BackendConfig(), str(tmp_path / "nothing"))


def test_canaries_pass(family):
    TransformersBackend(*family).check()


def test_canary_refuses_a_model_that_ignores_images(internvl, monkeypatch):
    """A vision tower that answers zeros, whatever it is shown."""
    model, processor = internvl
    tower = model.model.vision_tower
    forward = tower.forward
    monkeypatch.setattr(tower, "forward", lambda pixel_values, **options: forward(pixel_values * 0, **options))
    with pytest.raises(UserError, match="does not see images"):
        canaries.sees_images(TransformersBackend(model, processor))


def test_canary_refuses_a_prefix_that_is_not_continued(internvl):
    class Forgetful(TransformersBackend):
        def complete(self, requests, params):
            return super().complete([replace(request, prefix_token_ids=()) for request in requests], params)

    with pytest.raises(UserError, match="does not go on"):
        canaries.continues_prefixes(Forgetful(*internvl))


def test_canary_refuses_a_model_that_does_not_stop(internvl, monkeypatch):
    """Its text shows the turn that it goes on with."""
    backend = TransformersBackend(*internvl)
    monkeypatch.setattr(backend, "decode", lambda ids: "Three.\nuser\nAnd now?")
    with pytest.raises(UserError, match="goes on after its answer \\(with 'user'\\)"):
        canaries.stops(backend)


def test_canary_refuses_a_template_whose_end_does_not_stop(internvl):
    backend = TransformersBackend(*internvl)
    backend.end_ids = frozenset({0})
    with pytest.raises(UserError, match=r"<\|im_end\|>"):
        backend.check()


def test_canary_falls_back_when_attention_cannot_be_shared(internvl):
    """A window that the model does not have gives other log-probabilities: found out, and decoded plainly."""
    backend = TransformersBackend(*internvl)
    backend.windows = [4] * len(backend.windows)
    backend.check()
    assert backend.windows is None


@pytest.mark.parametrize(("ending", "opened"), [("", False), ("<think>\n", True), ("<think>\n\n</think>\n\n", False)])
def test_whether_the_template_opens_a_thought_stands_in_every_completion(qwen, ending, opened):
    model, processor = qwen
    processor = copy.copy(processor)
    processor.chat_template = (processor.chat_template or processor.tokenizer.chat_template) + ending
    completions = list(TransformersBackend(model, processor).complete(REQUESTS[:1], GREEDY))
    assert [completion.thought_open for completion in completions] == [opened] * len(completions)


def test_a_processor_of_another_checkpoint_is_a_sentence(internvl):
    """It writes other tokens for a picture than the model has features of it."""
    model, processor = internvl
    processor = copy.deepcopy(processor)
    processor.image_seq_length -= 1
    with pytest.raises(UserError, match=r"InternVLForConditionalGeneration does not take .* this checkpoint's own"):
        TransformersBackend(model, processor).check()
