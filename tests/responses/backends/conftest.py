"""A real HTTP server that speaks the chat-completions protocol for a model made of arithmetic, faults on request."""

import base64
import contextlib
import hashlib
import io
import itertools
import json
import random
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

WORDS = ["red", "circle", "three", "blue", "square", "left", "of", "the", "green", "bar"]
PIECE = re.compile(r"\s*\S+")


def number(*parts) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=6).digest(), "big")


FAULTS = ("429", "500", "timeout", "cut", "reset", "html", "torn json", "no choices", "error in 200")


class ModelServer(ThreadingHTTPServer):
    """What it writes depends on image, prompt, temperature and seed; switches make it worse than it is."""

    daemon_threads = True
    request_queue_size = 128
    """Connections that wait to be accepted: beyond the usual 5 a client would try again only after a second."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.bodies: list[dict] = []
        """Every request's body, those that met a fault included."""
        self.keys: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.faults = iter(())
        """Of each request in turn: "" or a fault's name (`Handler.reply`)."""
        self.names = ["tiny"]
        self.refused: set[str] = set()
        """Fields of the body that are answered with HTTP 422."""
        self.ignored: set[str] = set()
        """Fields of the body that are not looked at; "images" is one of them."""
        self.context = 10**6
        """Words of prompt and limit together."""
        self.broken = lambda body: 0
        """An HTTP status for requests that always fail."""
        self.finish = lambda body, reason: reason
        self.after_end = ""
        """What it writes after the end of every answer."""
        self.defaults: dict = {}
        """Its model's own `generation_config`: what a request does not say."""
        self.marks = ("", "")
        """Special tokens around the first word of every answer."""
        self.thinks = False
        """Whether answers have a thought, from `<think>` to `</think>`."""
        self.splits = ""
        """The field that a reasoning parser puts the thought into, as DeepSeek-R1's does; empty: there is none."""
        self.strips = False
        """Whether that parser strips white space."""
        self.tokenizer = None
        """Gives `token_ids` when asked for."""

    def fail(self, share: float, seed: int) -> None:
        """From now on a share of the requests meets faults of all sorts."""
        rng = random.Random(seed)
        self.faults = (rng.choice(FAULTS) if rng.random() < share else "" for _ in itertools.count())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, body: dict, index: int) -> tuple[str, str, list[float]]:
        """New text, finish reason and log-probabilities of one choice."""
        given = {**self.defaults, **body, **json.loads(body.get("generation_config", "{}"))}
        user, *rest = body["messages"]
        parts = user["content"] if isinstance(user["content"], list) else [{"type": "text", "text": user["content"]}]
        images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        if "images" in self.ignored:
            images = []
        drawn = given.get("temperature", 1) > 0 and (given.get("top_k", 0) != 1 or "top_k" in self.ignored)
        if "generation_config" in body:
            drawn = drawn and given["do_sample"]
        if "temperature" in self.ignored:
            drawn = False
        changed = [given[name] for name in ("repetition_penalty", "min_p") if given.get(name, 0) not in (0, 1)]
        key = number(images, parts[-1]["text"], given.get("seed", 0) + index if drawn else "greedy", *changed)
        words = [WORDS[number(key, place) % 10] for place in range(5 + key % 9)]
        words[0] = words[0].join(self.marks)
        whole = " ".join(words) + self.after_end
        if self.thinks:
            whole = f"<think>\n{' '.join(words[:3])}\n</think>\n\n{' '.join(words[3:])}" + self.after_end
        prefix = rest[0]["content"] if rest and "continue_final_message" not in self.ignored else ""
        text = whole[len(prefix) :] if whole.startswith(prefix) else " and more"
        limit = given.get("max_tokens") or given.get("max_completion_tokens") or self.context
        pieces = PIECE.findall(text)
        logps = [-(number(key, len(prefix) + at.start()) % 100) / 100 - 0.01 for at in PIECE.finditer(text)]
        # The end of turn is a token, too.
        cut = len(pieces) + 1 > limit
        return "".join(pieces[:limit]), "length" if cut else "stop", logps[:limit] if cut else [*logps, -0.5]

    def reply(self, body: dict) -> dict:
        count = 1 if "n" in self.ignored else body.get("n", 1)
        choices, total = [], 0
        for index in range(count):
            text, reason, logps = self.answer(body, index)
            total += len(logps)
            choice = {"index": index, "message": {"role": "assistant", **self.message(body, text)}}
            choice["finish_reason"] = self.finish(body, reason)
            if self.tokenizer and body.get("return_token_ids"):
                ids = self.tokenizer(text.removesuffix(self.after_end), add_special_tokens=False)["input_ids"]
                choice["token_ids"] = [*ids, self.tokenizer.eos_token_id] if reason == "stop" else ids
            if body.get("logprobs") and "logprobs" not in self.ignored:
                choice["logprobs"] = {"content": [{"token": "?", "logprob": logp} for logp in logps]}
            choices.append(choice)
        usage = {"prompt_tokens": 7, "completion_tokens": total, "total_tokens": 7 + total}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": choices,
            "usage": usage,
        }

    def message(self, body: dict, text: str) -> dict:
        """Without special tokens unless they are asked for, and with the thought apart where there is a parser."""
        if body.get("skip_special_tokens", True) or "skip_special_tokens" in self.ignored:
            for mark in self.marks:
                text = text.replace(mark, "")
        if not self.splits or not (body.get("separate_reasoning", True) or "separate_reasoning" in self.ignored):
            return {"content": text}
        thought, closing, said = text.partition("</think>")
        parts = [thought.removeprefix("<think>"), said if closing else ""]
        thought, said = (part.strip() for part in parts) if self.strips else parts
        return {"content": said or None, self.splits: thought}

    def pictures(self) -> list[Image.Image]:
        """Every image that was sent, decoded."""
        parts = [p for body in self.bodies for p in body["messages"][0]["content"] if isinstance(p, dict)]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        assert all(url.startswith("data:image/png;base64,") for url in urls)
        return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


class Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send(200, {"object": "list", "data": [{"id": name} for name in self.server.names]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.append(self.headers["Authorization"])
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
            fault = next(self.server.faults, "")
        status, content, headers = self.reply(body, fault)
        # Before the client has it: with the reply in its hands it may ask the next.
        with self.server.lock:
            self.server.in_flight -= 1
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if fault == "timeout":
                self.rfile.read(1)  # the end of the connection: its client has waited long enough
            elif fault != "reset":  # which gives not even a status line
                self.send(status, content, headers, whole=fault != "cut")
        self.close_connection = self.close_connection or fault in ("timeout", "reset", "cut")

    def reply(self, body, fault):
        """Status, content and headers."""
        server = self.server
        text = body["messages"][0]["content"]
        text = text if isinstance(text, str) else text[-1]["text"]
        limit = body.get("max_tokens", body.get("max_completion_tokens", 0))
        if fault:
            return self.faulty(fault, server.reply(body))
        if refused := server.refused & body.keys():
            return 422, {"detail": f"Unexpected fields in the request: {refused}"}, {}
        if len(text.split()) + limit > server.context:
            return 400, {"error": {"message": f"This model's maximum context length is {server.context} tokens."}}, {}
        if status := server.broken(body):
            return status, {"error": {"message": "no"}}, {}
        return 200, server.reply(body), {}

    def faulty(self, name, row):
        return {
            "429": (429, {"error": {"message": "slow down"}}, {"Retry-After": "0"}),
            "500": (500, {"error": {"message": "oops"}}, {}),
            "html": (200, "<html>Bad gateway</html>", {}),
            "torn json": (200, json.dumps(row)[:-9], {}),
            "no choices": (200, {**row, "choices": []}, {}),
            "error in 200": (200, {"error": {"message": "upstream failed", "code": 502}}, {}),
        }.get(name, (200, row, {}))

    def send(self, status, content, headers=(), whole=True):
        """The reply; half of it, as long as its header says it is, when it is not to be whole."""
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", "Content-Length": len(content), **dict(headers)}.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(content if whole else content[: len(content) // 2])

    def log_message(self, *_):
        """Requests are kept, not printed."""


@pytest.fixture
def server(monkeypatch):
    """A server that answers until the end of the test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ModelServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
