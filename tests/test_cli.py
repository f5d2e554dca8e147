import logging
import os
import pickle
import subprocess
import sys

import pytest
import typer
import yaml

from mixpo import __version__ as mixpo_version
from mixpo.cli import COMMANDS, app, main
from mixpo.errors import UserError
from mixpo.pipeline import run_recipe
from mixpo.progress import QUIETED, VERBOSITY, speak
from mixpo.recipe import load_recipe

MIXPO = [sys.executable, "-c", "from mixpo.cli import main; main()"]


def mixpo(*arguments, cwd=None):
    return subprocess.run([*MIXPO, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


def write(path, recipe):
    path.parent.mkdir(exist_ok=True)
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


@pytest.mark.parametrize("name", ["recipe.yaml", "report.html"])
def test_what_others_wrote_into_a_run_folder_is_not_replaced(tmp_path, name):
    """People have their recipe where they work, and may want the run to be there, too."""
    recipe, other = tmp_path / "recipe.yaml", tmp_path / name
    if other != recipe:
        recipe = tmp_path / "r.yaml"
        other.write_text("my own")
    write(recipe, {"run": str(tmp_path), "steps": SCENES})
    before = other.read_bytes()
    with pytest.raises(UserError, match=f"{name} would be replaced, and is none of a run"):
        run_recipe(load_recipe(recipe))
    assert other.read_bytes() == before


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


def in_process(monkeypatch, capsys, *words):
    """Exit status, standard output and standard error of a command in this process."""
    monkeypatch.setattr("sys.argv", ["mixpo", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return (ended.value.code, *capsys.readouterr())


@pytest.fixture
def verbosity(monkeypatch):
    """What `speak` changes is as before afterwards."""
    before = logging.getLogger().level
    for name in (VERBOSITY, *QUIETED):
        monkeypatch.setenv(name, "")
    yield
    logging.getLogger().setLevel(before)


def test_help_lists_every_command_in_its_group_on_a_line(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = in_process(monkeypatch, capsys, "--help")
    assert status == 0
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    _, *groups = out.split("\n\n")[2:]
    listed = [line.split()[0] for group in groups for line in group.splitlines()[1:]]
    assert [group.splitlines()[0] for group in groups] == [f"{name}:" for name in COMMANDS]
    assert listed == list(typer.main.get_command(app).commands)  # all, each on one line
    assert {"run", "import", "best-of"} <= set(listed)


def test_without_a_command_there_is_help(monkeypatch, capsys):
    status, _, said = in_process(monkeypatch, capsys)
    assert status == 2
    assert "Run and look:" in said


@pytest.mark.parametrize(
    ("words", "closest"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["base_model"], "Did you mean 'base-model'?"),
        (["run", "r.yaml", "--dryrun"], "--dry-run"),
        (["evaluate", "--benchmarks", "x"], "--benchmark"),
        (["--verison"], "--version"),
    ],
)
def test_the_closest_command_or_option_is_named(words, closest, monkeypatch, capsys):
    status, out, said = in_process(monkeypatch, capsys, *words)
    assert (status, out) == (2, "")
    assert closest in said.splitlines()[-1]


def test_a_file_in_a_commands_place_gets_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "r.yaml", {})
    status, _, said = in_process(monkeypatch, capsys, "r.yaml")
    assert (status, said) == (
        2,
        "mixpo: r.yaml is no command; `mixpo run r.yaml` runs a recipe, `mixpo --help` tells more\n",
    )


def test_the_version_and_python_m():
    command = [sys.executable, "-m", "mixpo", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"mixpo {mixpo_version} (Python 3.")
    assert "transformers 5." in result.stdout


@pytest.mark.parametrize("before", [True, False])
def test_quiet_leaves_errors_and_results(before, tmp_path, monkeypatch, capsys, verbosity):
    recipe = write(tmp_path / "r.yaml", {"run": str(tmp_path / "run"), "steps": SCENES})
    words = ["-q", "questions", recipe] if before else ["questions", recipe, "--quiet"]
    assert in_process(monkeypatch, capsys, *words) == (0, "", "")
    status, out, said = in_process(monkeypatch, capsys, "-q", "status", tmp_path / "run")
    assert (status, said) == (0, "")
    assert "4 questions" in out
    status, _, said = in_process(monkeypatch, capsys, "-q", "run", tmp_path / "none.yaml")
    assert status == 2
    assert said.startswith("mixpo: ")


def test_verbose_prints_what_is_logged_and_users_mistakes_stay_a_sentence(tmp_path, monkeypatch, capsys, verbosity):
    status, _, said = in_process(monkeypatch, capsys, "run", tmp_path / "none.yaml", "-v")
    assert (status, said.count("\n")) == (2, 1)
    assert logging.getLogger().level == logging.INFO
    status, _, said = in_process(monkeypatch, capsys, "fields", "-vq")
    assert (status, said) == (2, "mixpo: --verbose and --quiet contradict each other; leave one out\n")


def test_processes_that_are_started_are_as_quiet(monkeypatch, verbosity):
    speak(verbose=False, quiet=True)
    code = "from mixpo.progress import say, show_warnings, track; import logging\n"
    code += "show_warnings(); say('note'); list(track([1], 'bar')); logging.warning('w'); logging.error('e')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == "ERROR: e\n"


def test_what_was_not_foreseen_keeps_its_traceback(monkeypatch, capsys):
    monkeypatch.setattr("mixpo.fields.show", lambda name: {}["gone"])
    status, _, said = in_process(monkeypatch, capsys, "fields", "train")
    assert status == 1
    assert "Traceback" in said
    assert "KeyError: 'gone'\n" in said
    assert said.splitlines()[-1].startswith("mixpo: this was not foreseen")
    assert "`mixpo --version`" in said.splitlines()[-1]


def test_a_file_that_ends_too_early_is_no_interrupt(monkeypatch, capsys):
    """It would be said for ever that the same command goes on."""
    monkeypatch.setattr("mixpo.fields.show", lambda name: pickle.loads(b""))
    status, _, said = in_process(monkeypatch, capsys, "fields", "train")
    assert status == 1
    assert "EOFError: Ran out of input" in said
    assert said.splitlines()[-1].startswith("mixpo: this was not foreseen")
    assert "interrupted" not in said


@pytest.mark.parametrize("words", [["fields"], ["--help"]])
def test_a_reader_that_leaves_is_no_error(words):
    """`mixpo fields | head -1`."""
    process = subprocess.Popen([*MIXPO, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.communicate()[1] == b""
    assert process.returncode == 1


def test_an_interrupt_while_the_command_line_is_imported(tmp_path):
    """Its first import raises what Ctrl-C does."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-m", "mixpo", "--help"]
    result = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert (result.returncode, result.stderr) == (130, b"")


def test_completion_knows_commands_and_options():
    def completed(words):
        told = {"_MIXPO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            [sys.executable, "-m", "mixpo"], capture_output=True, text=True, env={**os.environ, **told}, check=True
        )
        return done.stdout.split()

    assert completed("mixpo qu") == ["quickstart", "questions"]
    assert completed("mixpo run r.yaml --dr") == ["--dry-run"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What people give in a recipe's place."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "recipe-1.yaml", {"steps": SCENES})
    write(tmp_path / "study.yaml", {"name": "s", "study": {"seeds": [0]}})
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "questions.jsonl").write_text('{"id": "q", "text": "How many?"}\n{"id": "r", "text": "Where?"}\n')
    (tmp_path / "meta.json").write_text('{"a": {"root": "."}}')
    (tmp_path / "train.parquet").write_bytes(b"PAR1\xff")
    write(tmp_path / "recipes" / "mine.yaml", {})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "old" / "pairs").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run study.yaml", "study.yaml:2: study: this is a study; run it with `mixpo ablate study.yaml`"),
        ("ablate recipe-1.yaml", "recipe-1.yaml:1: steps: this is a recipe; run it with `mixpo run recipe-1.yaml`"),
        ("run questions.jsonl", "questions.jsonl is data, no recipe: a recipe names the data"),
        ("verify meta.json", "meta.json is data, no recipe"),
        ("status train.parquet", "train.parquet is data, no recipe"),
        ("ablate questions.jsonl", "questions.jsonl is data, no study"),
        ("run model", "model is a model, no recipe: a recipe names it (model: ./model)"),
        ("evaluate model/config.json", "model is a model, no recipe"),
        ("run old", "old is no run folder: it has no recipe.yaml, though it has records of a run"),
        ("run recipes", "recipes is no run folder: it has no recipe.yaml; give the file: recipes/mine.yaml"),
        ("ablate recipes", "recipes is a folder, no study; give the file: recipes/mine.yaml"),
        ("run recipe1.yml", "recipe1.yml is not there; did you mean 'recipe-1.yaml'?"),
        ("status recipies/mine.yaml", "recipies/mine.yaml is not there; did you mean 'recipes/mine.yaml'?"),
        ("run /nowhere/r.yaml", "/nowhere/r.yaml is not there; give the path of a recipe"),
        ("ablate stud.yaml", "stud.yaml is not there; did you mean 'study.yaml'?"),
        ("run empty.yaml", "empty.yaml is empty; a recipe has the keys name, run"),
        ("view olds", "olds is not there; did you mean 'old'?"),
        ("export model --format trl --out x", "model is no run folder"),
        ("publish questions.jsonl --out x", "questions.jsonl is not there"),
        ("pass-rates none --out x", "none is not there"),
        (
            "evaluate --model m=./modle --benchmark mine=questions.jsonl",
            "model './modle' cannot be loaded",
        ),
        ("plan", "plan needs a recipe or a run folder"),
        ("relabel ol", "ol is not there; did you mean 'old'?"),
    ],
)
def test_what_is_no_recipe_is_told_what_it_is(words, sentence, folder, monkeypatch, capsys):
    status, out, said = in_process(monkeypatch, capsys, *words.split())
    assert (status, out, said.count("\n")) == (2, "", 1), said
    assert said.startswith(f"mixpo: {sentence}")
    assert {"x", "runs"}.isdisjoint(path.name for path in folder.iterdir())


def test_a_run_folder_below_the_home_folder(tmp_path, monkeypatch, capsys):
    """A recipe's `run: ~/…`, which no shell has filled in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "r.yaml", {"run": "~/mine", "steps": SCENES})
    assert in_process(monkeypatch, capsys, "questions", "r.yaml")[0] == 0
    assert (tmp_path / "mine" / "recipe.yaml").exists()
    assert not (tmp_path / "~").exists()


def test_files_below_the_home_folder(tmp_path, monkeypatch, capsys):
    """`--out=~/…`, of which a shell leaves the `~`; one of nobody's folder stays what it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.jsonl").write_text('{"id": "q", "text": "How many?", "answer": "3", "kind": "integer"}\n')
    response = '{"id": "q/0", "question_id": "q", "sample": 0, "text": "Answer: 3", "finish_reason": "stop"}\n'
    (tmp_path / "responses.jsonl").write_text(response)
    files = "--questions=~/questions.jsonl --responses=~/responses.jsonl --out=~/verdicts.jsonl"
    status, _, said = in_process(monkeypatch, capsys, "verify", *files.split())
    assert status == 0, said
    assert (tmp_path / "verdicts.jsonl").read_text().count("correct") == 1
    status, _, said = in_process(monkeypatch, capsys, "run", "~nobody-of-this-name/r.yaml")
    assert (status, "~nobody-of-this-name/r.yaml" in said) == (2, True), said
