"""What a kind of answer finds in a statement."""

from typing import Any, NamedTuple


class Reading(NamedTuple):
    """An answer read from a window of the text, or the reason why the window holds none that counts."""

    start: int
    end: int
    value: Any = None
    """What the kind compares with the ground truth; None when the statement refuses, hedges or cannot be read."""
    problem: str = ""
    """Why there is no value: "several answers", "refused" …"""


class Undecided(Exception):
    """The comparison cannot be made in time or at all; the message is the reason."""
