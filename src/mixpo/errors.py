"""Errors that are the user's to mend: one sentence (what is wrong, where, what to do), exit status 2.

Anything else that is raised is a bug and keeps its traceback. A model's bad output is neither: it
gets a verdict or a `Dropped` record.
"""


class UserError(Exception):
    """Something the user can mend. The message is the whole sentence shown."""


class RecipeError(UserError):
    """A recipe (YAML file or override on the command line) that cannot be used."""


class DataError(UserError):
    """An input file that cannot be used at all (a single bad row is dropped instead)."""


class ImageError(UserError):
    """An image that cannot be opened safely; steps turn it into a `Dropped` record."""


class MissingExtra(UserError):
    """A library that an optional part needs is not installed."""

    def __init__(self, library: str, extra: str):
        super().__init__(f"{library} is not installed: pip install 'mixpo[{extra}]'")
