"""What can be done to a file: bytes flipped, cut, moved; fields of another type; another thing in its place.

A damage is a few words and numbers, so that a case is small, and is done again exactly from what was saved of it.
"""

import functools
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

DEEP = "[" * 5000 + "]" * 5000
VALUES = {
    "null": "null", "true": "true", "zero": "0", "minus": "-1", "half": "0.5", "NaN": "NaN", "1e999": "1e999",
    "-1e999": "-1e999", "2**63": str(2**63), "400 digits": "9" * 400, "5000 digits": "7" * 5000, "1e9": "1000000000",
    "list": "[]", "mapping": "{}", "list in list": "[[[]]]", "mapping of lists": '{"a": [1, {"b": null}]}',
    "deep": DEEP, "empty": '""', "blank": '" "', "word": '"other"', "digit": '"7"', "long": json.dumps("ab " * 40_000),
    "long name": json.dumps("n" * 300), "surrogate": '"\\ud800"', "NUL": '"a\\u0000b"',
    "escape": '"\\u001b[31mred\\u0007"', "title": '"\\u001b]0;title\\u0007"',
    "link": '"\\u001b]8;;http://x\\u001b\\\\\\\\y"', "markup": '"[/red]"', "markup 2": '"[bold]x"',
    "html": '"<script>alert(1)</script>"', "jinja": '"{{ 1/0 }}{% for %}"', "video": '"<video>"', "image": '"<image>"',
    "up": '"../../precious/secret.txt"', "up folder": '"../../precious"', "outside": '"@PRECIOUS@/secret.txt"',
    "outside folder": '"@PRECIOUS@"', "outside picture": '"@PRECIOUS@/secret.png"',
    "address": '"file://@PRECIOUS@/secret.txt"', "root": '"/"', "star": '"*"', "question mark": '"?[a]*"', "dot": '"."',
    "outside list": '["@PRECIOUS@/secret.txt"]', "device": '"/dev/zero"',
    "environment": '"${OPENAI_API_KEY}$OPENAI_API_KEY"', "step": '"step:train"', "quote": '"\'\\""',
    "negative text": '"-5"', "tag": '"!!python/object:os.system"', "line ends": '"a\\nb\\r\\nc\\u2028d"',
    "right to left": '"\\u202ex"',
}  # fmt: skip
"""A field's new value: a name, and JSON. `@PRECIOUS@` is a folder that nothing may read."""
BYTES = {
    "NUL": b"\0", "newline": b"\n", "surrogate": b"\xed\xa0\x80", "latin-1": b"\xe9", "BOM": b"\xef\xbb\xbf",
    "quote": b'"', "brace": b"}", "bracket": b"[", "escape": b"\x1b[31m", "comma": b",", "open": b'{"',
    "anchor": b"&a [*a, *a]\n", "separator": "\u2028".encode(), "0xff": b"\xff" * 64, "digits": b"9" * 5000,
    "pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
    "loop": b"{% for a in range(99999999) %}{{ a }}{% endfor %}",
    "reach": b"{{ ''.__class__.__mro__[1].__subclasses__() }}",
}  # fmt: skip
THINGS = ("empty", "folder", "FIFO", "canary", "circle", "gone", "nowhere", "blank line", "no newline", "JSON null")
"""What stands in the file's place."""
PICTURES = (".png", ".jpg", ".gif", ".webp")
BOMBS = {"thin": (1, 49_999_999), "wide": (49_999_999, 1), "large": (60_000, 60_000)}
"""Pictures of a few kilobytes: width and height; of a large one only the beginning is there."""
FIELDS = (".json", ".jsonl", ".yaml")


@dataclass(frozen=True)
class Damage:
    """One damage to one file."""

    kind: str
    """flip, cut, insert, double, zeros, place, swap, field, drop, rename."""
    at: int = 0
    """A byte, or a field in the order in which they stand; counted around where there are fewer."""
    size: int = 0
    """A bit, or bytes; of `swap` which other file."""
    what: str = ""
    """A name of VALUES, BYTES or THINGS."""
    key: str = ""
    """Of fields only those of this name."""

    def __str__(self) -> str:
        said = {"flip": f"bit {self.size % 8} of byte {self.at}", "cut": f"at byte {self.at}"}
        more = said.get(self.kind) or " ".join(filter(None, (self.key, self.what, f"at {self.at}" if self.at else "")))
        return f"{self.kind} {more}".strip()


