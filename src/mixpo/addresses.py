"""Fetching what a row names by an http(s) address: rows come from anywhere, and this machine can reach more than they.

Every address on the way (redirects included) is resolved here, looked at, and connected to as it was looked at, so that
no name can mean another machine a moment later. Where the environment names a proxy (HTTP_PROXY, HTTPS_PROXY), that one
connects, and decides.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from mixpo.errors import ImageError
from mixpo.images import MAX_BYTES, decode, is_url

SILENCE = 30.0
"""Seconds that a server may be silent."""
WHOLE = 120.0
"""Seconds that all of a file may take, from its name on."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that stand for those of IPv4 (RFC 6052)."""
PRIVATE = "which is on this machine or in a private network; `fetch_private: true` fetches from there, too"


class Address(str):
    """An http(s) address of a picture."""

    private: bool
    """Whether it is fetched from this machine and from private networks, too."""

    def __new__(cls, url: str, private: bool = False) -> "Address":
        found = super().__new__(cls, url)
        found.private = private
        return found


def fetch_image(address: str) -> bytes:
    """The encoded picture behind an address (an `Address` may say more of it); only where a recipe asks for it.

    Raises ImageError for what is no whole picture, too.
    """
    content = fetch(address, isinstance(address, Address) and address.private)
    decode(content, _shown(address))
    return content


def fetch(url: str, private: bool = False) -> bytes:
    """The bytes behind an http(s) address, all of them; `private` as in `Address`. Raises ImageError."""
    assert is_url(url)
    fetching = _Fetching(private)
    clock = threading.Timer(WHOLE, fetching.stop)
    clock.daemon = True
    clock.start()
    try:
        refuse_address(url)
        with fetching.opener.open(_Request(url), timeout=SILENCE) as reply:
            content = reply.read(MAX_BYTES + 1)
            said = reply.headers.get("Content-Length", "")
    except (OSError, ValueError, OverflowError, http.client.HTTPException) as error:
        raise ImageError(f"{_shown(url)}: cannot be fetched ({fetching.why or error})") from error
    finally:
        clock.cancel()
        fetching.close()
    if len(content) > MAX_BYTES:
        raise ImageError(f"{_shown(url)}: the file is above the limit of {MAX_BYTES:,} bytes")
    if fetching.late or (said.isdecimal() and int(said) != len(content)):
        why = fetching.why or f"{len(content):,} bytes came of {said}"
        raise ImageError(f"{_shown(url)}: cannot be fetched ({why})")
    return content


def _shown(url: str) -> str:
    """An address without a name and a password."""
    head, at, rest = url.partition("@")
    return f"{head.partition('://')[0]}://…@{rest}" if at and "/" not in head.partition("://")[2] else url


def refuse_address(url: str) -> None:
    """Raises ValueError for an address that is not http(s), or that holds a name or a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("only http and https are followed")
    if "@" in parts.netloc:
        raise ValueError("an address must not hold a name or a password")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet, in whatever way it is written."""
    ip: Any = ipaddress.ip_address(address)
    inner = [ip]
    if ip.version == 6:
        inner += filter(None, (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())))
        if ip in NAT64:
            inner.append(ipaddress.ip_address(int(ip) & 0xFFFFFFFF))
        if ip.ipv4_mapped:
            inner.remove(ip)
    return all(one.is_global and not one.is_multicast for one in inner)


def connected(host: str, port: int, private: bool, timeout: float) -> socket.socket:
    """A connection to the first address of a host that takes one. Raises OSError; for an address that is not public
    before anything is sent there, unless `private`."""
    failure: OSError = OSError(f"{host} has no address")
    for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        address = str(place[0])
        if not private and not is_public(address):
            raise OSError(f"{host} is {address}, {PRIVATE}" if host != address else f"{address}, {PRIVATE}")
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            failure = error
    raise failure


class _Request(urllib.request.Request):
    """Knows whether it goes to a proxy of the environment, instead of where its address says."""

    proxied = False

    def set_proxy(self, host: str, type: str) -> None:
        self.proxied = True
        super().set_proxy(host, type)


class _Fetching:
    """One file on its way: what it may connect to, and what is to be cut when its time is over."""

    def __init__(self, private: bool):
        self.private = private
        self.late = False
        self.sockets: list[socket.socket] = []
        fetching = self

        class Plain(http.client.HTTPConnection):
            def connect(self) -> None:
                self.sock = fetching.connect(self.host, self.port, self.timeout)

        class Secure(http.client.HTTPSConnection):
            def connect(self) -> None:
                sock = fetching.connect(self.host, self.port, self.timeout)
                self.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self.host)

        class Http(urllib.request.HTTPHandler):
            def http_open(self, req: urllib.request.Request) -> Any:
                return self.do_open(Plain, req) if not getattr(req, "proxied", False) else super().http_open(req)

        class Https(urllib.request.HTTPSHandler):
            def https_open(self, req: urllib.request.Request) -> Any:
                return self.do_open(Secure, req) if not getattr(req, "proxied", False) else super().https_open(req)

        class Redirects(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
                refuse_address(newurl)
                found = super().redirect_request(req, fp, code, msg, headers, newurl)
                fp.close()  # its body is of no interest, and may have no end
                return found and _Request(found.full_url, headers=found.headers)

        self.opener = urllib.request.build_opener(Http, Https, Redirects)

    def connect(self, host: str, port: int, timeout: Any) -> socket.socket:
        if self.late:
            raise OSError("too many redirects for its time")
        sock = connected(host, port, self.private, timeout)
        self.sockets.append(sock.dup())  # TLS takes the socket itself
        return sock

    @property
    def why(self) -> str:
        """What is wrong with it; empty where its time is not over."""
        return f"not whole after {WHOLE:g} seconds" if self.late else ""

    def stop(self) -> None:
        """Ends what is read, wherever it stands."""
        self.late = True
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                continue

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
