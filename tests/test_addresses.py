"""Pictures named by addresses: hostile servers on this machine, and addresses that lead into it."""

import contextlib
import io
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from mixpo import addresses
from mixpo.addresses import Address, fetch, fetch_image, is_public
from mixpo.errors import ImageError
from mixpo.pictures import store


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((32, 32), 100).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = picture()


class Hostile(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        with contextlib.suppress(OSError):
            self.server.pages[self.path](self)

    def log_message(self, *_):
        """Nothing is printed."""


def page(content: bytes, length=None, kind="image/png"):
    def send(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return send


def moved(place: str, body: bytes = b"", endless: bool = False):
    def send(handler):
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()
        while endless:
            handler.wfile.write(b"x" * 10**5)

    return send


def drip(head: bytes):
    def send(handler):
        handler.wfile.write(head)
        while True:
            handler.wfile.write(b"A")
            time.sleep(0.02)

    return send


def endless(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b"x" * 10**5)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.daemon_threads = True
    server.pages, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


BAD = {
    "cut": (page(PICTURE[:-40], len(PICTURE)), f"{len(PICTURE) - 40:,} bytes came of {len(PICTURE)}"),
    "cut, and nothing said": (page(PICTURE[: len(PICTURE) // 2]), "trunc"),
    "empty": (page(b""), "the file is empty"),
    "HTML": (page(b"<html>please log in</html>", kind="text/html"), "not an image that Pillow can read"),
    "SVG": (page(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not an image that Pillow can read"),
    "endless": (endless, "above the limit of 1,000,000 bytes"),
    "slow status": (drip(b""), "not whole after 0.3 seconds"),
    "slow headers": (drip(b"HTTP/1.1 200 OK\r\nA: "), "not whole after 0.3 seconds"),
    "slow body": (drip(b"HTTP/1.1 200 OK\r\n\r\n"), "not whole after 0.3 seconds"),
    "many headers": (lambda one: one.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000), "got more than 100"),
    "a file": (moved("file:///etc/passwd"), "is not allowed"),
    "ftp": (moved("ftp://127.0.0.1/x"), "only http and https are followed"),
    "a circle": (moved("/a"), "would lead to an infinite loop"),
    "a name": (moved("http://me:word@127.0.0.1/"), "must not hold a name or a password"),
    "endless on the way": (moved("file:///etc/passwd", endless=True), "is not allowed"),
    "a port that is none": (moved("http://127.0.0.1:99999/"), "cannot be fetched"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_picture_is_not_stored(server, monkeypatch, tmp_path, name):
    monkeypatch.setattr(addresses, "WHOLE", 0.3 if "slow" in name else 30.0)
    monkeypatch.setattr(addresses, "MAX_BYTES", 10**6)
    server.pages["/a"], words = BAD[name]
    started = time.monotonic()
    with pytest.raises(ImageError, match=words):
        store({"x/a.img": Address(f"{server.url}/a", private=True)}, tmp_path)
    assert time.monotonic() - started < 10
    assert not list(tmp_path.rglob("*.*"))


def test_a_picture_is_stored_and_redirects_are_followed(server, tmp_path):
    server.pages = {"/a": moved("/b", endless=True), "/b": page(PICTURE)}
    store({"x/a.img": Address(f"{server.url}/a", private=True)}, tmp_path)
    assert (tmp_path / "x" / "a.img").read_bytes() == PICTURE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "127.0.0.1%2f", "0"])
def test_this_machine_is_not_asked(server, host):
    server.pages["/a"] = page(PICTURE)
    with pytest.raises(ImageError, match="cannot be fetched"):
        fetch(f"http://{host}:{server.server_port}/a")
    assert server.asked == []


def test_every_hop_is_looked_at_where_it_connects(server, monkeypatch):
    """A name may mean another machine the second time: what is looked at is what is connected to."""
    port, answers, real = server.server_port, [], socket.getaddrinfo

    def resolve(host, *given, **more):
        answers.append(host)
        return real("127.0.0.1", *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    public = iter([True, False])
    monkeypatch.setattr(addresses, "is_public", lambda _: next(public))
    server.pages["/a"] = moved(f"http://other.example:{port}/b")
    with pytest.raises(
        ImageError, match=r"other.example is 127.0.0.1, which is on this machine or in a private network"
    ):
        fetch(f"http://first.example:{port}/a")
    assert server.asked == ["/a"]
    assert answers == ["first.example", "127.0.0.1", "other.example"]  # the second one is the address itself


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "192.0.2.1"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_internet(address):
    assert not is_public(address)


def test_addresses_of_the_internet():
    assert all(map(is_public, ("8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808")))


def test_a_password_in_an_address_is_not_shown():
    with pytest.raises(ImageError) as raised:
        fetch("http://me:word@example.org/a.png")
    assert "must not hold a name or a password" in str(raised.value)
    assert "word@" not in str(raised.value)


def test_a_proxy_of_the_environment_connects_itself(server, monkeypatch):
    """It may be on this machine; it is the user's."""
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    server.pages = {
        "http://example.invalid/a": moved("http://example.invalid/b"),
        "http://example.invalid/b": page(PICTURE),
    }
    assert fetch_image("http://example.invalid/a") == PICTURE
