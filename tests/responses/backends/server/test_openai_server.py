"""The server backend against real HTTP servers on this machine: one made of arithmetic that fails on request, those of
transformers and vLLM are in `test_real_servers`."""

import base64
import io
import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from transformers import AutoTokenizer

from mixpo.errors import UserError
from mixpo.files import BASE_MODEL, RunFiles
from mixpo.model_inputs import ImagesConfig, InputsOfSeveral, ModelInputs
from mixpo.records import Dropped, DropReason, FinishReason, Question, Response
from mixpo.responses import sample
from mixpo.responses.backend import Completion, Request, SamplingParams, consecutive, engine_seed
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.make import make_backend
from mixpo.responses.backends.server.capabilities import FIELDS, TOKEN_IDS, Dialect
from mixpo.responses.backends.server.openai_server import OpenAIServerBackend, ServerConfig, asked_with, share
from mixpo.shards import read_records
from mixpo.videos import Frames

DRAWN = SamplingParams(temperature=1.0, top_k=20, max_new_tokens=40)
GREEDY = SamplingParams(temperature=0, max_new_tokens=40)


@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(BASE_MODEL)


def config(server, **more) -> ServerConfig:
    return ServerConfig(**{"base_url": server.url, "backoff": 0.01, **more})


def load(server, check=False, **more) -> OpenAIServerBackend:
    backend = OpenAIServerBackend.load("tiny", config(server, **more), check=check)
    server.bodies.clear()
    return backend


def by_sample(backend, requests, params) -> dict[tuple[str, int], Completion]:
    completions = list(backend.complete(requests, params))
    assert not [record for record in completions if isinstance(record, Dropped)]
    found = {(c.request_id, c.sample): c for c in completions}
    assert len(found) == len(completions)
    return found


def questions(count: int, samples=(0, 1, 2, 3)) -> list[Request]:
    return [Request(id=f"q-{n}", prompt=f"how many, {n}?", samples=samples) for n in range(count)]


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8))


@pytest.mark.parametrize("ignored", [set(), {"n"}])
def test_every_response_exactly_once_from_a_server_that_fails_three_times_in_ten(server, ignored):
    """Each is the one that its own seed gives, as a server without faults says it."""
    server.ignored = ignored
    expected = by_sample(load(server), questions(20), DRAWN)
    backend = load(server, timeout=3.0, attempts=8, concurrency=16)
    server.fail(0.3, seed=1)
    found = by_sample(backend, questions(20), DRAWN)
    assert found == expected
    assert len({completion.text for completion in found.values()}) > 70
    assert len(server.bodies) > (80 if ignored else 20) * 1.2


def test_as_many_requests_as_allowed_are_in_flight(server):
    backend = load(server, concurrency=3)
    three = threading.Barrier(3, timeout=60)
    server.broken = lambda body: (three.wait(), time.sleep(0.1), 0)[-1]  # a fourth would have the time to come
    by_sample(backend, questions(6, (0,)), DRAWN)
    assert server.most_in_flight == 3


def test_choices_are_counted_and_missing_ones_asked_for(server):
    backend = load(server)
    assert backend.dialect.several
    whole = by_sample(backend, questions(1, (0, 1, 2, 5)), DRAWN)
    # One request for 0, 1, 2 and one for 5: a request has one seed, and its choices the seeds that follow.
    assert sorted(body.get("n", 1) for body in server.bodies) == [1, 3]
    server.ignored = {"n"}
    server.bodies.clear()
    single = by_sample(backend, questions(1, (0, 1, 2, 5)), DRAWN)
    assert {key: completion.text for key, completion in single.items()} == {key: c.text for key, c in whole.items()}
    # It was asked for 3 and gave one, was asked for 2 and gave one …
    assert sorted(body.get("n", 1) for body in server.bodies) == [1, 1, 2, 3]


def test_at_most_so_many_choices_in_a_request(server):
    by_sample(load(server, choices=3), questions(1, tuple(range(7))), DRAWN)
    assert sorted(body.get("n", 1) for body in server.bodies) == [1, 3, 3]


def test_the_one_answer_at_temperature_0_is_asked_for_one_by_one(server):
    backend = load(server)
    server.broken = lambda body: 400 if body.get("n", 1) > 1 and not body["temperature"] else 0  # as vLLM does
    assert len({completion.text for completion in by_sample(backend, questions(1), GREEDY).values()}) == 1


def test_runs_of_consecutive_samples_and_their_seeds():
    assert consecutive((0, 1, 2, 5)) == [(0, 1, 2), (5,)]
    assert consecutive(range(5), 2) == [(0, 1), (2, 3), (4,)]
    assert consecutive(()) == []
    assert engine_seed(0, "q", 7) == engine_seed(0, "q", 0) + 7 < 2**31
    assert len({engine_seed(seed, name, 0) for seed in range(9) for name in "abc"}) == 27


