"""`mixpo evaluate` without a recipe."""

import pytest

from mixpo.errors import RecipeError, UserError
from mixpo.evaluation.evaluate_models import _benchmarks, _models, _styles, evaluate_models
from mixpo.files import RunFiles


def test_the_base_model_answers_two_scenes(tmp_path, capsys):
    evaluate_models(["base"], ["scenes"], "direct, cot", tmp_path / "run", ["count=2"], max_new_tokens=8)
    inner = RunFiles(tmp_path / "run").evaluation("evaluate")
    assert len(list(inner.responses("base-scenes-cot"))) == 2
    names = {score.metric for score in inner.scores()}
    assert {"accuracy", "unparsed", "truncated", "undecided", "length", "looping", "steps_right"} <= names
    assert "scenes: accuracy, % (2 questions)" in capsys.readouterr().out


def test_what_is_given_on_the_command_line():
    assert _models(["OpenGVLab/InternVL3-1B-hf", "mine=runs/x/model"]) == {
        "InternVL3-1B-hf": "OpenGVLab/InternVL3-1B-hf", "mine": "runs/x/model",
    }  # fmt: skip
    assert _benchmarks(["mathvista=~/data", "pope"], ["limit=5", "pope.split=random"]) == {
        "mathvista": {"loader": "mathvista", "path": "~/data", "limit": 5},
        "pope": {"loader": "pope", "limit": 5, "split": "random"},
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _benchmarks(["mathvistaa"], []), "'mathvistaa' is none of ai2d"),
        (lambda: _benchmarks(["file"], []), "write file=PATH"),
        (lambda: _benchmarks(["pope"], ["crpe.limit=1"]), "FIELD=VALUE"),
        (lambda: _benchmarks(["pope"], ["limit"]), "FIELD=VALUE"),
        (lambda: _styles("direct,loud"), "'loud' is none of direct"),
        (lambda: _models(["a/x", "b/x"]), "two models are called 'x'"),
    ],
)
def test_mistakes_get_a_sentence(call, message):
    with pytest.raises((RecipeError, UserError), match=message):
        call()
