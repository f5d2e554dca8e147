"""A run whose recipe or data change afterwards: what is used, what asks for `--redo`, where old results go."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mixpo import redo
from mixpo.cli import app
from mixpo.errors import DataError, RecipeError, UserError
from mixpo.files import RunFiles
from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe
from mixpo.records import Dropped, DropReason
from mixpo.responses import sample

STEPS = {
    "questions": {"sources": {"mine": {"loader": "jsonl", "path": "mine.jsonl"}}},
    "sample": {"n": 2, "max_new_tokens": 8, "temperature": 1.0},
    "verify": {"workers": 1},
    "report": {},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the recipe in a folder of its own, with overrides."""
    monkeypatch.chdir(tmp_path)
    write_answer(tmp_path, "4")
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"run": "out", "steps": STEPS}, sort_keys=False))

    def running(*overrides, **options):
        return run_recipe(load_recipe("r.yaml", overrides), **options)

    return running


def write_answer(folder, answer):
    rows = [{"id": f"q{number}", "text": f"2 + {number}?", "answer": answer} for number in range(3)]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def content_of(files):
    folders = ("questions", "responses", "verdicts")
    found = (path for folder in folders for path in sorted((files.root / folder).rglob("*.jsonl")))
    return {str(path.relative_to(files.root)): path.read_bytes() for path in found}


def test_what_decides_nothing_is_used_and_a_new_section_is_added(run):
    files = run()
    before = content_of(files)
    run("verify.workers=2", "report.pairs_shown=5", "sample.backend.token_budget=999")
    assert files.saved_recipe()["steps"]["verify"]["workers"] == 2
    steps = {**STEPS, "again": {"uses": "verify", "workers": 1}}
    Path("r.yaml").write_text(yaml.safe_dump({"run": "out", "steps": steps}, sort_keys=False))
    run()
    assert {name: text for name, text in content_of(files).items() if "again" not in name} == before
    assert len(list(files.verdicts("again"))) == 6
    assert files.saved_recipe()["steps"]["verify"]["workers"] == 1


def test_what_decides_is_named_with_the_command_that_makes_it_anew(run):
    files = run()
    before = content_of(files)
    said = (
        r"^out holds results of another recipe \(sample: temperature was 1.0 and is now 0.0; verify: sample is made "
        r"anew\); `mixpo run r.yaml sample.temperature=0 --redo` moves them to out/earlier and makes them anew, or"
    )
    with pytest.raises(UserError, match=said):
        run("sample.temperature=0")
    assert content_of(files) == before
    run("sample.temperature=0", redo=[])
    (kept,) = files.earlier.iterdir()
    after = content_of(files)
    for name in ("responses/sample", "verdicts/verify"):
        path = f"{name}/part-00000.jsonl"
        assert (kept / path).read_bytes() == before[path]
    assert after["responses/sample/part-00000.jsonl"] != before["responses/sample/part-00000.jsonl"]
    assert after["questions/questions/part-00000.jsonl"] == before["questions/questions/part-00000.jsonl"]
    assert yaml.safe_load((kept / "recipe.yaml").read_text())["steps"]["sample"]["temperature"] == 1.0
    assert not (kept / "questions").exists()
    run("sample.temperature=0")  # nothing is stale now
    assert content_of(files) == after


def test_a_corrected_label_is_not_ignored(run, tmp_path):
    files = run()
    write_answer(tmp_path, "5")
    with pytest.raises(UserError, match=r"questions: mine.jsonl has changed; sample: questions is made anew"):
        run()
    run(redo=[])
    assert {question.answer for question in files.questions("questions")} == {"5"}


def test_one_section_is_made_anew_with_what_reads_it_and_only_that(run):
    files = run()
    before = content_of(files)
    run(redo=["verify"])
    assert content_of(files) | before == content_of(files)
    (kept,) = files.earlier.iterdir()
    assert [path.name for path in sorted(kept.iterdir())] == ["recipe.yaml", "sections", "timings", "verdicts"]
    with pytest.raises(UserError, match="--redo verfy: the recipe has no such section; it has questions, sample"):
        run(redo=["verfy"])
    with pytest.raises(UserError, match="sample: n was 2 and is now 1"):
        run("sample.n=1", redo=["verify"])
    assert len(list(files.earlier.iterdir())) == 1


