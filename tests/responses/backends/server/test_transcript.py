"""What a server's reply says: special tokens and thoughts are part of the text, and every parameter is said."""

import copy
import json
from dataclasses import replace

import pytest
from transformers import AutoTokenizer

from mixpo.files import BASE_MODEL
from mixpo.replies import Choice, read_reply
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.make import make_backend
from mixpo.responses.backends.server.openai_server import OpenAIServerBackend, ServerConfig
from mixpo.responses.backends.server.transcript import Reader

DRAWN = SamplingParams(temperature=1.0, top_k=0, max_new_tokens=40)
REQUESTS = [Request(id=f"q-{number}", prompt=f"how many, {number}?", samples=(0, 1, 2, 3)) for number in range(5)]
STRICT = {"repetition_penalty", "min_p", "skip_special_tokens", "spaces_between_special_tokens", "separate_reasoning",
          "return_token_ids", "top_k", "generation_config"}  # fmt: skip


def load(server, **more) -> OpenAIServerBackend:
    backend = OpenAIServerBackend.load("tiny", ServerConfig(base_url=server.url, backoff=0.01, **more), check=False)
    server.bodies.clear()
    return backend


def texts(backend, params=DRAWN, requests=REQUESTS) -> dict[tuple[str, int], str]:
    return {(one.request_id, one.sample): one.text for one in backend.complete(requests, params)}


@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(BASE_MODEL)


@pytest.fixture(scope="session")
def opening(tmp_path_factory, tokenizer) -> str:
    """The folder of a tokenizer whose chat template opens a thought."""
    folder, tokenizer = tmp_path_factory.mktemp("opening"), copy.deepcopy(tokenizer)
    tokenizer.chat_template += "{% if add_generation_prompt %}{{ '<think>\n' }}{% endif %}"
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_the_models_own_generation_config_says_changes_nothing(server, temperature, nested):
    server.refused = {"top_k"} if nested else set()
    params = replace(DRAWN, temperature=temperature)
    plain = texts(load(server), params)
    server.defaults = {"repetition_penalty": 1.3, "top_k": 1, "min_p": 0.2, "temperature": 0.1}
    assert texts(load(server), params) == plain
    said = server.bodies[0] | json.loads(server.bodies[0].get("generation_config", "{}"))
    assert said["repetition_penalty"] == 1.0
    if temperature:
        assert (said["min_p"], said["top_k"]) == (0.0, 0 if nested else -1)


def test_a_strict_server_gets_nothing_that_it_refuses(server):
    server.refused = STRICT
    assert len(texts(load(server))) == 20
    assert not any(STRICT & body.keys() for body in server.bodies)
    assert {body["presence_penalty"] for body in server.bodies} == {0.0}


def test_all_tokens_in_the_word_that_the_server_takes(server):
    server.broken = lambda body: 400 if body.get("top_k") == -1 else 0
    assert len(texts(load(server))) == 20
    assert {body["top_k"] for body in server.bodies} == {0}


@pytest.mark.parametrize("options", [{}, {"tokenizer": str(BASE_MODEL)}])
@pytest.mark.parametrize("gives_tokens", [False, True])
def test_special_tokens_stay_in_the_text_and_the_end_token_does_not(server, tokenizer, options, gives_tokens):
    server.marks, server.tokenizer = ("<img>", "</img>"), tokenizer if gives_tokens else None
    server.after_end = "<|im_end|>"
    special = set(tokenizer.convert_tokens_to_ids(server.marks))
    for one in load(server, **options).complete(REQUESTS, DRAWN):
        assert one.text.startswith("<img>")
        assert one.text.count("</img>") == 1
        assert "im_end" not in one.text
        assert not options or special <= set(one.token_ids)
        assert one.canonical == (not options)  # marks of a picture are words in texts: what tokens are known, are kept


