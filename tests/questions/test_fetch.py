"""Images named by http addresses, from a real server on this machine."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.questions import collect
from mixpo.records import DropReason


class Pages(SimpleHTTPRequestHandler):
    """Serves a folder and keeps what was asked for."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        """Nothing is printed."""


@pytest.fixture
def pages(tmp_path, png, monkeypatch):
    """(address, paths asked for so far) of a server that has red.png."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "red.png").write_bytes(png("red"))
    Pages.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=str(tmp_path / "www")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Pages.asked
    server.shutdown()
    thread.join()
    server.server_close()


def run(tmp_path, path, **more):
    files = RunFiles(tmp_path / "run")
    collect.run(collect.Config(sources={"mine": {"loader": "jsonl", "path": str(path), **more}}), files)
    return files


def test_images_are_fetched_once_into_the_run(tmp_path, pages, png, write_lines):
    address, asked = pages
    (tmp_path / "blue.png").write_bytes(png("blue"))
    rows = [
        {"text": "a", "image": f"{address}/red.png"},
        {"text": "b", "image": "blue.png"},
        {"text": "c", "image": f"{address}/none.png"},
        {"text": "d", "images": [f"{address}/red.png", "blue.png"]},
    ]
    path = write_lines(tmp_path / "rows.jsonl", rows)
    files = run(tmp_path, path, fetch_images=True, fetch_private=True)
    roots = ImageRoots.load(files.image_roots_file("questions"))
    a, b, d = files.questions("questions")
    assert [roots.open(image).getpixel((0, 0)) for q in (a, b, d) for image in q.images] == [
        (255, 0, 0), (0, 0, 255), (255, 0, 0), (0, 0, 255),
    ]  # fmt: skip
    (dropped,) = files.dropped("questions")
    assert (dropped.id, dropped.reason) == ("mine-2", DropReason.BAD_IMAGE)
    assert "cannot be fetched" in dropped.detail
    assert asked == ["/red.png", "/none.png"]
    run(tmp_path, path, fetch_images=True, fetch_private=True)
    assert asked == ["/red.png", "/none.png", "/none.png"]
    assert len(list(files.dropped("questions"))) == 1


def test_without_being_asked_to_nothing_is_fetched(tmp_path, pages, write_lines):
    address, asked = pages
    rows = [{"text": "a", "image": f"{address}/red.png"}, {"text": "b"}]
    files = run(tmp_path, write_lines(tmp_path / "rows.jsonl", rows))
    (dropped,) = files.dropped("questions")
    assert "`fetch_images: true`" in dropped.detail
    assert asked == []
