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


def test_a_name_means_one_file_of_questions(tmp_path):
    """Else the questions and ground truths of both would be scored as one. Rows behind the others are answered, too."""
    own, other, out = tmp_path / "own.csv", tmp_path / "other.csv", tmp_path / "run"
    own.write_text("question,answer\nOne and one?,2\n")
    other.write_text("question,answer\nTwo and two?,4\n")

    def asked(path):
        evaluate_models(["base"], [f"mine={path}"], "direct", out, max_new_tokens=2)
        return [question.answer for question in RunFiles(out).evaluation("evaluate").questions("mine")]

    (tmp_path / "none.csv").write_text("Frage\nWas?\n")
    with pytest.raises(UserError, match="has no 'text'"):
        asked(tmp_path / "none.csv")  # which leaves nothing behind
    assert asked(own) == ["2"]
    with pytest.raises(UserError, match="holds questions of .*own.csv under the name 'mine'.*--out"):
        asked(other)
    own.write_text("question,answer\nOne and one?,2\nOne and two?,3\n")
    assert asked(own) == ["2", "3"]
    own.write_text("question,answer\nOne and one?,5\nOne and two?,3\n")
    with pytest.raises(UserError, match="own.csv as it was before it changed"):
        asked(own)


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
