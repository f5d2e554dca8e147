"""No name that a recipe, a study or a call gives to anything names a folder outside the run."""

import json
from functools import partial

import pytest
import yaml

from mixpo.ablate import load_study
from mixpo.errors import RecipeError, UserError
from mixpo.evaluation.evaluate_models import evaluate_models
from mixpo.files import RunFiles
from mixpo.names import wrong_name
from mixpo.pairs.import_pairs import Config as Importing
from mixpo.pairs.import_pairs import run as run_import
from mixpo.pipeline import planned, run_recipe
from mixpo.questions.collect import Config as Collecting
from mixpo.recipe import load_recipe
from mixpo.resolve import STEPS, resolve

NAMES = ("", ".", "..", "a/b", "../../x", "/x", "a\\b", "a\0b", "a.b", "-a", "---", "a b", "a\n", "*", "x" * 201)
PROMPT = {"template": "{question}"}
STUDY = {"variants": {"mpo": {}}, "evaluate": {"benchmarks": {"mine": {"loader": "scenes"}}}}
FILE = {"loader": "file", "path": "q.jsonl"}


def recipe(tmp_path, steps, **top):
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump({"run": str(tmp_path / "run"), **top, "steps": steps}, sort_keys=False))
    return load_recipe(path)


@pytest.mark.parametrize("name", NAMES)
def test_no_section_of_any_step_is_called_so(tmp_path, name):
    for step in STEPS:
        with pytest.raises(RecipeError, match="a section's name"):
            resolve(recipe(tmp_path, {name: {"uses": step}}))


@pytest.mark.parametrize("step", STEPS)
def test_a_section_gives_itself_no_other_name(tmp_path, step):
    for name in ("../../precious", "other"):
        with pytest.raises(RecipeError, match="a section's name is what it stands under"):
            resolve(recipe(tmp_path, {"mine": {"uses": step, "name": name}}))


@pytest.mark.parametrize("name", NAMES)
def test_no_source_benchmark_model_or_prompt_is_called_so(tmp_path, name):
    models, benchmarks = {"base": "base"}, {"mine": FILE}
    for wrong in (
        {"questions": {"sources": {name: FILE}}},
        {"evaluate": {"models": {name: "base"}, "benchmarks": benchmarks}},
        {"evaluate": {"models": models, "benchmarks": {name: FILE}}},
        {"evaluate": {"models": models, "benchmarks": {name: {"loader": "mathvista"}}}},
        {
            "evaluate": {
                "models": models,
                "benchmarks": benchmarks,
                "styles": [{"name": name, "template": "{question}"}],
            }
        },
    ):
        with pytest.raises(RecipeError, match="name (is made of|has) .*"):
            resolve(recipe(tmp_path, wrong))


def test_a_model_a_benchmark_and_a_prompt_make_one_name_that_a_folder_can_have(tmp_path):
    long = "x" * 100
    evaluate = {"models": {long: "base"}, "benchmarks": {long: FILE}}
    with pytest.raises(RecipeError, match="model-benchmark-style's name has 20"):
        resolve(recipe(tmp_path, {"evaluate": evaluate}))


def test_a_later_round_makes_no_name_that_is_too_long(tmp_path):
    long = "x" * 193
    steps = {"questions": {"sources": {"s": {"loader": "scenes"}}}, "sample": {}, "verify": {}, "pair": {}}
    loaded = recipe(tmp_path, {**steps, long: {"uses": "train"}}, rounds=2)
    with pytest.raises(RecipeError, match="a section's name has 201 bytes"):
        planned(loaded)


@pytest.mark.parametrize("name", NAMES)
def test_no_variant_or_data_of_a_study_is_called_so(tmp_path, name):
    path = tmp_path / "study.yaml"
    data = {"import": {"format": "trl", "path": "x"}}
    for wrong in ({"variants": {"mpo": {}, name: {}}}, {"data": {**data, name: {"uses": "verify"}}}):
        path.write_text(yaml.safe_dump({"run": str(tmp_path / "run"), "study": {**STUDY, "data": data, **wrong}}))
        with pytest.raises(RecipeError, match="a section's name"):
            load_study(path)


@pytest.mark.parametrize("name", ["../../x", "a/b", "/x", "..", ".", "a\\b", "a\0b", "x" * 201])
def test_the_name_of_a_run_is_no_path(tmp_path, name):
    path = tmp_path / "r.yaml"
    for content in (
        {"steps": {"report": {}}},
        {"study": STUDY},
    ):
        path.write_text(yaml.safe_dump({"name": name, **content}))
        with pytest.raises(RecipeError, match=r"r\.yaml(:1)?: name: a run's name"):
            load_recipe(path) if "steps" in content else load_study(path)
    path.write_text(yaml.safe_dump({"name": name, "run": "somewhere/else", "steps": {"report": {}}}))
    assert load_recipe(path).run == "somewhere/else"  # then it is a title


