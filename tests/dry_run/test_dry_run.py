"""`mixpo run --dry-run`: what every section would do at most, and what is said where that cannot be told."""

import pytest
from typer.testing import CliRunner

from mixpo.cli import app
from mixpo.files import RunFiles

RECIPE = """
name: mine
model: base
steps:
  questions: {sources: {scenes: {loader: scenes, count: 5}}}
  sample: {n: 4, max_new_tokens: 32, SAMPLE}
  verify: {}
  pair: {max_pairs: 3}
  train: {batch: 4, micro_batch: 2}
  evaluate:
    models: {before: base, after: "step:train"}
    benchmarks: {held-out: {loader: scenes, split: test, count: 3}}
    max_new_tokens: 16
"""
SERVER = "backend: {name: openai_server, server: {base_url: 'http://localhost:1/v1'}}"


@pytest.fixture
def dry(tmp_path, monkeypatch):
    """Its costs, by section: the words of the line, and what stands below the table."""
    monkeypatch.chdir(tmp_path)

    def run(more="", *words):
        (tmp_path / "r.yaml").write_text(RECIPE.replace("SAMPLE", more))
        result = CliRunner().invoke(app, ["run", "r.yaml", "--dry-run", *words])
        assert result.exit_code == 0, result.output
        _, table, below = result.stdout.split("\n\n")
        assert not RunFiles("runs/mine").root.exists()
        return {line.split()[0]: " ".join(line.split()[1:]) for line in table.splitlines()}, below

    return run


def test_every_section_is_bounded(dry):
    costs, below = dry()
    assert costs["questions"] == "5 questions"
    assert costs["sample"].startswith("at most 20 responses, 5 x 4, of at most 32 tokens 1 s")
    assert costs["verify"] == "at most 20 responses"
    assert costs["pair"] == "at most 15 pairs"
    assert costs["train"].startswith("at most 15 records, 4 steps of up to 4 1 s")
    twice = "(4 times: 2 models x 2 styles x 1 benchmark)"
    assert costs["evaluate"].startswith(f"at most 3 responses, 3 x 1, of at most 16 tokens {twice}")
    assert "together: at most about" in below
    assert "assumed: every response is as long as it may be" in below
    assert "WARNING" not in below


def test_what_a_server_answers_is_counted_and_not_timed(dry):
    costs, below = dry(SERVER)
    assert "up to 20 requests to http://localhost:1/v1, paid there ?" in costs["sample"]
    assert "and what is not known (?)" in below


def test_what_is_not_here_is_said(dry):
    costs, below = dry("", "questions.sources.scenes={loader: huggingface, path: nobody/nothing}")
    assert costs["questions"] == ""
    assert costs["sample"] == costs["pair"] == costs["train"] == "?"
    assert "WARNING: how many questions source 'scenes' has is known when it is read" in below


def test_a_model_that_does_not_fit_is_warned_of(dry, monkeypatch):
    from mixpo.plan import ahead

    monkeypatch.setattr(ahead, "memory_of", lambda machine: 2.0**24)
    _, below = dry()
    assert "WARNING: train does not fit (" in below
