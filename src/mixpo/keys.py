"""Keys of services: what looks like one is stored nowhere, and what a server repeats of one is shown nowhere."""

import re
from collections.abc import Iterable
from typing import Any

from mixpo.errors import FieldError

PIECE = 8
"""So many characters of a key in succession are hidden wherever they stand."""
END = 4
"""So many characters of its beginning or its end are hidden where they stand alone (`sk-a****b2c3`)."""
NAME = re.compile(
    r"(^|_)(api_?key|apikey|authorization|bearer|credentials?|passwd|password|private_?key|secret(_key)?)$"
    r"|^((hf|hub|api|auth|access|bearer|secret|refresh|id)_?)?token$|^(access|secret|x_api)_?key$|^cookie$",
)
VALUE = re.compile(
    r"^(sk|pk|rk)-[\w-]{8,}$|^(hf|gsk|ghp|gho|xai|nvapi|pplx)[_-][\w-]{8,}$|^AKIA\w{12,}$"
    r"|^(Bearer|Basic) (?=\S*[A-Z0-9=_-])\S{6,}$"  # and not "Basic shapes", a choice or a stop
)
WORDS = re.compile(r"[a-z]+([-_.][a-z]+)*|[A-Z]+([-_.][A-Z]+)*|\d+")
"""What stands for a key where a server asks for none (`anything`, `lm-studio`, `NOT_NEEDED`), and is no secret."""
LONGEST_WORDS = 20
SCHEMA = "properties"
"""JSON Schema names the fields of an object below it."""


def without_key(text: str, key: str) -> str:
    """The text, each part of it that is the key, or enough of the key to tell it by, as one `…`."""
    if not key:
        return text
    hidden = bytearray(len(text))
    for pattern in _patterns(key):
        for found in re.finditer(rf"(?=({pattern}))", text, re.IGNORECASE):
            begin, end = found.span(1)
            hidden[begin:end] = b"\1" * (end - begin)
    shown = "".join("\0" if hide else character for hide, character in zip(hidden, text, strict=True))
    return re.sub("\0+", "…", shown)


def is_secret(key: str) -> bool:
    """Whether a key is one that nobody writes by chance: what a model says is changed for no other."""
    return len(key) >= PIECE and not (len(key) <= LONGEST_WORDS and WORDS.fullmatch(key))


def _patterns(key: str) -> Iterable[str]:
    yield re.escape(key)
    for at in range(len(key) - PIECE + 1):
        yield re.escape(key[at : at + PIECE])
    for length in range(END, min(PIECE, len(key))):
        for part in (key[:length], key[-length:]):
            yield rf"(?<![A-Za-z0-9]){re.escape(part)}(?![A-Za-z0-9])"


def refuse_keys(values: Any, path: tuple[str, ...]) -> None:
    """Raises FieldError for an entry, however far down, that is a key by its name or its look: a recipe is saved, and
    shown. `path`: where the values stand. The value itself is in no message."""
    if isinstance(values, dict):
        for name, value in values.items():
            # `hf_token: true` stands for the login of this machine.
            named = value and not isinstance(value, bool) and path[-1] != SCHEMA
            if named and NAME.search(re.sub(r"\W", "_", str(name)).lower()):
                raise FieldError((*path, str(name)), SENTENCE)
            refuse_keys(value, (*path, str(name)))
    elif isinstance(values, list | tuple):
        for value in values:
            refuse_keys(value, path)
    elif isinstance(values, str) and VALUE.search(values.strip()):
        raise FieldError(path, SENTENCE)


SENTENCE = (
    "looks like a key, and a recipe is stored with its run: put the key into an environment variable, and the "
    "variable's name into api_key_env"
)