def test_images_are_sent_whole_before_the_text(server):
    images = (picture(0), picture(1))
    by_sample(load(server), [Request(id="q", prompt="what?", images=images)], DRAWN)
    for sent, image in zip(server.pictures(), images, strict=True):
        assert np.array_equal(np.asarray(sent), np.asarray(image))
    assert [part["type"] for part in server.bodies[0]["messages"][0]["content"]] == ["image_url", "image_url", "text"]


def test_finish_reason_counts_and_log_probabilities(server):
    backend = load(server, tokenizer=str(BASE_MODEL))
    (cut,) = backend.complete(questions(1, (0,)), SamplingParams(max_new_tokens=3, logps=True))
    assert (cut.finish_reason, cut.completion_tokens, cut.prompt_tokens) == (FinishReason.LENGTH, 3, 7)
    assert len(cut.text.split()) == 3
    assert backend.decode(cut.token_ids) == cut.text
    (whole,) = backend.complete(questions(1, (0,)), replace(DRAWN, logps=True))
    assert (whole.finish_reason, whole.completion_tokens) == (FinishReason.STOP, len(whole.text.split()) + 1)
    assert cut.logp < 0 > whole.logp
    four = list(backend.complete(questions(1), DRAWN))
    assert sum(completion.completion_tokens for completion in four) == sum(len(c.text.split()) + 1 for c in four)


def test_tokens_of_all_choices_are_shared_out():
    assert share(10, [1, 1, 1]) == [4, 3, 3]
    assert share(7, [0, 0]) == [4, 3]
    assert share(0, [5, 6]) == [0, 0]
    assert share(100, [10, 30]) == [27, 73]


def test_without_log_probabilities_the_recipe_is_refused(server):
    server.ignored = {"logprobs"}
    with pytest.raises(UserError, match="set logps: false"):
        list(load(server).complete(questions(1), replace(DRAWN, logps=True)))


@pytest.mark.parametrize(
    ("refused", "spoken"),
    [
        (set(), Dialect()),
        ({"n"}, Dialect(several=False)),
        ({"top_k", "max_tokens"}, Dialect(nested=True, limit="max_completion_tokens")),
        ({"top_k", "generation_config"}, Dialect(top_k=False)),
        (
            {"top_k", "generation_config", "max_tokens", "n"},
            Dialect(top_k=False, limit="max_completion_tokens", several=False),
        ),
        ({"logprobs"}, Dialect(logps=False)),
    ],
)
def test_dialects(server, refused, spoken):
    server.refused = refused
    backend = load(server)
    assert replace(backend.dialect, fields=spoken.fields, all_tokens=-1) == spoken
    assert backend.dialect.fields == tuple(name for name in FIELDS if name != TOKEN_IDS)
    params = DRAWN if spoken.top_k else replace(DRAWN, top_k=0)
    assert len(by_sample(backend, questions(2), params)) == 8
    (greedy,) = backend.complete(questions(1, (0,)), GREEDY)
    assert {c.text for c in backend.complete(questions(1), GREEDY)} == {greedy.text}


def test_top_k_that_the_server_does_not_take_is_refused(server):
    server.refused = {"top_k", "generation_config"}
    with pytest.raises(UserError, match="set top_k: 0"):
        list(load(server).complete(questions(1), DRAWN))


def test_further_fields_go_into_every_request(server):
    by_sample(load(server, extra={"min_p": 0.1}), questions(1), DRAWN)
    assert {body["min_p"] for body in server.bodies} == {0.1}


def test_a_prompt_too_long_is_dropped_and_a_limit_too_high_is_not(server):
    """Context of 30 words: 12 words and a limit of 40 fit when the limit is left out; 31 words do not."""
    backend = load(server)
    server.context = 30
    long = Request(id="long", prompt="word " * 31, samples=(0, 1))
    (dropped, *found) = sorted(backend.complete([long, *questions(1)], DRAWN), key=lambda r: isinstance(r, Completion))
    assert (dropped.id, dropped.reason) == ("long", DropReason.PROMPT_TOO_LONG)
    assert "maximum context length is 30" in dropped.detail
    assert [completion.sample for completion in found] == [0, 1, 2, 3]


@pytest.mark.parametrize("status", [400, 500])
def test_a_request_that_always_fails_is_dropped_once_and_the_others_go_on(server, status):
    server.ignored = {"n"}
    backend = load(server, attempts=2)
    server.broken = lambda body: status if "many, 3?" in str(body["messages"]) else 0
    found = list(backend.complete(questions(6), DRAWN))
    (dropped,) = [record for record in found if isinstance(record, Dropped)]
    assert (dropped.id, dropped.reason) == ("q-3", DropReason.REFUSED)
    assert f"HTTP {status}" in dropped.detail
    assert dropped.transient == (status == 500), "what the server fails on it may answer another day"
    assert ("not on others" in dropped.detail) == (status == 500)
    done = {(record.request_id, record.sample) for record in found if isinstance(record, Completion)}
    assert done == {(f"q-{n}", sample) for n in (0, 1, 2, 4, 5) for sample in range(4)}


