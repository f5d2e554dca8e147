"""Commands on a run whose files somebody damaged: one sentence with the file, and nothing is waited for."""

import json
import shutil

import pytest
import yaml
from typer.testing import CliRunner

from fixtures.damage import NO_FILE, linked, pipe, written
from mixpo.cli import app
from mixpo.errors import UserError
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe

STEPS = {
    "questions": {"sources": {"mine": {"loader": "file", "path": "mine.jsonl"}}},
    "sample": {"n": 2, "backend": {"name": "scripted", "script": "script.jsonl"}},
    "verify": {"workers": 1},
    "pair": {},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a small run that has finished."""
    folder = tmp_path_factory.mktemp("finished")
    rows = [{"id": str(number), "text": f"2 + {number}?", "answer": str(2 + number)} for number in range(3)]
    texts = [
        {"id": f"mine-{number}", "sample": sample, "text": f"Final answer: {2 + number + sample}"}
        for number in range(3) for sample in range(2)
    ]  # fmt: skip
    for name, lines in {"mine.jsonl": rows, "script.jsonl": texts}.items():
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "r.yaml").write_text(yaml.safe_dump({"run": "run", "steps": STEPS}, sort_keys=False))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        run_recipe(load_recipe("r.yaml"))
    return folder


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of it, where the command line works."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy" / "run"


STATUS, RUN, PAIR = ["status", "r.yaml"], ["run", "r.yaml"], ["pair", "r.yaml"]
EXPORT = ["export", "run", "--format", "trl", "--out", "out"]
PASS_RATES = ["pass-rates", "run", "--out", "out.jsonl"]
VERIFY = ["verify", "r.yaml"]
CASES = [
    ("timings/sample.json", written('{"seconds": "x"}'), [STATUS], "seconds: must be a number, not 'x'"),
    ("timings/pair.json", written('{"seconds":\n1e999}'), [STATUS, PAIR], "pair.json:2 cannot be read (a number"),
    ("sections/pair.json", written('{"step": "pair",\n"values": {'), [STATUS, RUN], "pair.json:2 cannot be read"),
    ("sections/pair.json", written('{"step": 5, "values": {}}'), [STATUS, RUN], "step: must be text, not 5"),
    ("sections/questions.json", written('{"step": "questions", "values": {}, "files": {"a": {}}}'), [STATUS],
     "a file needs `digest` and `stamps`"),
    ("sections/sample.json", written("[" * 100_000), [STATUS, RUN], "too deeply); delete the folder run/s"),
    ("sections/sample.json", pipe, [STATUS, RUN], "sample.json"),
    ("recipe.yaml", written(""), [RUN, EXPORT], "run/recipe.yaml is no saved recipe"),
    ("recipe.yaml", pipe, [RUN, EXPORT], "run/recipe.yaml cannot be read (it is a pipe, no file)"),
    ("recipe.yaml", written("a: &a [*a]\nsteps: {}"), [RUN, EXPORT], "recipe.yaml:1: not valid YAML"),
    ("questions/questions/image_roots.json", written('{"mine": 5}'), [EXPORT, PASS_RATES], "mine: must be text, not 5"),
    ("questions/questions/image_roots.json", written('{"mine": "\\u0000"}'), [EXPORT], "roots.json cannot be read"),
    *(("pairs/pair/part-00000.jsonl", damage, [STATUS, EXPORT], said) for damage, said in NO_FILE.values()),
    ("verdicts/verify/part-00000.jsonl", linked("/dev/zero"), [VERIFY, PAIR], "it is a device, no file"),
    ("pass_rates/pair/part-00000.jsonl", pipe, [PASS_RATES], "it is a pipe, no file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "damage", "commands", "said"), CASES, ids=[f"{file} {said}" for file, _, _, said in CASES]
)
def test_a_damaged_file_is_a_sentence(run, file, damage, commands, said):
    damage(run / file)
    for command in commands:
        result = CliRunner().invoke(app, command)
        assert isinstance(result.exception, UserError), (command, result.exception)
        assert said in str(result.exception)
        assert file.rpartition("/")[2] in str(result.exception)
        assert "\n" not in str(result.exception)


def test_undamaged_every_command_ends_well(run):
    for command in (STATUS, RUN, PAIR, EXPORT, PASS_RATES, VERIFY):
        assert CliRunner().invoke(app, command).exit_code == 0


@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "large"])
def test_a_recipe_that_is_none_is_not_read_for_ever(run, place):
    pipe(run.parent / "pipe")
    with (run.parent / "large").open("wb") as file:
        file.truncate(5 << 20)
    result = CliRunner().invoke(app, ["status", place])
    assert isinstance(result.exception, UserError)
    assert "give the recipe's file, in UTF-8" in str(result.exception)


def test_an_option_that_is_no_yaml(run):
    words = ["import", "--format", "trl", "--path", "x.jsonl", "--out", "o", "--option", "limit=["]
    assert "option 'limit': the value is not valid YAML" in str(CliRunner().invoke(app, words).exception)
    result = CliRunner().invoke(app, ["status", "r.yaml", "sample.n=!!int x"])
    assert "the value is not valid YAML" in str(result.exception)
