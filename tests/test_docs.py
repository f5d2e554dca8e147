"""The user's pages: every command is run here, or parsed by the real command line where it needs a GPU or the hub.

A comment before a block says who runs it instead: `<!-- by: FILE -->`, or what it needs: `<!-- needs: gpu -->`.
"""

import ast
import importlib
import json
import re
import shlex
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
import typer
import yaml
from PIL import Image

from mixpo import doctor
from mixpo.cli import app
from mixpo.config import build
from mixpo.fields import topics
from mixpo.files import BASE_MODEL
from mixpo.pipeline import resolve
from mixpo.questions.collect import Config, collect
from mixpo.questions.source import Item
from mixpo.recipe import Section, load_recipe
from mixpo.text_files import write_text
from mixpo.training.config import MPOConfig
from mixpo.training.section import Config as TrainConfig
from mixpo.training.words import Precision

ROOT = Path(__file__).parent.parent
NAMES = (
    "index",
    "own-data",
    "training",
    "eight-gpus",
    "backends",
    "cluster",
    "formats",
    "migrating",
    "method",
    "judge",
    "report",
    "faq",
)
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in NAMES)]
BLOCK = re.compile(r"(?:<!-- (by|needs): ([^>]+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: str
    mark: str
    value: str
    language: str
    text: str


BLOCKS = [
    Block(page.name, mark, value.strip(), language, text)
    for page in PAGES
    for mark, value, language, text in BLOCK.findall(page.read_text(encoding="utf-8"))
]


def lines(block):
    """The commands of a block, split as a shell would."""
    found = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    return [words for words in found if words]


def of(language):
    return [pytest.param(block, id=f"{block.page}-{n}") for n, block in enumerate(BLOCKS) if block.language == language]


@pytest.mark.parametrize("block", of("bash"))
def test_commands_are_the_command_lines_own(block):
    commands = typer.main.get_command(app).commands
    for words in lines(block):
        if words[0] == "mixpo":
            commands[words[1]].make_context(words[1], list(words[2:]))  # raises for an option that is not there
        else:
            assert block.mark, f"{words[0]}: say who runs it"
    if block.mark == "by":
        runs = (ROOT / block.value).read_text(encoding="utf-8")
        missing = [words for words in lines(block) if words[0] == "mixpo" and words[1] not in runs]
        assert not missing, f"{block.value} runs another command"
    elif block.mark:
        assert block.value in ("gpu", "hub")


@pytest.fixture(scope="module")
def place(tmp_path_factory, scenes_run):
    """A folder with what the pages take for granted."""
    folder = tmp_path_factory.mktemp("docs")
    files = scenes_run(folder / "runs" / "quickstart")
    steps = {"train": {"uses": "train", "model": "base", "learning_rate": 1e-4, "batch": 64, "epochs": 1, "seed": 0,
                       "lora": None, "demonstrations": "", "objective": {
                           "preference": "dpo", "preference_weight": 0.8, "quality": "bco", "quality_weight": 0.2,
                           "generation": "sft", "generation_weight": 1.0, "beta": 0.1}}}  # fmt: skip
    write_text(files.recipe, yaml.safe_dump({"name": "quickstart", "steps": steps}))
    write_text(files.checkpoints("train") / "log.jsonl", '{"step": 1, "loss": 0.9}\n')
    shutil.copytree(BASE_MODEL, files.checkpoints("train") / "model")
    rows = [{"question": "How many?", "chosen": "Final answer: 3", "rejected": "Final answer: 4", "answer_gt": "3"}]
    write_text(folder / "MMPR" / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    meta = {"a": {"root": ".", "annotation": "a.jsonl", "repeat_time": 1, "length": 1}}
    write_text(folder / "MMPR" / "meta.json", json.dumps(meta))
    write_text(folder / "q.jsonl", '{"id": "q", "text": "How many?", "answer": "3"}\n')
    (folder / "OpenGVLab").mkdir()
    (folder / "OpenGVLab" / "InternVL3-1B-hf").symlink_to(BASE_MODEL)  # the small one, under the page's name
    write_text(folder / "recipe.yaml", yaml.safe_dump(RECIPE, sort_keys=False))
    write_text(folder / "Q.jsonl", '{"id": "q", "text": "How many?", "answer": "3"}\n')
    write_text(folder / "R.jsonl", '{"id": "q/0", "question_id": "q", "text": "Final answer: 3"}\n')
    write_text(folder / "labelled.jsonl", '{"response": "Final answer: 3", "answer": "3", "correct": true}\n')
    return folder


RECIPE = {
    "name": "mine",
    "model": "OpenGVLab/InternVL3-1B-hf",
    "steps": {
        "questions": {"sources": {"mine": {"loader": "scenes", "count": 6}}},
        "sample": {"n": 4, "style": "cot", "max_new_tokens": 80},
        "verify": {},
        "pair": {},
        "train": {"micro_batch": 1, "learning_rate": 1e-5},
        "evaluate": {
            "models": {"before": "base", "after": "step:train"},
            "benchmarks": {"test": {"loader": "scenes", "split": "test", "count": 2}},
            "styles": ["direct"],
            "max_new_tokens": 40,
        },
        "report": {},
    },
}


def test_unmarked_commands_run_in_the_order_of_the_pages(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(doctor, "extras", dict)  # imports of every library are tested in test_doctor.py
    done = []
    for block in BLOCKS:
        if block.language == "bash" and not block.mark:
            for words in lines(block):
                if words not in done:
                    app(words[1:], standalone_mode=False)
                    done.append(words)
    ran = {words[1] for words in done}
    assert ran >= {
        "doctor",
        "verify",
        "judge-check",
        "import",
        "relabel",
        "export",
        "publish",
        "run",
        "evaluate",
        "plan",
    }
    assert (place / "runs" / "mine" / "report.html").is_file()
    assert (place / "pairs" / "train.parquet").is_file()
    assert json.loads((place / "runs" / "mmpr" / "relabel" / "relabel.json").read_text())["kept"] == 1
    assert "quickstart" in (place / "published" / "README.md").read_text(encoding="utf-8")


def test_the_readmes_script_trains(place, monkeypatch):
    """On the pairs that `mixpo export` writes, under the names that the page has."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(place)
    (place / "your").mkdir()
    app(["export", "runs/quickstart", "--format", "trl", "--out", "your/preference-pairs"], standalone_mode=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", place / "cache")
    (block,) = [block for block in BLOCKS if block.page == "README.md" and block.language == "python"]
    code = block.text.replace('output_dir="out"', 'output_dir="out", report_to="none", use_cpu=True')
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["trainer"].state.global_step == 1


LOOP: dict[str, tuple[str, dict]] = {
    "questions": ("questions", {}),
    "demonstrations": ("demonstrations", {}),
    "sft": ("train", {"demonstrations": "demonstrations"}),
    **{name: (name, {}) for name in ("sample", "verify", "dropout", "pair", "train")},
}


@pytest.mark.parametrize("block", of("yaml"))
def test_recipes_are_whole(block, tmp_path):
    text = (
        block.text
        if yaml.safe_load(block.text).get("steps")
        else f"steps:\n{re.sub('^', '  ', block.text, flags=re.M)}"
    )
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert resolve(replace(recipe, sections=completed(recipe.sections)))


def completed(shown):
    """A page shows a part of a recipe: what it does not show is as in any loop, and stands where it does there."""
    sections = {}
    for name, section in shown.items():
        order = list(LOOP)
        before = order[: order.index(name)] if name in LOOP else order if not sections else []
        for other in before:
            if other not in shown and other not in sections:
                step, values = LOOP[other]
                sections[other] = Section(other, step, values)
        sections[name] = section
    return sections


@pytest.mark.parametrize("block", of("python"))
def test_names_that_python_imports_are_there(block):
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("mixpo", "transformers"):
            for alias in node.names:
                assert hasattr(importlib.import_module(node.module), alias.name)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MPOConfig":
            assert {word.arg for word in node.keywords} <= {field.name for field in fields(MPOConfig)}


@pytest.mark.parametrize("block", of("json"))
def test_questions_are_read(block, tmp_path):
    text = block.text.replace(".mp4", ".gif")  # PyAV need not be there
    write_text(tmp_path / "q.jsonl", text)
    for name in re.findall(r"[\w-]+\.gif", text):
        frames = [Image.new("RGB", (8, 8), (0, 0, 60 * number)) for number in range(4)]
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=500)
    for name in re.findall(r"[\w-]+\.(?:png|jpg)", block.text):
        (tmp_path / name).touch()
    config = Config(sources={"mine": {"loader": "jsonl", "path": str(tmp_path / "q.jsonl")}})
    found = list(collect(config))
    assert len(found) == len(block.text.splitlines())
    assert all(isinstance(entry, Item) for entry in found)


def test_the_methods_files_are_there():
    named = re.findall(r"`(src/mixpo/[\w/]+\.py)`", (ROOT / "docs" / "method.md").read_text(encoding="utf-8"))
    assert len(named) > 8
    assert all((ROOT / name).is_file() for name in named)


def test_every_page_stands_in_the_sites_contents():
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(page.name in contents for page in PAGES if page.name != "README.md")


def test_what_the_faq_says_of_a_recipe_is_understood():
    """Every `field: value` stands in a train section, every bare name in a recipe, or in the log and records."""
    said = re.findall(r"`([a-z_.]+)(?:: ([^`]+))?`", (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"))
    known = {field.name for topic in topics() for field in topic.fields}
    elsewhere = {"expected_first_loss", "max_length", "rejected_ended", "all_correct", "none_correct"}
    for name, value in said:
        if value:
            build(TrainConfig, {name: yaml.safe_load(value)})
        elif name not in (*Precision, *elsewhere):
            assert set(name.split(".")) <= known, name
    assert len(said) > 15