@pytest.mark.parametrize("moves", [0, 1, 2, 4])
def test_killed_while_results_are_set_aside(run, monkeypatch, moves):
    """The next run finishes the moving first: nothing of the old is taken for the new, and nothing is lost."""
    files = run()
    before = content_of(files)
    move, done = redo._move, []

    def killed(path, target):
        if len(done) == moves:
            raise KeyboardInterrupt
        done.append(path)
        move(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(redo, "_move", killed)
        with pytest.raises(KeyboardInterrupt):
            run("sample.temperature=0", redo=[])
    run("sample.temperature=0")
    texts = {(response.question_id, response.text) for response in files.responses("sample")}
    assert len(texts) == 3  # greedy: the samples of a question are one text
    moved = b"".join(path.read_bytes() for path in sorted(files.earlier.rglob("responses/sample/*.jsonl")))
    assert moved == before["responses/sample/part-00000.jsonl"]


def test_a_section_that_was_killed_half_way_keeps_what_it_began_with(run, monkeypatch):
    def dies(_, files, **__):
        files.dropped("sample").append([Dropped(id="x", step="sample", reason=DropReason.REFUSED, detail="")])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sample, "run", dies)
        with pytest.raises(KeyboardInterrupt):
            run()
    with pytest.raises(UserError, match="sample: temperature was 1.0 and is now 0.5"):
        run("sample.temperature=0.5")
    files = run("verify.thoughts=[<mine>]")  # not begun: nothing of it could be stale
    assert len(list(files.responses("sample"))) == 6


def test_a_damaged_fingerprint_is_a_sentence(run):
    files = run()
    files.fingerprint("sample").write_text("{")
    with pytest.raises(DataError, match=r"sections/sample.json:1 cannot be read .* delete the folder out/sections"):
        run()


def test_the_table_and_the_commands(run):
    runner = CliRunner()

    def table(*words):
        result = runner.invoke(app, words)
        assert result.exit_code == 0, result.output
        lines = result.stdout.partition("\n\n")[0].splitlines()  # below it a dry run has its costs
        return {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.strip()}

    empty = table("run", "r.yaml", "--dry-run")
    assert {name: empty[name] for name in STEPS} == dict.fromkeys(STEPS, "missing")
    assert not RunFiles("out").root.exists()
    run()
    done = table("status", "r.yaml")
    assert done["sample"].startswith("done out/responses/sample 6 responses")
    assert table("status", "out") == done  # a run folder has its recipe
    changed = table("status", "r.yaml", "sample.n=1")
    assert changed["sample"].startswith("stale because n was 2 and is now 1 out/responses/sample 6 responses")
    assert changed["verify"].startswith("stale because sample is made anew out/verdicts/verify 6 verdicts")
    result = runner.invoke(app, ["run", "r.yaml", "sample.n=1", "--redo"])
    assert result.exit_code == 0
    assert len(list(RunFiles("out").responses("sample"))) == 3
    result = runner.invoke(app, ["run", "out", "--redo", "verify"])
    assert result.exit_code == 0
    assert len(list(RunFiles("out").earlier.iterdir())) == 2


def test_a_step_alone_whose_input_has_not_run(run):
    with pytest.raises(UserError, match=r"sample reads questions of 'questions', which has not run; .*questions r"):
        run(only="sample")
    run(only="questions")
    run(only="sample")
    with pytest.raises(UserError, match=r"verify: sample is made anew|sample: n was 2 and is now 1"):
        run("sample.n=1", only="verify")
    run(only="verify")


def test_a_file_or_a_model_that_is_not_there_is_said_before_anything_runs(run):
    steps = {
        **STEPS,
        "evaluate": {"models": {"base": "base"}, "benchmarks": {"b": {"loader": "jsonl", "path": "no.jsonl"}}},
    }
    Path("r.yaml").write_text(yaml.safe_dump({"run": "out", "steps": steps}, sort_keys=False))
    with pytest.raises(RecipeError, match=r"r.yaml:\d+: steps.evaluate.benchmarks.b.path: no.jsonl: nothing lies"):
        run()
    assert not RunFiles("out").questions("questions").paths()
    with pytest.raises(RecipeError, match=r"steps.sample.model: .* './nowhere' cannot be loaded: nothing lies"):
        run("evaluate.benchmarks.b.path=mine.jsonl", "sample.model=./nowhere")


