"""`mixpo fields` and docs/reference.md: what they say stands in the docstrings of the configs."""

import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixpo.errors import UserError
from mixpo.evaluation.benchmarks.source import BENCHMARKS
from mixpo.fields import docstrings, fields_of, names, show, topic, topics
from mixpo.pipeline import STEPS
from mixpo.questions.collect import LOADERS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def everything():
    return list(topics())


def test_every_field_has_a_docstring(everything):
    """A line under the field in its dataclass: what it means, its unit, what values there are."""
    missing = [f"{topic.name}.{field.name}" for topic in everything for field in topic.fields if not field.meaning]
    assert not missing, f"fields without a docstring: {', '.join(missing)}"


def test_a_field_without_a_docstring_is_found():
    @dataclass
    class Config:
        """A class."""

        said: int = 0
        """Something."""
        unsaid: int = 0
        name: str = ""
        """Two
        lines."""

    assert docstrings(Config) == {"said": "Something.", "name": "Two lines."}
    assert [field.meaning for field in fields_of(Config)] == ["Something.", "", "Two lines."]


def test_nothing_is_left_out(everything):
    found = {topic.name for topic in everything}
    assert found >= set(STEPS) | {"study"}
    assert found >= {f"questions.{loader}" for loader in LOADERS} | {f"evaluate.{name}" for name in BENCHMARKS}
    assert found >= {
        "train.objective", "train.lora", "sample.backend", "sample.backend.server", "sample.backend.vllm",
        "sample.stop_when_balanced", "verify.llm_judge", "pair.chosen", "pair.chosen.reward",
    }  # fmt: skip
    assert len({topic.name for topic in everything}) == len(everything)
    assert all(topic.meaning for topic in everything)


@pytest.mark.parametrize(
    ("name", "kind", "default", "meaning"),
    [
        ("train.batch", "whole number", "256", "an optimizer step"),
        ("train.objective.beta", "number", "0.1", "Scale of the rewards"),  # a base's field
        ("train.learning_rate", "number", "5e-06", "Peak"),
        ("train.max_records", "whole number or null", "null", "drawn with the seed"),
        ("train.workers", "whole number or auto", "auto", "encode images"),
        ("train.gradient_checkpointing", "one of auto, true, false", "auto", "computed again"),
        ("train.layout", "one of shared, paired, auto", "auto", "memory"),
        ("sample.block", "whole number", "2048", "Responses"),  # said again of a base's field
        ("best-of.by", "list of one of majority, logp, reward, any", '["majority", "logp", "any"]', "chooses"),
        ("dropout.backend.server.extra", "mapping", "{}", "Further fields"),
        ("verify.llm_judge.model", "text", "required", "endpoint"),
        ("questions.sources", "mapping of mappings", "{}", "loader"),
        ("questions.jsonl.fields", "mapping of text", "{}", "Column"),
        ("questions.scenes.things", "list of whole numbers", "[3, 8]", "shapes"),
        ("evaluate.mathvista.wording", "one of official, own", "official", "words"),
        ("evaluate.pope.samples", "whole number", "1", "avg@k"),
        ("evaluate.scene_descriptions.split", "text", "test", "no two share"),  # the benchmark's own default
        ("study.seeds", "list of whole numbers", "[0]", "samples, pairs and trains"),
    ],
)
def test_a_single_field(name, kind, default, meaning):
    (field,) = topic(name).fields
    assert (field.kind, field.default) == (kind, default)
    assert meaning in field.meaning


def test_values_of_an_enum_are_explained():
    (field,) = topic("train.layout").fields
    assert "`paired`: A row per completion" in field.text


def test_a_field_that_is_a_name_or_a_mapping():
    """Both are explained, alone and among a step's fields."""
    found = topic("sample.style")
    assert "`direct`: The final answer only." in found.meaning
    assert [field.name for field in found.fields] == ["template", "name"]
    style = next(field for field in topic("best_of").fields if field.name == "style")
    assert style.kind.endswith("plain, auto or mapping")
    assert "`direct`: The final answer only." in style.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trian", "^no field or step is called 'trian'; did you mean 'train'"),
        ("", "^no field or step is called ''; there are questions, demonstrations,"),
        ("train.objectiv.beta", "^no field or step is called 'train.objectiv'; did you mean 'train.objective'"),
        ("train.objective.betta", "did you mean 'train.objective.beta'"),
        ("questions.jsonlines", "did you mean 'questions.jsonl'"),
        ("evaluate.mathvsta", "did you mean 'evaluate.mathvista'"),
        ("train.mathvista", "no field or step is called 'train.mathvista'"),
        ("train.batch.size", r"^train.batch has no fields of its own \(its type: whole number\)"),
    ],
)
def test_a_wrong_name_gets_the_closest(name, message):
    with pytest.raises(UserError, match=message):
        topic(name)


def test_the_command(capsys):
    show("sample.stop_when_balanced")
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("sample.stop_when_balanced: Draw in rounds")
    assert "round whole number 8 Responses drawn" in said
    show("train")
    assert "mixpo fields train.objective" in " ".join(capsys.readouterr().out.split())
    show("questions")
    assert "questions.parquet" in capsys.readouterr().out
    show()
    listed = capsys.readouterr().out
    assert all(name in listed for kind in names().values() for name in kind)


def test_a_wrong_name_on_the_command_line():
    words = [sys.executable, "-c", "from mixpo.cli import main; main()", "fields", "sampel"]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "mixpo: no field or step is called 'sampel'; did you mean 'sample'?\n"


def test_the_reference_is_fresh():
    script = runpy.run_path(str(ROOT / "docs" / "list_fields.py"))
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert script["page"]() == written, "docs/reference.md is old: python docs/list_fields.py writes it"
    assert "reference.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
