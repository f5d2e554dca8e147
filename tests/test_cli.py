import subprocess
import sys

import pytest
import yaml

from mixpo.cli import main

MIXPO = [sys.executable, "-c", "from mixpo.cli import main; main()"]


def mixpo(*arguments, cwd=None):
    return subprocess.run([*MIXPO, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


def write(path, recipe):
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


SCENES = {"questions": {"sources": {"scenes": {"loader": "scenes", "count": 4}}}}


def test_help_imports_nothing_heavy():
    code = """
import sys
sys.argv = ["mixpo", "--help"]
from mixpo.cli import main
try:
    main()
except SystemExit:
    pass
print([name for name in ("torch", "transformers", "pyarrow", "PIL", "yaml", "pydantic") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("[]\n")
    assert "quickstart" in result.stdout


def test_a_recipes_mistake_is_one_sentence_and_status_2(tmp_path):
    recipe = write(tmp_path / "r.yaml", {"run": str(tmp_path / "run"), "steps": {"questions": {"sorces": {}}}})
    result = mixpo("run", recipe)
    assert result.returncode == 2
    assert result.stderr == f"mixpo: {recipe}:4: steps.questions.sorces: unknown key; did you mean 'sources'?\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"smaple": {}}, "no step is called 'smaple'"),
        ({"questions": {"sources": {"a": {"loader": "poems"}}}}, "poems"),
        ({"questions": {"sources": {"a": {"loader": "jsonl", "path": "none.jsonl"}}}}, "none.jsonl"),
        ({"questions": {"sources": {"a": {"loader": "scenes", "count": 0}}}}, "no question"),
        ({"train": {"batch": 10, "micro_batch": 3}}, "multiple of micro_batch"),
        ({"train": {"micro_batch": 0}}, "micro_batch must be at least 1"),
        ({"train": {"objective": {"preference": "dpoo"}}}, "'dpoo' is none of dpo"),
        ({"train": {"layout": "sharde"}}, "'sharde' is none of shared"),
        ({"train": {"schedule": "cosin"}}, "'cosin' is none of linear"),
    ],
)
def test_users_mistakes_have_no_traceback(tmp_path, steps, message):
    recipe = write(tmp_path / "r.yaml", {"run": str(tmp_path / "run"), "steps": steps})
    result = mixpo("run", recipe, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("mixpo: ")
    assert message in last
    assert "Traceback" not in result.stderr


def test_a_step_runs_alone_and_does_only_what_is_missing(tmp_path):
    recipe = write(tmp_path / "r.yaml", {"run": str(tmp_path / "run"), "steps": SCENES})
    assert mixpo("questions", recipe).returncode == 0
    part = tmp_path / "run" / "questions" / "questions" / "part-00000.jsonl"
    before = part.read_bytes()
    assert before.count(b"\n") == 4
    assert mixpo("run", recipe).returncode == 0
    assert part.read_bytes() == before


def test_a_run_folder_of_another_recipe_is_refused(tmp_path):
    recipe = write(tmp_path / "r.yaml", {"run": str(tmp_path / "run"), "steps": SCENES})
    assert mixpo("run", recipe).returncode == 0
    result = mixpo("run", recipe, "questions.sources.scenes.count=5")
    assert result.returncode == 2
    assert "(questions: sources.scenes.count was 4 and is now 5)" in result.stderr
    assert f"`mixpo run {recipe} questions.sources.scenes.count=5 --redo`" in result.stderr


def test_the_resolved_recipe_runs_again(tmp_path):
    recipe = write(tmp_path / "r.yaml", {"run": str(tmp_path / "run"), "steps": SCENES})
    assert mixpo("run", recipe).returncode == 0
    saved = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert saved["versions"]["mixpo"]
    assert saved["steps"]["questions"]["uses"] == "questions"
    result = mixpo("run", tmp_path / "run" / "recipe.yaml", f"run={tmp_path / 'again'}")
    assert result.returncode == 0, result.stderr
    parts = [tmp_path / run / "questions" / "questions" / "part-00000.jsonl" for run in ("run", "again")]
    assert parts[0].read_bytes() == parts[1].read_bytes()


def test_two_runs_in_one_folder(tmp_path):
    """The second gets a sentence; when the first is killed, the folder is free again."""
    recipe = write(tmp_path / "r.yaml", {"run": str(tmp_path / "run"), "steps": SCENES})
    holding = "import sys, time; from pathlib import Path; from mixpo.lock import held\n"
    holding += "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    first = subprocess.Popen([sys.executable, "-c", holding, tmp_path / "run" / ".lock"], stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline() == b"held\n"
        second = mixpo("run", recipe)
        assert second.returncode == 2
        assert f"mixpo: another mixpo is writing to {tmp_path / 'run'}; wait until it is done" in second.stderr
        assert not (tmp_path / "run" / "recipe.yaml").exists()
    finally:
        first.kill()
        first.communicate()
    assert mixpo("run", recipe).returncode == 0


@pytest.mark.parametrize("words", [["nosuch"], ["ablate", "study.yaml", "--jobs", "0"], ["view", ".", "--port", "x"]])
def test_a_wrong_command_line_gets_a_sentence(words, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["mixpo", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
