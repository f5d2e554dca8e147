"""Options of a chat template (`enable_thinking: false`), written into the template itself as their defaults.

So they reach every call of it, and the model that is saved with it is asked elsewhere as it was trained here; who calls
the template with another value gets that.
"""

import re
from collections.abc import Mapping
from typing import Any

from mixpo.errors import UserError, first_line
from mixpo.validation import closest

ALWAYS_GIVEN = ("messages", "tools", "documents", "add_generation_prompt", "raise_exception", "strftime_now")
"""Names that a template is called with whatever is asked for, as it is with the tokenizer's special tokens."""
GENERATION = re.compile(r"\{%[-+]?\s*(end)?generation\s*[-+]?%\}")
"""transformers' own mark for what an assistant says."""


def with_options(template: str, options: Mapping[str, Any]) -> str:
    """The template with other defaults. It must know the options (`unknown`)."""
    # Python's way to write a plain value is Jinja's, too. `+`: a template that begins with a new line keeps it.
    defaults = "".join(
        f"{{% set {name} = {name} if {name} is defined else {value!r} +%}}" for name, value in options.items()
    )
    return template if template.startswith(defaults) else defaults + template


def known(template: str) -> tuple[str, ...]:
    """The names that a template asks for, and that are not given anyway. Raises UserError."""
    from jinja2 import TemplateError, meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # As transformers reads it (its Jinja environment is private).
    environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"])
    try:
        found = meta.find_undeclared_variables(environment.parse(GENERATION.sub("", template)))
    except (TemplateError, RecursionError, SyntaxError) as error:
        raise UserError(f"the model's chat template is no Jinja template: {first_line(error)}") from error
    given = {name for name in found if name in ALWAYS_GIVEN or name.rpartition("_")[2] in ("token", "tokens")}
    return tuple(sorted(found - given))


def refuse_unknown(template: str, options: Mapping[str, Any]) -> None:
    """Raises UserError for an option that would change nothing."""
    has = known(template)
    if missing := [name for name in options if name not in has]:
        near = closest(missing[0], has) or (f"it asks for {', '.join(has)}" if has else "it has no options")
        raise UserError(f"chat_template: the model's chat template does not ask for {', '.join(missing)}; {near}")


def set_options(processor: Any, options: Mapping[str, Any]) -> None:
    """Puts what of the options the chat template knows into it. Raises UserError, after that, for those it does not."""
    template = getattr(processor, "chat_template", None)
    if not options or not template:
        return  # `Chat` says that there is none
    several = isinstance(template, dict)
    texts: dict[str, str] = template if several else {"default": template}
    has = known(texts.get("default", ""))
    wanted = {name: value for name, value in options.items() if name in has}
    if wanted:
        changed = {**texts, "default": with_options(texts["default"], wanted)}
        processor.chat_template = changed if several else changed["default"]
    refuse_unknown(texts.get("default", ""), options)
