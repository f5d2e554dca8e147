"""An endpoint's refusals, faults, pauses and hostile replies, from a real server that answers from a script."""

import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mixpo import endpoint as module
from mixpo.endpoint import LONGEST_PAUSE, WORDS_KEPT, Endpoint, EndpointConfig, GaveUp, Refused, retry_after
from mixpo.errors import UserError
from mixpo.replies import read_reply

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
        if callable(content):
            content(self)
            return
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


def dripping(head: bytes, rest: bytes):
    """A reply whose bytes come one by one, each long before a read would be given up."""

    def send(handler):
        handler.wfile.write(head)
        try:
            for byte in rest * 10**4:
                handler.wfile.write(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            pass

    return send


def endless(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    try:
        while True:
            handler.wfile.write(b" " * 10**5)
    except OSError:
        pass


def packed(handler):
    content = gzip.compress(b" " * 10**7)
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(content))
    handler.wfile.write(content)


@pytest.mark.parametrize(
    "send",
    [
        dripping(b"", b"H"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["status", "headers", "body", "chunks"],
)
def test_slow_bytes_do_not_go_on_for_ever(server, send):
    server.answers = [(200, send, {})]
    started = time.monotonic()
    with pytest.raises(GaveUp, match="no reply in time"):
        ask(endpoint(server, attempts=1, timeout=0.15))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("send", [endless, packed])
@pytest.mark.parametrize("status", [200, 500])
def test_a_reply_has_a_limit_on_its_size(server, send, status):
    """A packed one is not unpacked at all: it was not asked for. The bodies of errors have the same limit."""
    server.answers = [(200, send, {})] if status == 200 else [(500, "x" * 2_000_000, {})]
    whole = status == 200 and send is packed
    with pytest.raises(GaveUp, match=r"is packed \(gzip\)" if whole else r"over 1 MB \(max_reply_mb\)"):
        ask(endpoint(server, max_reply_mb=1))
    assert len(server.times) == 1


def test_a_list_of_models_has_the_limits_too(server, monkeypatch):
    for send in (endless, packed, dripping(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n")):
        monkeypatch.setattr(Handler, "do_GET", send, raising=False)
        assert endpoint(server, max_reply_mb=1, timeout=0.3).models() == ()


def test_headers_without_end_are_refused(server):
    def send(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10**5)

    server.answers = [(200, send, {})]
    with pytest.raises(GaveUp, match="no connection"):
        ask(endpoint(server, attempts=1))


def test_nothing_is_sent_to_where_a_server_points(server):
    """The key, the questions and the pictures are for the server that the recipe names."""
    server.answers = [
        (307, "", {"Location": f"http://127.0.0.1:{server.server_port}/elsewhere"}),
        (200, COMPLETION, {}),
    ]
    with pytest.raises(UserError, match=r"sends elsewhere the request .* \(HTTP 307\); check base_url"):
        ask(endpoint(server))
    assert len(server.times) == 1


def choice(**more):
    return {"choices": [{"index": 0, "message": {"content": "yes"}, "finish_reason": "stop", **more}]}


NONE = {
    "deep": "[" * 10**5,
    "a list": [],
    "choices of text": {"choices": "yes"},
    "choices that are text": {"choices": ["yes"]},
    "choices that are none": {"choices": [None]},
    "finish_reason": choice(finish_reason={}),
    "a long finish_reason": choice(finish_reason="x" * 10**4),
    "message": choice(message=None),
    "content": choice(message={"content": 5}),
    "parts": choice(message={"content": [{"type": "text", "text": None}, 5]}),
    "reasoning": choice(message={"content": "", "reasoning": {"a": 1}}),
    "index": choice(index="0"),
    "index below 0": choice(index=-1),
    "tokens": {**COMPLETION, "usage": {"prompt_tokens": -3}},
    "half a token": {**COMPLETION, "usage": {"prompt_tokens": 0.5}},
    "1e999": '{"choices": [{"message": {"content": "a"}}], "usage": {"completion_tokens": 1e999}}',
    "many digits": '{"choices": [{"message": {"content": "a"}}], "usage": {"completion_tokens": 1%s}}' % ("0" * 400),
    "usage": {**COMPLETION, "usage": [1]},
    "logps of text": choice(logprobs={"content": [{"logprob": "-1"}]}),
    "NaN": '{"choices": [{"message": {"content": "a"}, "logprobs": {"content": [{"logprob": NaN}]}}]}',
    "above 0": choice(logprobs={"content": [{"logprob": 10**400}]}),
    "logprobs": choice(logprobs=[1]),
    "token_ids": choice(token_ids=["1"]),
    "token_ids beyond": choice(token_ids=[2**70]),
}


@pytest.mark.parametrize("name", NONE)
def test_a_reply_of_other_types_is_none(server, name):
    server.answers = [(200, NONE[name], {})]
    with pytest.raises(GaveUp, match="the endpoint's reply is no chat completion"):
        ask(endpoint(server, attempts=1))


@pytest.mark.parametrize("shown", [KEY[:5], KEY[-4:], f"{KEY[:4]}****{KEY[-4:]}", KEY[3:-3], KEY.upper()])
def test_a_part_of_the_key_is_shown_nowhere(server, shown):
    server.answers = [(400, {"message": f"bad key {shown}, said of max_tokens"}, {})]
    with pytest.raises(Refused) as raised:
        ask(endpoint(server))
    assert shown not in raised.value.words
    assert all(part not in raised.value.words for part in shown.split("****"))
    assert raised.value.words.startswith("bad key …")
    assert raised.value.words.endswith(", said of max_tokens")


def test_a_key_in_a_completion_is_not_kept(server):
    server.answers = [(200, choice(message={"content": f"I know {KEY}."}), {})]
    assert ask(endpoint(server)).choices[0].text == "I know …."


@pytest.mark.parametrize("key", ["anything", "lm-studio", "NOT_NEEDED", "12345678"])
def test_a_word_in_a_key_s_place_changes_no_completion(server, monkeypatch, key):
    """Servers without keys take any word for one; in a reply it is the model's own, digits are in its numbers, too."""
    monkeypatch.setenv("TEST_KEY", key)
    server.answers = [(200, {**choice(message={"content": f"{key} fits"}), "created": 1123456789}, {})]
    assert ask(endpoint(server)).choices[0].text == f"{key} fits"


@pytest.mark.parametrize("coding", ["utf-8", "Identity", "none", ""])
def test_a_coding_that_packs_nothing_is_read(server, coding):
    server.answers = [(200, COMPLETION, {"Content-Encoding": coding})]
    assert ask(endpoint(server)).choices[0].text == "yes"


def test_a_key_that_is_none_is_refused(server, monkeypatch):
    monkeypatch.setenv("TEST_KEY", f"{KEY}\n")
    with pytest.raises(UserError, match="TEST_KEY holds what no key has") as raised:
        endpoint(server)
    assert KEY not in str(raised.value)


def test_threads_that_ask_first_at_the_same_time_share_a_loop(monkeypatch):
    """A client belongs to one; the loop that was there stays for the other tests."""

    def slowly():
        time.sleep(0.05)
        begun.append(loop := new())
        return loop

    begun, new = [], module.asyncio.new_event_loop
    monkeypatch.setattr(module, "_begun", cache(module._begun.__wrapped__))
    monkeypatch.setattr(module.asyncio, "new_event_loop", slowly)
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: module._loop(), range(8)))
    assert found == set(begun)
    assert len(begun) == 1
    begun[0].call_soon_threadsafe(begun[0].stop)