def test_an_answer_that_a_filter_cuts_is_dropped_with_what_the_server_says(server):
    backend = load(server)
    server.finish = lambda body, reason: "content_filter" if "many, 0?" in str(body) else reason
    dropped, *found = sorted(backend.complete(questions(2), DRAWN), key=lambda record: isinstance(record, Completion))
    assert "'content_filter'" in dropped.detail
    assert not dropped.transient
    assert len(found) == 4


def test_a_server_that_failed_on_all_is_not_said_to_have_answered_others(server):
    """Short questions, by which it is seen to be alive, are no others."""
    backend = load(server, attempts=1)
    server.broken = lambda body: 500 if "many" in str(body["messages"]) else 0
    found = list(backend.complete(questions(2, (0,)), DRAWN))
    assert {record.detail for record in found} == {"the server failed on it 3 times: HTTP 500"}


def dies_after(replies: int):
    """For `ModelServer.broken`: all requests after so many fail."""
    numbers = itertools.count(1)
    return lambda body: 503 if next(numbers) > replies else 0


def test_a_server_that_dies_ends_the_run_with_one_sentence(server):
    # One at a time: with two, the last good reply might come after three bad ones.
    backend = load(server, attempts=2, concurrency=1)
    server.broken = dies_after(10)
    found = []
    with pytest.raises(UserError, match=r"3 requests in a row got no reply \(HTTP 503\)"):
        found.extend(backend.complete(questions(50), DRAWN))
    assert len(found) == 40
    assert len(server.bodies) < 30


def test_a_server_that_is_not_there(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="no connection.*start the server"):
        OpenAIServerBackend.load("tiny", config(server, attempts=2))


def test_the_model_must_be_served(server):
    server.names = ["one", "two"]
    with pytest.raises(UserError, match="serves no model 'tiny'; set server.model to one of one, two"):
        load(server)
    assert load(server, model="two").model == "two"
    server.names = ["other name"]
    assert load(server).model == "other name"


def test_key_is_sent_and_a_wrong_one_ends_the_run(server, monkeypatch):
    monkeypatch.setenv("SERVER_KEY", "sk-test-17")
    backend = load(server, api_key_env="SERVER_KEY")
    assert set(server.keys) == {"Bearer sk-test-17"}
    server.broken = lambda body: 401
    with pytest.raises(UserError, match="HTTP 401.*SERVER_KEY") as raised:
        list(backend.complete(questions(2), DRAWN))
    assert "sk-test" not in str(raised.value)


