"""What mixpo does with what vLLM's engine says, without vLLM: an engine that refuses, and one that is broken."""

import copy
import sys
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from mixpo.model_inputs import ImagesConfig, ModelInputs
from mixpo.models.chat import Chat
from mixpo.models.load import apply
from mixpo.models.picture_limits import Limits, limits_of
from mixpo.records import Dropped, DropReason
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.vllm import VLLMBackend, limited
from mixpo.videos import Frames

LONG = "The decoder prompt (length 5016) is longer than the maximum model length of 4096."


class VLLMError(Exception):
    """As in `vllm.exceptions`, since it is no ValueError."""


class VLLMClientError(VLLMError):
    pass


class VLLMValidationError(VLLMClientError):
    pass


class VLLMUnprocessableEntityError(VLLMClientError):
    pass


class EarlierValidationError(ValueError):
    """As it was before."""


class Choice:
    def __init__(self, index):
        self.index, self.token_ids, self.cumulative_logprob = index, [5, 6], -1.0


class Output:
    finished, prompt_token_ids = True, (1, 2, 3)

    def __init__(self, name, count):
        self.request_id, self.outputs = name, [Choice(index) for index in range(count)]


class Engine:
    """Raises `error` for the second run of samples of every request whose prompt has more than 60 tokens."""

    def __init__(self, error):
        self.error, self.running, self.runs = error, {}, {}

    def add_request(self, name, prompt, samples):
        ids = tuple(prompt["prompt_token_ids"])
        self.runs[ids] = self.runs.get(ids, 0) + 1
        if len(ids) > 60 and self.runs[ids] == 2:
            raise self.error
        self.running[name] = len(samples)

    def abort_request(self, names):
        for name in names:
            del self.running[name]

    def step(self):
        done, self.running = self.running, {}
        return [Output(name, count) for name, count in done.items()]


class WithoutVLLM(VLLMBackend):
    def _sampling(self, params, request, samples):
        return samples


def complete(internvl, error):
    backend = WithoutVLLM(Engine(error), Chat(internvl[1]), frozenset({6}))
    requests = [
        Request(id="a", prompt="circle", samples=(0, 1)),
        Request(id="long", prompt="circle red green " * 60, samples=(0, 1, 5)),
        Request(id="b", prompt="square", samples=(0,)),
    ]
    return list(backend.complete(requests, SamplingParams()))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (VLLMValidationError(LONG), DropReason.PROMPT_TOO_LONG),
        (EarlierValidationError(LONG), DropReason.PROMPT_TOO_LONG),
        (VLLMUnprocessableEntityError("the image cannot be identified"), DropReason.BAD_IMAGE),
    ],
)
def test_a_request_that_vllm_refuses_is_dropped_and_the_others_are_answered(internvl, error, reason):
    results = complete(internvl, error)
    dropped = [result for result in results if isinstance(result, Dropped)]
    assert [(one.id, one.reason, one.detail) for one in dropped] == [("long", reason, str(error))]
    answered = {(result.request_id, result.sample) for result in results if not isinstance(result, Dropped)}
    assert answered == {("a", 0), ("a", 1), ("b", 0)}


def test_a_video_is_left_out(internvl):
    film = Frames((Image.new("RGB", (8, 8)),) * 2, 1.0)
    backend = WithoutVLLM(Engine(None), Chat(internvl[1]), frozenset({6}))
    requests = [Request(id="film", prompt="circle", images=(film,)), Request(id="a", prompt="circle")]
    found = list(backend.complete(requests, SamplingParams()))
    assert (found[0].id, found[0].reason) == ("film", DropReason.UNSUPPORTED)
    assert [one.request_id for one in found[1:]] == ["a"]


def test_the_engine_is_told_every_parameter(internvl, monkeypatch):
    """Not what its version or the checkpoint's `generation_config` have as defaults."""
    vllm, kinds = ModuleType("vllm"), ModuleType("vllm.sampling_params")
    vllm.SamplingParams, kinds.RequestOutputKind = SimpleNamespace, SimpleNamespace(FINAL_ONLY=2)
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", kinds)
    backend = VLLMBackend(None, Chat(internvl[1]), frozenset({6}))
    said = backend._sampling(SamplingParams(top_k=0, temperature=0.7), Request(id="q", prompt="?"), (0,))
    assert (said.top_k, said.top_p, said.temperature, said.min_p) == (0, 1.0, 0.7, 0.0)
    assert (said.repetition_penalty, said.presence_penalty, said.frequency_penalty) == (1.0, 0.0, 0.0)


def test_another_error_of_the_engine_stays_one(internvl):
    with pytest.raises(VLLMError, match="the engine is dead"):
        complete(internvl, VLLMError("the engine is dead"))


def test_limits_on_pictures_reach_the_engine(internvl):
    """A picture within max_pixels, and the engine's own processor with the same number of tiles."""
    processor = copy.deepcopy(internvl[1])
    apply(processor, ModelInputs(images=ImagesConfig(max_pixels=5000)), "m")
    engine, given = Engine(None), []
    add = engine.add_request
    engine.add_request = lambda name, prompt, samples: given.append(prompt) or add(name, prompt, samples)
    backend = WithoutVLLM(engine, Chat(processor), frozenset({6}))
    list(backend.complete([Request(id="a", prompt="?", images=(Image.new("RGB", (200, 100)),))], SamplingParams()))
    assert [image.size for image in given[0]["multi_modal_data"]["image"]] == [(100, 50)]
    settings = limits_of(processor).settings
    assert settings["max_patches"] == 1
    assert limited(processor, {"quantization": "fp8"}) == {"quantization": "fp8", "mm_processor_kwargs": settings}
    own = {"mm_processor_kwargs": {"max_patches": 3}}
    assert limited(processor, own) == {"mm_processor_kwargs": {**settings, "max_patches": 3}}
    assert limited(internvl[1], own) == own


def test_the_engines_model_knows_its_processors_tiles(internvl):
    processor = copy.copy(internvl[1])
    processor.picture_limits = Limits(settings={"image_grid_pinpoints": [[28, 28]]})
    assert limited(processor, {})["hf_overrides"] == {"image_grid_pinpoints": [[28, 28]]}
