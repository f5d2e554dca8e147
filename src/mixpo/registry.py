"""What is chosen by name: the name is checked, with the closest one in the message, and its module imported on use.

A choice of a recipe is a module with its own `Config`, as a step is (`mixpo.resolve.STEPS`).
"""

import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType

from mixpo.errors import FieldError
from mixpo.validation import closest


def chosen(name: object, known: Iterable[str], where: str) -> str:
    """The name, where it is one of those known. Raises FieldError; `where` is the path of the field."""
    names = [str(each) for each in known]
    if name in names:
        return str(name)
    hint = closest(str(name), names)
    raise FieldError(where.split("."), f"{name!r} is none of {', '.join(names)}{hint and f'; {hint}'}")


def module(name: object, modules: Mapping[str, str], where: str) -> ModuleType:
    """The module behind a name. Raises FieldError as `chosen` does."""
    return importlib.import_module(modules[chosen(name, modules, where)])
