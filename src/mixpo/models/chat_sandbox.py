"""Chat templates come with models, and are run: in Jinja's sandbox, as transformers does, and here within limits, too.

The sandbox keeps a template from all but what it is given. It does not keep it from loops in loops, from texts of
gigabytes, or from numbers of a billion digits; here each loop's turn, call, filter and operation costs by what it is
given, and none may make more than a prompt can need.
"""

import re
import threading
from collections.abc import Iterable
from functools import wraps
from typing import Any

from jinja2 import Template, TemplateRuntimeError, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.sandbox import ImmutableSandboxedEnvironment

WORK = 1_000_000
"""What one rendering may cost: a loop's turn, a call or an operation is 1, and 1 more for `CHEAP` characters it is
given; seconds."""
CHEAP = 256
LONGEST = 2_000_000
"""Characters of a text that a template puts together; an entry of a list counts as `ENTRY`."""
ENTRY = 16
GROWTH = 50_000_000
"""What is given to a call or a filter: the size of the first times that of all others, which is the most it can make
of them (`replace`, `join`, `ljust`)."""
DIGITS = 10_000
"""Bits of a product or a power."""
WIDTH = re.compile(r"\d{6}|\*")
"""A width in a format string that no prompt needs."""

_spent = threading.local()


class TooMuch(TemplateRuntimeError):
    """A template does more than a prompt can need."""


def _spend(work: float) -> None:
    _spent.work = getattr(_spent, "work", 0) + work
    if _spent.work > WORK:
        raise TooMuch("it does not end (loops in loops, or texts that grow)")


def _size(value: Any, numbers: bool = False) -> int:
    """Characters and entries of a value, however deep; a number is as large as it is where `numbers` count."""
    if isinstance(value, str | bytes | range):
        return len(value)
    if numbers and isinstance(value, int):
        return abs(value)
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if not isinstance(value, list | tuple | set | frozenset):
        return 1
    found = ENTRY
    for entry in value:
        found += ENTRY + _size(entry, numbers)
        if found > LONGEST:
            raise TooMuch("it makes a list of texts that is too large")
    return found


def _allow(first: Any, others: Iterable[Any]) -> None:
    """Raises TooMuch for what may become too large, or has cost too much by now."""
    size, rest = _size(first), sum(_size(other, numbers=True) for other in others)
    if size * (1 + rest) > GROWTH:
        raise TooMuch("it makes a text that is too long")
    _spend(1 + (size + min(rest, LONGEST)) / CHEAP)


def _refuse_width(text: Any) -> None:
    if isinstance(text, str) and WIDTH.search(text):
        raise TooMuch("it makes a text that is too wide")


SEEN = ("count", "first", "length", "last")
"""Filters that look at nothing inside of what they are given."""


class _Filters(dict[str, Any]):
    """Filters by name, each within the limits."""

    def __getitem__(self, name: str) -> Any:
        return _limited(name, super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        found = super().get(name)
        return default if found is None else _limited(name, found)


def _limited(name: str, work: Any) -> Any:
    passed = 1 if getattr(work, "jinja_pass_arg", None) else 0

    @wraps(work)
    def filtered(*given: Any, **named: Any) -> Any:
        values = given[passed:]
        if name == "format":
            _refuse_width(values[0])
        if name in SEEN:
            _spend(1)
        else:
            _allow(values[0] if values else None, [*values[1:], *named.values()])
        return work(*given, **named)

    return filtered


@pass_context
def _passed(_: Any, value: Any) -> Any:  # with a context, so that it is not left to the compiler
    return value


class _Generator(CodeGenerator):
    """Each turn of a loop, each comparison, and each text put together with `~`, passes the limits."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        for loop in list(node.find_all(nodes.For)):
            loop.body.insert(0, self._passing(nodes.ExprStmt(self._passing(nodes.Const(0), loop)), loop))
        for operand in list(node.find_all(nodes.Operand)):
            operand.expr = self._passing(operand.expr, operand)
        super().visit_Template(node, frame)

    def _passing(self, node: Any, at: nodes.Node) -> Any:
        """An expression whose value passes the limits; a statement as it is."""
        if isinstance(node, nodes.Expr):
            node = nodes.Filter(node, PASS, [], [], None, None)
        return node.set_lineno(at.lineno).set_environment(self.environment)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.put_together(")
        super().visit_Concat(node, frame)
        self.write(")")


PASS = "pass the limits"
"""No template can write a filter's name with spaces."""


class _BoundedTemplate(Template):
    def render(self, *given: Any, **named: Any) -> str:
        _spent.work = 0
        return super().render(*given, **named)

    def generate(self, *given: Any, **named: Any) -> Any:
        _spent.work = 0
        return super().generate(*given, **named)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox for templates that come from anywhere, with limits. Raises TooMuch, a TemplateError."""

    code_generator_class = _Generator
    template_class = _BoundedTemplate
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, *given: Any, **named: Any):
        super().__init__(*given, **named)
        self.filters = _Filters(self.filters)
        self.filters[PASS] = _passed
        del self.globals["lipsum"]
        self.finalize = self.put_together

    def put_together(self, value: Any) -> Any:
        """A value that is written, or was made of others. Raises TooMuch."""
        size = _size(value)
        if size > LONGEST:
            raise TooMuch("it makes a text that is too long")
        _spend(1 + size / CHEAP)
        return value

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """A text of its pieces. Raises TooMuch."""
        found, size = [], 0
        for piece in pieces:
            found.append(piece)
            size += len(piece)
            if size > LONGEST:
                raise TooMuch("it writes a text that is too long")
        _spend(1 + size / CHEAP)
        return "".join(found)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The result of an operation. Raises TooMuch."""
        whole = isinstance(left, int) and isinstance(right, int)
        if operator == "+":
            self.put_together((left, right))
        elif operator == "%":
            _refuse_width(left)
            _allow(left, [right] if isinstance(left, str | bytes) else [])
        elif not whole:
            self._repeated(left, right)
        elif (
            left.bit_length() * right > DIGITS if operator == "**" else left.bit_length() + right.bit_length() > DIGITS
        ):
            raise TooMuch("it makes a number that is too long")
        return super().call_binop(context, operator, left, right)

    def _repeated(self, left: Any, right: Any) -> None:
        for text, times in ((left, right), (right, left)):
            if isinstance(times, int) and not isinstance(text, float) and _size(text) * times > LONGEST:
                raise TooMuch("it makes a text that is too long")
        _spend(1 + (_size(left) + _size(right)) / CHEAP)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """What a template's call gives. Raises TooMuch."""
        # The sandbox has a function of its own around a text's `format`.
        owner, name = getattr(getattr(__obj, "__wrapped__", __obj), "__self__", None), getattr(__obj, "__name__", "")
        if name in ("format", "format_map"):
            _refuse_width(owner)
        first, rest = (owner, args) if isinstance(owner, str | bytes | list | dict) else (None, args)
        _allow(first, [*rest, *kwargs.values()])
        return super().call(__context, __obj, *args, **kwargs)


def limit_templates() -> None:
    """Has transformers render chat templates within the limits, from now on, in this process."""
    from transformers.utils import chat_template_utils

    chat_template_utils.ImmutableSandboxedEnvironment = BoundedEnvironment
