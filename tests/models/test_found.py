"""Where a named model is; the hub is a server of this machine, or none."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mixpo.errors import UserError
from mixpo.models import found as module
from mixpo.models.found import found


@pytest.fixture
def place(tmp_path, monkeypatch):
    for folder in ("mine", "run/checkpoints/train/model"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    module._ask.cache_clear()


@pytest.fixture
def hub(place, monkeypatch):
    """Sets the hub's address, and the status that it answers; asks are counted. Nothing listens on port 9."""
    from huggingface_hub import constants

    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            status, error = reply
            asked.extend([self.path] if self.path.startswith("/api/models/") else [])
            self.send_response(status)
            self.send_header("X-Error-Code", error)
            self.end_headers()
            self.wfile.write(json.dumps({"id": "owner/name", "_id": "1"}).encode() if status == 200 else b"")

        def log_message(self, *_):
            pass

    reply = (200, "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answers(status=None, error=""):
        nonlocal reply
        reply = (status, error)
        port = server.server_port if status else 9
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        return asked

    yield answers
    server.shutdown()
    server.server_close()


def test_folders_are_found(place, tmp_path):
    assert found("mine") == "mine"
    assert found("./run/checkpoints/train/model") == "./run/checkpoints/train/model"
    assert found("~/mine") == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("./mien", r"nothing lies there \(.*mien\); did you mean 'mine'\?"),
        ("~/nothing", r"nothing lies there \(/.*/nothing\); check the path"),
        ("/no/where", "nothing lies there"),
        ("run/checkpoints", "the folder has no config.json; give the folder with"),
        ("run/train", "nothing lies there"),  # `run` is a folder here: no owner on the hub
        ("a/b/c", "nothing lies there"),
        ("run", r"the folder has no config.json; did you mean 'run/checkpoints/train/model'\?"),
    ],
)
def test_a_path_without_a_model_is_said_and_nobody_is_asked(name, sentence, hub):
    asked = hub(200)
    with pytest.raises(UserError, match=f"cannot be loaded: {sentence}"):
        found(name)
    assert asked == []


def test_the_hub_is_asked_once(hub):
    asked = hub(200)
    assert [found("owner/name"), found("owner/name")] == ["owner/name"] * 2
    assert asked == ["/api/models/owner/name"]


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (404, "RepoNotFound", "'owner/name' is no folder here, and the hub shows no such model; check the name"),
        (403, "GatedRepo", "'owner/name' is gated; accept its terms on .*owner/name, then `hf auth login`"),
        (503, "", r"the hub cannot be reached .*`hf download owner/name`"),
        (None, "", r"not in the cache, and the hub cannot be reached .*copy its folder here and give the path"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence(status, error, sentence, hub):
    asked = hub(status, error)
    with pytest.raises(UserError, match=sentence) as refused:
        found("owner/name")
    assert "\n" not in str(refused.value)
    assert len(asked) == (status is not None)


def test_a_folders_name_with_a_slip_is_no_name_on_the_hub(hub):
    hub(None)
    with pytest.raises(UserError, match="did you mean 'mine'"):
        found("mines")


def test_offline_the_cache_is_asked_alone(hub, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub(None)
    cached = tmp_path / "models--owner--name"
    (cached / "snapshots" / "1").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("1")
    (cached / "snapshots" / "1" / "config.json").write_text("{}")
    assert found("owner/name") == "owner/name"
    assert constants.HF_HUB_OFFLINE  # so that no file of it is asked for five times
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids to ask the hub"):
        found("owner/other")
