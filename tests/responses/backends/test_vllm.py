"""What mixpo does with what vLLM's engine says, without vLLM: an engine that refuses, and one that is broken."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from mixpo.models.chat import Chat
from mixpo.records import Dropped, DropReason
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.vllm import VLLMBackend

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