def damages(name: str) -> st.SearchStrategy[Damage]:
    """Every damage that a file of this name can take; fields more often than bytes where it has them."""
    at, size = st.one_of(st.integers(0, 16), st.integers(0, 5000)), st.integers(1, 64)
    things = (*THINGS, *BOMBS) if name.endswith(PICTURES) else THINGS
    of_bytes = (
        st.builds(Damage, st.sampled_from(("flip", "cut", "double", "zeros")), at, size),
        st.builds(Damage, st.just("insert"), at, st.just(0), st.sampled_from(sorted(BYTES))),
    )
    other = (
        st.builds(Damage, st.just("place"), st.just(0), st.just(0), st.sampled_from(things)),
        st.builds(Damage, st.just("swap"), st.just(0), st.integers(0, 200)),
    )
    if not name.endswith(FIELDS):
        return st.one_of(*of_bytes, *other)
    field = st.builds(Damage, st.just("field"), st.integers(0, 400), st.just(0), st.sampled_from(sorted(VALUES)))
    less = st.builds(Damage, st.sampled_from(("drop", "rename")), st.integers(0, 400))
    return st.one_of(field, *of_bytes, field, *other, field, less)


def do(damage: Damage, path: Path, others: list[Path], precious: Path) -> None:
    """A file that is too short or has no such field is left as it is, or cut to nothing."""
    content = path.read_bytes()
    if damage.kind == "place":
        _place(damage.what, path, precious)
    elif damage.kind == "swap":
        other = others[damage.size % len(others)]
        shutil.copyfile(other, path)
    elif damage.kind in ("field", "drop", "rename"):
        path.write_bytes(_with_field(damage, path.name, content, precious))
    else:
        path.write_bytes(_with_bytes(damage, content))


def _with_bytes(damage: Damage, content: bytes) -> bytes:
    at, size = damage.at % max(1, len(content)), damage.size
    before, behind = content[:at], content[at:]
    match damage.kind:
        case "flip":
            return before + bytes([(behind[0] if behind else 0) ^ (1 << size % 8)]) + behind[1:]
        case "cut":
            return before
        case "insert":
            return before + BYTES[damage.what] + behind
        case "double":
            return before + behind[:size] + behind
        case "zeros":
            return before + bytes(len(behind[:size])) + behind[size:]
    raise ValueError(damage.kind)


def _place(what: str, path: Path, precious: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    match what:
        case "empty":
            path.touch()
        case "folder":
            path.mkdir()
            (path / "inside").write_text("x")
        case "FIFO":
            os.mkfifo(path)
        case "canary":
            path.symlink_to(precious / "secret.txt")
        case "circle":
            path.symlink_to(path.name)
        case "nowhere":
            path.symlink_to("not-there")
        case "gone":
            pass
        case "blank line":
            path.write_bytes(b"\n")
        case "no newline":
            path.write_bytes(content.rstrip(b"\n"))
        case "JSON null":
            path.write_bytes(b"null\n")
        case _:
            path.write_bytes(_bomb(*BOMBS[what]))


@functools.cache
def _bomb(width: int, height: int) -> bytes:
    """A PNG of black pixels, one bit each."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = min(height, 100_000_000 // (width // 8 + 2))
    packed = zlib.compress(bytes((width + 7) // 8 + 1) * rows, 1)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


TOKEN = "@VALUE@"


def _with_field(damage: Damage, name: str, content: bytes, precious: Path) -> bytes:
    """The file with one of its fields changed; a file that cannot be read stays as it is."""
    try:
        if name.endswith(".jsonl"):
            lines: list[Any] = [json.loads(line) for line in content.decode().splitlines()]
        else:
            lines = [json.loads(content) if name.endswith(".json") else yaml.safe_load(content)]
    except (ValueError, yaml.YAMLError):
        return content
    holder: list[Any] = list(lines)
    places = [(parent, key) for parent, key in _places(holder) if damage.key in ("", key)]
    if not places:
        return content
    parent, key = places[damage.at % len(places)]
    if damage.kind == "field":
        parent[key] = TOKEN
    else:
        value = parent.pop(key)
        if damage.kind == "rename" and isinstance(parent, dict):
            parent[f"{key}x"] = value
    raw = VALUES.get(damage.what, "null").replace("@PRECIOUS@", str(precious))
    text = "\n".join(json.dumps(each) for each in holder) + "\n"
    return text.replace(json.dumps(TOKEN), raw).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value in a list or mapping, from the outside inwards."""
    keys: Callable[[Any], Any] = lambda each: list(each) if isinstance(each, dict) else range(len(each))  # noqa: E731
    waiting = [value]
    while waiting:
        one = waiting.pop(0)
        for key in keys(one):
            yield one, key
            if isinstance(one[key], dict | list):
                waiting.append(one[key])
