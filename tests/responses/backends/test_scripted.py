"""The scripted backend: a real one for pipelines that need no model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.errors import DataError
from mixpo.records import FinishReason
from mixpo.responses.backend import Request, SamplingParams
from mixpo.responses.backends.config import BackendConfig, BackendName
from mixpo.responses.backends.make import make_backend
from mixpo.responses.backends.scripted import ScriptedBackend, tokens

TEN = SamplingParams(max_new_tokens=10)


def test_tokens_are_words():
    assert len(tokens("There are 3 red circles.")) == 5
    assert ScriptedBackend(str).decode(tokens("There are 3 red circles.")[:3]) == "There are 3"


@given(st.text(st.characters(codec="utf-8")))
def test_tokens_decode_to_the_text(text):
    assert ScriptedBackend(str).decode(tokens(text)) == text


def test_answers_come_from_the_file(tmp_path):
    """`sample` is 0 when it is not there."""
    script = tmp_path / "script.jsonl"
    script.write_text('{"id": "q1", "text": "one two"}\n{"id": "q1", "sample": 1, "text": "three"}\n')
    backend = make_backend(BackendConfig(name=BackendName.SCRIPTED, script=str(script)), "unused")
    first, second = backend.complete([Request(id="q1", prompt="how many are there", samples=(0, 1))], TEN)
    assert (first.text, first.completion_tokens, first.prompt_tokens) == ("one two", 3, 4)
    assert (second.text, second.completion_tokens, second.finish_reason) == ("three", 2, FinishReason.STOP)
    with pytest.raises(DataError, match="no text for id 'q2', sample 0"):
        list(backend.complete([Request(id="q2", prompt="")], TEN))


def test_a_bad_line_is_named(tmp_path):
    script = tmp_path / "script.jsonl"
    script.write_text('{"id": "q1", "text": "one"}\n{"id": "q2"}\n')
    with pytest.raises(DataError, match=r"script\.jsonl:2"):
        ScriptedBackend.load(script)


def test_token_limit_cuts():
    backend = ScriptedBackend(lambda request, sample: "a b c d e")
    (cut,) = backend.complete([Request(id="q", prompt="")], SamplingParams(max_new_tokens=3))
    assert (cut.text, cut.completion_tokens, cut.finish_reason) == ("a b c", 3, FinishReason.LENGTH)


def test_prefix_counts_as_given():
    backend = ScriptedBackend(lambda request, sample: "a b c d e")
    (rest,) = backend.complete([Request(id="q", prompt="", prefix_token_ids=tokens("a b"))], TEN)
    assert (rest.text, rest.completion_tokens, rest.token_ids) == ("a b c d e", 4, tokens("a b c d e")[2:])


def test_a_script_is_needed():
    with pytest.raises(ValueError, match="script"):
        BackendConfig(name=BackendName.SCRIPTED)
