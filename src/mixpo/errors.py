"""Errors that are the user's to mend: one sentence (what is wrong, where, what to do), exit status 2.

Anything else that is raised is a bug and keeps its traceback. A model's bad output is neither: it
gets a verdict or a `Dropped` record.
"""

from collections.abc import Sequence


class UserError(Exception):
    """Something the user can mend. The message is the whole sentence shown."""


class RecipeError(UserError):
    """A recipe (YAML file or override on the command line) that cannot be used."""


class FieldError(RecipeError, ValueError):
    """A field of a config that cannot be used: its path below whatever is built, and a sentence.

    A ValueError, as a config's `__post_init__` raises it: whatever the config is a part of adds its own place.
    """

    def __init__(self, path: Sequence[str | int], sentence: str):
        super().__init__(path, sentence)
        self.path, self.sentence = tuple(path), sentence

    @property
    def place(self) -> str:
        """The path with dots: `sources.mine.limit`."""
        return ".".join(map(str, self.path))

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}" if self.path else self.sentence


class DataError(UserError):
    """An input file that cannot be used at all (a single bad row is dropped instead)."""


class NoPairs(DataError):
    """Nothing to train on came out, though all that led there is in order: the report can tell what was found."""


class ImageError(UserError):
    """An image that cannot be opened safely; steps turn it into a `Dropped` record."""

    transient = False
    """Whether the cause may pass: the next run tries it again."""


class AwayImage(ImageError):
    """An image that cannot be read now: a disk or a server that fails, a folder that is not mounted."""

    transient = True


class MissingImage(AwayImage):
    """An image that is not where its path says: perhaps paths start at another folder."""


class MissingExtra(UserError):
    """A library that an optional part needs is not installed."""

    def __init__(self, library: str, extra: str):
        super().__init__(f"{library} is not installed: pip install 'mixpo[{extra}]'")


class BadRow(ValueError):
    """A row that makes no question or no pair, which is dropped; the message says what is wrong with it."""


class BadLine(ValueError):
    """What stands in a row's place in a file and holds none; the message says why."""


class Unsupported(BadRow):
    """A row of another format that says what ours cannot (video, tools); the message says what."""


def first_line(error: BaseException) -> str:
    """What an error says, in a line: the first of its message; its type's name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