def test_the_servers_tokens_are_kept_where_its_text_does_not_say_them(server, tokenizer):
    """Each character a token; a tokenizer of another model is noticed by the words it makes of them."""

    class Letters:
        eos_token_id = tokenizer.eos_token_id
        shift = 0

        def __call__(self, text, **_):
            letters = [tokenizer.encode(letter, add_special_tokens=False)[0] + self.shift for letter in text]
            return {"input_ids": letters}

    server.tokenizer = Letters()
    backend = load(server, tokenizer=str(BASE_MODEL))
    (one,) = backend.complete([replace(REQUESTS[0], samples=(0,))], DRAWN)
    assert len(one.token_ids) == len(one.text)
    assert (one.canonical, backend.decode(one.token_ids)) == (False, one.text)
    server.tokenizer.shift = 1
    (other,) = backend.complete([replace(REQUESTS[0], samples=(0,))], DRAWN)
    assert (other.text, other.canonical) == (one.text, True)
    assert other.token_ids == tuple(tokenizer.encode(one.text, add_special_tokens=False))


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("strips", [False, True])
@pytest.mark.parametrize("gives_tokens", [False, True])
@pytest.mark.parametrize("obeys", [False, True])
def test_a_thought_that_the_server_splits_off_is_part_of_the_text(
    server, tokenizer, field, strips, gives_tokens, obeys
):
    """With a parser as without one: cut in the thought, after it, and not at all."""
    server.thinks = True
    limits = (2, 4, 6, 40)  # with five the tag is the last token, and nothing but its tokens tells
    expected = [texts(load(server), replace(DRAWN, max_new_tokens=limit)) for limit in limits]
    server.splits, server.strips = field, strips
    server.ignored = set() if obeys else {"separate_reasoning"}
    server.tokenizer = tokenizer if gives_tokens else None
    backend = load(server, tokenizer=str(BASE_MODEL))
    for limit, whole in zip(limits, expected, strict=True):
        found = texts(backend, replace(DRAWN, max_new_tokens=limit))
        assert {key: text.strip() for key, text in found.items()} == {key: text.strip() for key, text in whole.items()}
    assert all(text.startswith("<think>\n") and "</think>\n\n" in text for text in whole.values())


@pytest.mark.parametrize("strips", [False, True])
def test_canaries_of_a_server_that_splits_thoughts_off(server, strips):
    """Cut in the thought there is no content at all: what tells pictures apart is in the thought."""
    server.thinks, server.splits, server.strips = True, "reasoning_content", strips
    server.ignored = {"separate_reasoning"}
    server.refused = {"logprobs"}
    asked = ServerConfig(base_url=server.url, backoff=0.01, tokenizer=str(BASE_MODEL))
    backend = make_backend(BackendConfig(name="openai_server", server=asked), "tiny")
    (whole,) = backend.complete([replace(REQUESTS[0], samples=(0,))], replace(DRAWN, temperature=0))
    prefix = backend.reader.tokenizer.encode(whole.text)
    for count in (4, len(prefix) - 4) if not strips else ():
        request = replace(REQUESTS[0], samples=(0,), prefix_token_ids=tuple(prefix[:count]))
        (joined,) = backend.complete([request], replace(DRAWN, temperature=0))
        assert joined.text == whole.text


def choice(said: str | None, reasoning: str, finish: str = "stop", field: str = "reasoning_content") -> Choice:
    row = {"message": {"content": said, field: reasoning}, "finish_reason": finish}
    return read_reply({"choices": [row]}).choices[0]


def test_where_the_template_opens_the_thought_the_text_begins_in_it(opening):
    reader = Reader(AutoTokenizer.from_pretrained(opening), {})
    assert reader.thought_open
    assert reader.read(choice("3", "I see three"), "", ()).text == "I see three\n</think>\n\n3"
    assert reader.read(choice(None, "I see", "length"), "", ()).text == "I see"
    assert reader.read(choice("3", "\nI see\n"), "", ()).text == "\nI see\n</think>3"


def test_a_server_says_that_the_template_opens_the_thought(server, opening):
    assert {one.thought_open for one in load(server, tokenizer=opening).complete(REQUESTS, DRAWN)} == {True}
    assert {one.thought_open for one in load(server).complete(REQUESTS, DRAWN)} == {False}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", "<think>\nI see\n</think>\n\n3"),
        ("{{ '[THINK]' }} … [/THINK]", "[THINK]\nI see\n[/THINK]\n\n3"),
        ("… ◁/think▷ …", "◁think▷\nI see\n◁/think▷\n\n3"),
        ("<|begin_of_thought|><|end_of_thought|>", "<|begin_of_thought|>\nI see\n<|end_of_thought|>\n\n3"),
    ],
)
def test_tags_are_those_that_the_template_speaks_of(template, text):
    class Tokenizer:
        bos_token_id = eos_token_id = pad_token_id = None
        chat_template = template

    reader = Reader(Tokenizer(), {})
    assert reader.joined("3", "I see", "") == text


def test_thoughts_in_parts_of_the_content():
    """As Mistral's API has them."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "I see"}]}
    row = {"message": {"content": [thought, {"type": "text", "text": "3"}]}, "finish_reason": "stop"}
    (found,) = read_reply({"choices": [row]}).choices
    assert (found.text, found.reasoning) == ("3", "I see")
