"""Chat templates that loop, grow, or reach for what is not theirs: a sentence each, soon, and no memory."""

import copy
import time

import pytest

from mixpo.errors import DataError, UserError
from mixpo.models import chat_sandbox
from mixpo.models.chat import Chat
from mixpo.models.template_options import known

GROWING = "{{% set n = namespace(x={}) %}}{{% for i in range(60) %}}{{% set n.x = {} %}}{{% endfor %}}{{{{ n.x }}}}"
A = "{% set a = 'a' * 100000 %}"
CRAFTED = {
    "loops": ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "does not end"),
    "a long loop": ("{% for i in range(10**9) %}{% endfor %}", "too long"),
    "comparisons": (A + "{% for i in range(99999) %}{% if 'b' in a %}{% endif %}{% endfor %}", "does not end"),
    "calls": ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", "not end"),
    "itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "filters": ("{{ range(99999)|map('string')|map('center', 99999)|join }}", "does not end"),
    "times": ("{{ 'a' * 10**10 }}", "text that is too long"),
    "lists": ("{{ ['a'] * 10**9 }}", "text that is too long"),
    "adding": (GROWING.format("'aa'", "n.x + n.x"), "too large"),
    "putting together": (GROWING.format("'aa'", "n.x ~ n.x"), "too long"),
    "lists in lists": (GROWING.format("[1]", "[n.x, n.x]"), "too large"),
    "writing": (A + "{% for i in range(99) %}{{ a }}{% endfor %}", "writes a text that is too long"),
    "a method": ("{{ 'a'.ljust(10**10) }}", "too long"),
    "a filter": ("{{ 'a'|center(10**10) }}", "too long"),
    "replace": (A + "{{ a.replace('a', a) }}", "too long"),
    "the filter replace": (A + "{{ a|replace('a', a) }}", "too long"),
    "join": (A + "{{ a|join(a) }}", "too long"),
    "translate": (A + "{{ a.translate({97: a}) }}", "too long"),
    "%": ("{{ '%9999999999d' % 1 }}", "too wide"),
    "*": ("{{ '%*d' % (10**9, 1) }}", "too wide"),
    "format": ("{{ '{:9999999999}'.format(1) }}", "too wide"),
    "the filter format": ("{{ '%9999999999d'|format(1) }}", "too wide"),
    "a power": ("{{ 7 ** 1000000000 }}", "number that is too long"),
    "indent": ("{{ {'a': 1}|tojson(indent=10**10) }}", "too long"),
    "a class": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "globals": ("{{ cycler.__init__.__globals__ }}", "unsafe"),
    "no template": ("{{ 'a' ", "unexpected end"),
    "deep": ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "recursion"),
    "nested": ("{% for a in [1] %}" * 25 + "{% endfor %}" * 25, "nested"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_template_is_refused_soon(internvl, monkeypatch, name):
    monkeypatch.setattr(chat_sandbox, "WORK", 5_000)
    monkeypatch.setattr(chat_sandbox, "LONGEST", 200_000)
    template, words = CRAFTED[name]
    processor = copy.copy(internvl[1])
    processor.chat_template = template
    started = time.monotonic()
    with pytest.raises(DataError, match=f"the model's chat template refuses the prompt: .*{words}"):
        Chat(processor).render("What is it?")
    assert time.monotonic() - started < 20


def test_options_of_no_template_are_a_sentence():
    for template in ("{{ 'a' ", "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}"):
        with pytest.raises(UserError, match="the model's chat template is no Jinja template"):
            known(template)


def test_usual_templates_have_room(internvl):
    """A long conversation, and all that templates of today do with it."""
    template = (
        "{% set n = namespace(last=0, text='') %}{% for m in messages %}{% if m['role'] == 'user' and (messages|length"
        " - loop.index0) > 0 %}{% set n.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}"
        "{{ '<|im_start|>' + m['role'] + '\\n' }}{% for part in m['content'] %}{% if 'text' in part %}{{ part['text']"
        "|trim|replace('<image>', '') }}{% set n.text = n.text ~ part['text'].split('</think>')[-1].lstrip('\\n') %}"
        "{% endif %}{% endfor %}{{ '%s' % '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    processor = copy.copy(internvl[1])
    processor.chat_template = template
    turns = [{"role": role, "content": "word " * 1500} for _ in range(25) for role in ("user", "assistant")]
    text = Chat(processor).render([*turns, {"role": "user", "content": "Why?"}])
    assert text.count("word") == 50 * 1500
    assert text.endswith("<|im_start|>assistant\n")