def test_a_prefix_is_continued(server, tokenizer):
    backend = load(server, tokenizer=str(BASE_MODEL))
    request = questions(1, (0,))[0]
    (whole,) = backend.complete([request], GREEDY)
    kept = tokenizer.encode(whole.text[: len(whole.text) // 2], add_special_tokens=False)
    (joined,) = backend.complete([replace(request, prefix_token_ids=tuple(kept))], GREEDY)
    assert joined.text == whole.text
    assert backend.decode((*kept, *joined.token_ids)) == whole.text
    last = server.bodies[-1]
    assert (last["continue_final_message"], last["add_generation_prompt"]) == (True, False)
    assert last["messages"][1]["role"] == "assistant"


def test_a_prefix_needs_a_tokenizer(server):
    with pytest.raises(UserError, match=r"server\.tokenizer"):
        list(load(server).complete([replace(questions(1)[0], prefix_token_ids=(1, 2))], GREEDY))


@pytest.mark.parametrize("logps", [True, False])
def test_canaries_pass(server, tokenizer, logps):
    server.refused = set() if logps else {"logprobs"}
    backend = load(server, check=True, tokenizer=str(BASE_MODEL))
    request = replace(questions(1)[0], prefix_token_ids=tuple(tokenizer.encode("red", add_special_tokens=False)))
    assert len(list(backend.complete([request], DRAWN))) == 4


@pytest.mark.parametrize("logps", [True, False])
@pytest.mark.parametrize(
    ("switch", "message"),
    [
        ({"ignored": {"images"}}, "does not see images"),
        ({"ignored": {"temperature"}}, "sampling is off"),
        ({"ignored": {"top_k"}}, "ignores top_k"),
        ({"after_end": "\nuser\nand now"}, "goes on after its answer"),
        ({"after_end": "<|im_end|>\nand now"}, "goes on after its answer"),
    ],
)
def test_canaries_refuse(server, switch, message, logps):
    server.refused = set() if logps else {"logprobs"}
    for name, value in switch.items():
        setattr(server, name, value)
    with pytest.raises(UserError, match=message):
        make_backend(BackendConfig(name="openai_server", server=config(server)), "tiny")


@pytest.mark.parametrize("logps", [True, False])
def test_canary_refuses_a_server_that_opens_a_new_turn(server, tokenizer, logps):
    server.ignored = {"continue_final_message"} | (set() if logps else {"logprobs"})
    backend = load(server, check=True, tokenizer=str(BASE_MODEL))
    request = replace(questions(1)[0], prefix_token_ids=tuple(tokenizer.encode("red", add_special_tokens=False)))
    with pytest.raises(UserError, match="opens a new turn"):
        list(backend.complete([request], DRAWN))


def test_a_server_is_needed():
    with pytest.raises(ValueError, match="base_url"):
        BackendConfig(name="openai_server")


def test_a_rerun_pays_only_for_what_is_missing(server, tmp_path):
    """The server dies in the middle of a block: what came is on disk, and is not asked for again; the block's records
    are in order all the same."""
    files = RunFiles(tmp_path)
    files.questions("questions").append(Question(id=f"q-{n}", text=f"How many, {n}?") for n in range(12))

    def step(run: int) -> sample.Config:
        """Every request says of which run it is."""
        asked = config(server, attempts=2, choices=2, concurrency=4, extra={"run": run})
        return sample.Config(n=4, backend=BackendConfig(name="openai_server", canaries=False, server=asked))

    server.broken = dies_after(15)
    with pytest.raises(UserError, match="what was sampled is kept"):
        sample.run(step(1), files)
    journal = files.responses("sample").folder / "begun.jsonl"
    kept = list(read_records(journal, Response))
    assert 10 < len(kept) < 48
    journal.write_bytes(journal.read_bytes() + b'{"id": "q-0/')  # as a kill leaves it
    server.broken = lambda body: 0
    sample.run(step(2), files)
    whole = list(files.responses("sample"))
    assert all(record in whole for record in kept)
    assert [r.id for r in whole] == [f"q-{n}/{s}" for n in range(12) for s in range(4)]
    assert not journal.exists()
    # Requests of the first run that were in flight when it ended may come even now.
    asked = [body for body in server.bodies if body["run"] == 2 and "How many" in str(body["messages"])]
    assert sum(body.get("n", 1) for body in asked) == 48 - len(kept)


@pytest.mark.parametrize("places", [(0,), (2,), (0, 1, 2)])
def test_questions_with_videos_are_left_out_and_the_others_asked(server, places):
    film = Frames((picture(0), picture(1)), 1.0)
    asked = [replace(one, images=(film,)) if n in places else one for n, one in enumerate(questions(3))]
    found = list(load(server).complete(asked, DRAWN))
    dropped = [record for record in found if isinstance(record, Dropped)]
    assert sorted(record.id for record in dropped) == [f"q-{n}" for n in places]
    assert {(record.reason, "a question with a video" in record.detail) for record in dropped} == {
        (DropReason.UNSUPPORTED, True)
    }
    assert len(found) - len(dropped) == 4 * (3 - len(places))


def test_pictures_are_sent_within_the_limits_and_the_template_gets_its_options(server):
    inputs = ModelInputs(images=ImagesConfig(max_pixels=50), chat_template={"enable_thinking": False, "level": 1})
    own = {"chat_template_kwargs": {"level": 2}}
    backend = OpenAIServerBackend.load("tiny", config(server, extra=own), inputs, check=False)
    assert all(body["chat_template_kwargs"] == {"enable_thinking": False, "level": 2} for body in server.bodies)
    server.bodies.clear()
    by_sample(backend, [Request(id="a", prompt="?", images=(picture(0),))], GREEDY)
    (body,) = server.bodies
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "level": 2}
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as sent:
        assert sent.size == (8, 6)


def test_what_cannot_be_said_to_a_server_is_refused(server, tokenizer, caplog):
    tiles, thinks = ModelInputs(images=ImagesConfig(max_tiles=2)), ModelInputs(chat_template={"enable_thinking": False})
    with pytest.raises(UserError, match="images.max_tiles: a server decides itself"):
        OpenAIServerBackend.load("tiny", config(server), tiles, check=False)
    OpenAIServerBackend.load("tiny", config(server, extra={"mm_processor_kwargs": {}}), tiles, check=False)
    with pytest.raises(UserError, match="does not ask for enable_thinking"):  # as the tokenizer's template tells
        OpenAIServerBackend.load("tiny", config(server, tokenizer=str(BASE_MODEL)), thinks, check=False)
    assert not caplog.text
    asked_with(InputsOfSeveral(images=ImagesConfig(max_tiles=2)), config(server), None)
    assert "images.max_tiles" in caplog.text