def test_what_an_evaluation_has_left_out_is_not_taken_for_another(run):
    scenes = {"loader": "scenes", "split": "test", "count": 2}
    steps = {
        "evaluate": {"models": {"base": "base"}, "styles": ["direct"], "max_new_tokens": 4, "benchmarks": {"b": scenes}}
    }
    Path("r.yaml").write_text(yaml.safe_dump({"run": "out", "steps": steps}, sort_keys=False))
    run("evaluate.benchmarks.c={loader: scenes, split: test, count: 2}")
    run()
    with pytest.raises(UserError, match="evaluate: benchmarks.c.split was 'test' and is now 'train'"):
        run("evaluate.benchmarks.c={loader: scenes, split: train, count: 2}")
    run("evaluate.benchmarks.c={loader: scenes, split: test, count: 2}")


def test_results_that_nothing_tells_of_are_not_taken_for_these(run):
    files = run()
    files.fingerprint("sample").unlink()
    files.recipe.unlink()
    with pytest.raises(UserError, match="sample: what lies there was made by another recipe or command"):
        run()
    run(redo=[])
    assert len(list(files.responses("sample"))) == 6


def test_imported_by_a_command_and_by_a_recipe(run):
    rows = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "no"} for n in range(3)]
    for name in ("a", "b"):
        Path(f"{name}.jsonl").write_text("".join(json.dumps({**row, "id": name}) + "\n" for row in rows))
    runner = CliRunner()
    assert runner.invoke(app, ["import", "--format", "trl", "--path", "a.jsonl", "--out", "out"]).exit_code == 0
    steps = {"import": {"format": "trl", "path": "a.jsonl"}}
    Path("r.yaml").write_text(yaml.safe_dump({"run": "out", "steps": steps}))
    run()
    with pytest.raises(UserError, match="import: path was 'a.jsonl' and is now 'b.jsonl'"):
        run("import.path=b.jsonl")


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"step": "sample", "values": []}', "{", "[" * 9999])
def test_any_damage_of_a_fingerprint_is_a_sentence(run, content):
    files = run()
    before = content_of(files)
    files.fingerprint("sample").write_text(content)
    with pytest.raises(DataError, match=r"sections/sample\.json(:1)? .* delete"):
        run()
    shutil.rmtree(files.root / "sections")
    run()
    assert content_of(files) == before


def test_nothing_is_moved_out_of_the_run(run):
    files = run()
    note = json.loads(files.fingerprint("sample").read_text())
    for target in ("../../escaped", "..", 5, ""):
        files.fingerprint("sample").write_text(json.dumps({**note, "moved to": target}))
        with pytest.raises(DataError, match="sample.json"):
            run()
    assert files.responses("sample").paths()
    assert not Path("escaped").exists()
    Path("out/earlier").write_text("a file")
    files.fingerprint("sample").write_text(json.dumps(note))
    with pytest.raises(UserError, match="cannot be written"):
        run(redo=["sample"])
    run()


def test_the_table_while_results_are_being_moved(run, monkeypatch):
    files = run()
    with monkeypatch.context() as patched:
        patched.setattr(redo, "finish", lambda files: None)
        redo.set_aside(["sample", "verify"], files)
    result = CliRunner().invoke(app, ["status", "r.yaml"])
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines()[2:5]] == [
        ["questions", "done"], ["sample", "missing"], ["verify", "missing"],
    ]  # fmt: skip


def test_a_section_that_was_refused_at_its_start_can_be_mended(run):
    """It has made nothing that another recipe could be taken for."""
    with pytest.raises(UserError, match="does not ask for enable_thinking"):
        run("sample.chat_template={enable_thinking: false}")
    assert len(list(run("sample.n=1").responses("sample"))) == 3
