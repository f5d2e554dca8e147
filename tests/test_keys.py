"""What looks like a key is refused where a recipe has it, and its value is in no message."""

import pytest

from mixpo.config import build
from mixpo.errors import FieldError
from mixpo.keys import without_key
from mixpo.responses.backends.config import BackendConfig
from mixpo.training.section import Config as TrainConfig

KEY = "sk-of-the-test-9a1d"


@pytest.mark.parametrize(
    "extra",
    [
        {"api_key": KEY}, {"apiKey": "abc"}, {"API-KEY": "abc"}, {"Authorization": "abc"}, {"token": "abc"},
        {"hf_token": "abc"}, {"extra_headers": {"x-api-key": "abc"}}, {"a": [{"password": "abc"}]}, {"user": KEY},
        {"header": f"Bearer {KEY}"}, {"client_secret": "abc"}, {"header": "Basic QWxhZGRpbjpPcGVu"},
        {"properties": {"token": KEY}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["server", "vllm"])
def test_a_key_in_a_recipe_is_refused(extra, place):
    server = {"base_url": "http://host/v1"} if place == "server" else {}
    name = "openai_server" if place == "server" else "vllm"
    with pytest.raises(FieldError, match="looks like a key, and a recipe is stored with its run") as raised:
        build(BackendConfig, {"name": name, place: {**server, "extra": extra}}, "backend")
    assert KEY not in str(raised.value)
    assert "abc" not in str(raised.value)


def test_a_key_for_the_hub_is_refused():
    with pytest.raises(FieldError, match="looks like a key") as raised:
        build(TrainConfig, {"pairs": "pair", "trainer": {"hub_token": "hf_abcdefgh12"}}, "train")
    assert "hf_abc" not in str(raised.value)


def test_what_servers_know_is_no_key():
    extra = {
        "min_p": 0.1, "stop_token_ids": [1], "max_tokens": 5, "skip_special_tokens": False, "return_token_ids": True,
        "chat_template_kwargs": {"enable_thinking": False}, "bos_token": "<s>", "logit_bias": {"50256": -100},
        "cache_salt": "", "api_key": None, "hf_token": True, "stop": ["Basic shapes"],
        "guided_json": {"properties": {"password": {"type": "string"}, "token": {"type": "string"}}},
    }  # fmt: skip
    build(BackendConfig, {"name": "openai_server", "server": {"base_url": "http://host/v1", "extra": extra}}, "backend")


def test_words_that_a_key_begins_with_are_kept():
    """vLLM's documentation calls its key `token-abc123`."""
    assert without_key("max_tokens is above 5 tokens", "token-abc123") == "max_tokens is above 5 tokens"
    assert without_key("the key is token-abc123!", "token-abc123") == "the key is …!"
    assert without_key("nothing", "") == "nothing"
