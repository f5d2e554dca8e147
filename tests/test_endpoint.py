"""An endpoint's refusals, faults and pauses, from a real HTTP server on this machine that answers from a script."""

import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mixpo.endpoint import LONGEST_PAUSE, WORDS_KEPT, Endpoint, EndpointConfig, GaveUp, Refused, read_reply, retry_after
from mixpo.errors import UserError

pytest.importorskip("openai")
pytest.importorskip("tenacity")
KEY = "sk-of-the-test-9a1d"
COMPLETION = {"choices": [{"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"}]}


class Handler(BaseHTTPRequestHandler):
    """Gives the next of `answers` (the last for ever): (status, JSON or text, headers)."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        server.keys.append(self.headers["Authorization"])
        server.times.append(time.monotonic())
        status, content, headers = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Requests are kept, not printed."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TEST_KEY", KEY)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.keys, server.times, server.answers = [], [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def endpoint(server, **more) -> Endpoint:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return Endpoint(EndpointConfig(**{"base_url": url, "api_key_env": "TEST_KEY", "backoff": 0.01, **more}))


def ask(endpoint: Endpoint):
    return endpoint.chat("tiny", [{"role": "user", "content": "?"}])


@pytest.mark.parametrize("body", [{"error": {"message": f"bad key {KEY}"}}, {"detail": f"bad key {KEY}"}, f"bad {KEY}"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429, 500])
def test_a_key_that_the_endpoint_repeats_is_shown_nowhere(server, caplog, status, body):
    server.answers = [(status, body, {})]
    with caplog.at_level("DEBUG", logger="mixpo"), pytest.raises((GaveUp, UserError)) as raised:
        ask(endpoint(server, attempts=2))
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert KEY not in str(raised.value) + getattr(raised.value, "words", "") + caplog.text
    assert f"HTTP {status}" in str(raised.value)


def test_a_refusal_is_told_in_the_endpoint_s_words(server):
    """On one line, cut where they are too many; without a key no word is taken for one."""
    server.answers = [(422, {"detail": "none of\n  the fields"}, {}), (422, {"detail": "x" * 2 * WORDS_KEPT}, {})]
    with pytest.raises(Refused) as raised:
        ask(endpoint(server, api_key_env=""))
    assert (raised.value.status, raised.value.words) == (422, "none of the fields")
    with pytest.raises(Refused) as raised:
        ask(endpoint(server))
    assert len(raised.value.words) == WORDS_KEPT
    assert raised.value.words.endswith("x…")
    assert len(server.times) == 2


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503, 599])
def test_what_may_pass_is_asked_again_as_often_as_allowed(server, status):
    server.answers = [(status, {}, {}), (status, {}, {}), (200, COMPLETION, {})]
    assert ask(endpoint(server, attempts=3)).choices[0].text == "yes"
    assert len(server.times) == 3
    server.answers = [(status, {}, {})]
    with pytest.raises(GaveUp, match=f"HTTP {status}"):
        ask(endpoint(server, attempts=3))
    assert len(server.times) == 6


def test_a_reply_that_is_none_is_asked_for_again(server):
    server.answers = [(200, "<html>", {}), (200, {"choices": []}, {}), (200, COMPLETION, {})]
    assert ask(endpoint(server)).choices[0].finish_reason == "stop"
    server.answers = [(200, {"error": "upstream"}, {})]
    with pytest.raises(GaveUp, match="no chat completion"):
        ask(endpoint(server, attempts=2))
    assert len(server.times) == 5


def test_the_pause_is_not_below_what_the_endpoint_asks_for(server):
    server.answers = [(429, {}, {"Retry-After": "1"}), (200, COMPLETION, {})]
    ask(endpoint(server, backoff=0.0))
    assert server.times[1] - server.times[0] >= 1


def test_pauses_grow_from_the_configured_backoff(server):
    """After attempt k at most 2^k times as long; without one there are none."""
    server.answers = [(500, {}, {})]
    for backoff in (0.0, 3.0):
        asked, pauses = endpoint(server, backoff=backoff, attempts=7), []
        asked.retrying.sleep = pauses.append
        with pytest.raises(GaveUp):
            ask(asked)
        longest = [min(LONGEST_PAUSE, backoff * 2**k) for k in range(6)]
        assert all(0 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
        assert (max(pauses) > 3.0) == (backoff > 0)


def test_a_stop_ends_the_pause_and_the_attempts(server):
    server.answers = [(429, {}, {"Retry-After": "50"})]
    asked = endpoint(server)
    threading.Timer(0.5, asked.stop.set).start()
    started = time.monotonic()
    with pytest.raises(GaveUp):
        ask(asked)
    assert time.monotonic() - started < 20
    assert len(server.times) <= 2


def test_retry_after_is_a_number_or_a_date():
    assert retry_after("7") == 7
    assert 50 < retry_after(formatdate(time.time() + LONGEST_PAUSE, usegmt=True)) <= LONGEST_PAUSE
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0
    assert retry_after("soon") == retry_after("") == 0


def test_a_reply_is_read_in_the_order_of_its_choices():
    second = {
        "index": 1, "message": {"content": "b\ud800"}, "finish_reason": "length",
        "logprobs": {"content": [{"logprob": -1}, {"logprob": -0.5}]},
    }  # fmt: skip
    first = {"index": 0, "message": {"content": None}}
    reply = read_reply({"choices": [second, first], "usage": {"prompt_tokens": 5, "completion_tokens": 3}})
    assert [choice.text for choice in reply.choices] == ["", "b?"]
    assert [choice.finish_reason for choice in reply.choices] == ["", "length"]
    assert [choice.logps for choice in reply.choices] == [None, (-1.0, -0.5)]
    assert (reply.prompt_tokens, reply.completion_tokens) == (5, 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"base_url": "localhost:8000"}, "http"),
        ({"base_url": "http://"}, "name a host"),
        ({"base_url": "http://me@host"}, "password"),
        ({"base_url": "http://:word@host"}, "password"),
        ({"base_url": "http://host?key=1"}, "query"),
        ({"api_key_env": "sk-12"}, "name of an environment variable"),
        ({"concurrency": 0}, "above 0"),
        ({"attempts": 0}, "above 0"),
        ({"timeout": 0}, "above 0"),
        ({"backoff": -0.1}, "above 0"),
    ],
)
def test_configs_that_cannot_work_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        EndpointConfig(**{"base_url": "http://host/v1", **given})


def test_a_key_s_variable_must_be_set(server, monkeypatch):
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(UserError, match="TEST_KEY is not set"):
        endpoint(server)