def test_a_run_folder_is_the_users_own_path(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("name: Qwen 2.5, lr 5e-6\nsteps: {report: {}}")
    assert load_recipe(path).run == "runs/Qwen 2.5, lr 5e-6"
    assert load_recipe(path, [f"run={tmp_path}/../x"]).run == f"{tmp_path}/../x"
    for wrong in ('"a\\0b"', "x" * 256):
        path.write_text(f"run: {wrong}\nsteps: {{report: {{}}}}")
        with pytest.raises(RecipeError, match="r.yaml:1: run: no folder can be called so"):
            load_recipe(path)


@pytest.mark.parametrize("name", NAMES)
def test_python_callers_name_no_folder_outside_the_run(tmp_path, name):
    files = RunFiles(tmp_path / "run")
    of_sections = [files.questions, files.pictures, files.image_roots_file, files.responses, files.continuations]
    of_sections += [files.verdicts, files.pass_rates, files.pairs, files.dropped, files.demonstrations]
    of_sections += [
        files.checkpoints,
        files.evaluation,
        files.fingerprint,
        partial(files.judge_replies, record_type=dict),
    ]
    of_sections += [
        lambda name: files.model(f"step:{name}"),
        lambda name: files.json(f"timings/{name}".rstrip("/") + "/" * (not name)),
    ]
    for of_section in of_sections:
        if name == "" and of_section in (files.verdicts, files.continuations):  # `continuations: ""`: there are none
            assert of_section("").paths() == []
            continue
        with pytest.raises(UserError, match="'s name"):
            of_section(name)


def test_the_cache_of_a_model_lies_in_the_run(tmp_path):
    files = RunFiles(tmp_path / "run")
    for model in ("..", ".", "step:..", "../..", "/", "base", "./model"):
        assert files.reference(model).resolve().parent == (tmp_path / "run" / "reference").resolve()


def test_an_import_under_a_path_leaves_the_folder_there_alone(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "part-00000.jsonl").write_text("mine\n")
    (tmp_path / "d.jsonl").write_text(json.dumps({"prompt": "?", "chosen": "a", "rejected": "b"}) + "\n")
    config = Importing(name="../../../precious", format="trl", path=str(tmp_path / "d.jsonl"))
    with pytest.raises(UserError, match="a section's name"):
        run_import(config, RunFiles(tmp_path / "run"))
    assert [path.name for path in precious.iterdir()] == ["part-00000.jsonl"]


def test_folders_that_are_no_sections_are_none(tmp_path):
    for name in ("pair", "*", "pair.staged", "a b", "[x]"):
        (tmp_path / "pairs" / name).mkdir(parents=True)
    assert RunFiles(tmp_path).sections("pairs") == ["pair"]


def test_a_recipe_of_the_users_own_is_not_written_over(tmp_path):
    """`run=.` beside it."""
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"# mine\nrun: {tmp_path}\nsteps: {{questions: {{sources: {{s: {{loader: scenes, count: 1}}}}}}}}\n"
    )
    before = path.read_text()
    with pytest.raises(UserError, match=r"recipe.yaml would be replaced.*`run=\.\.\.`"):
        run_recipe(load_recipe(path))
    assert path.read_text() == before


def test_a_report_of_the_users_own_is_not_written_over(tmp_path):
    (tmp_path / "run").mkdir()
    page = tmp_path / "run" / "report.html"
    page.write_text("mine")
    with pytest.raises(UserError, match="report.html would be replaced"):
        run_recipe(recipe(tmp_path, {"report": {}}))
    assert page.read_text() == "mine"


def test_models_and_benchmarks_of_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.jsonl").write_text('{"id": "1", "text": "?", "answer": "1"}\n')
    for models, benchmarks in ((["base"], ["../x=q.jsonl"]), ([f"{'x' * 300}=base"], ["mine=q.jsonl"])):
        with pytest.raises(UserError, match="name"):
            evaluate_models(models, benchmarks, "direct", tmp_path / "out")
    assert wrong_name("a-b_ç3", "x") == ""
    assert Collecting(sources={"mine": FILE}).sources


def test_what_is_set_aside_is_what_sections_wrote(tmp_path):
    """`run=.`: a folder of the user's may have a section's name."""
    for folder in ("figures/train", "earlier/train", "checkpoints/train", "reference/train"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings" / "train.json").touch()
    (tmp_path / "figures" / "train.json").touch()
    found = [str(path.relative_to(tmp_path)) for path in RunFiles(tmp_path).of_section("train")]
    assert found == ["checkpoints/train", "reference/train", "timings/train.json"]
