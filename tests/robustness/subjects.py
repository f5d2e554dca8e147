"""What is attacked: a folder of files, and the commands that read them, in the order in which they are run.

run        a finished run                      begun    one that was killed while it trained
questions  files of questions and pictures     pairs    preference files of others
model      a model's folder and an adapter's   judged   responses and labels of others
"""

import csv
import inspect
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml

from mixpo import cli_steps
from robustness.forked import mixpo
from robustness.pages import view

WORD = "xylophon-Kanarienvogel"
"""Stands in a file outside, which nothing may show."""
KEY = "sk-0815canary4711beneath"
"""Stands in the environment."""
FORMATS = ("trl", "mmpr", "ms-swift", "llama-factory", "rlaif-v", "rlhf-v", "spa-vl")
TABLES = ("jsonl", "json", "csv", "tsv", "parquet", "xlsx")
PICTURES = ("png", "jpg", "gif", "webp")


@dataclass(frozen=True)
class Command:
    """One command on the damaged files."""

    name: str
    work: Callable[[], int | None]
    writes: tuple[str, ...] = ()
    """Files and folders that it may change, from the case's folder."""
    reads: tuple[str, ...] = ("",)
    """How the files begin that it reads."""


@dataclass(frozen=True)
class Subject:
    """Files, and what reads them."""

    name: str
    commands: tuple[Command, ...]
    named: tuple[str, ...] = ()
    """Endings of files that the user names himself: where they lead he wants to go."""
    mine: tuple[str, ...] = field(default=())
    """Files in a run folder that the run did not write: they stay."""


def command(name: str, *arguments: str, writes: Iterable[str] = (), reads: Iterable[str] = ("",)) -> Command:
    return Command(name, mixpo(*arguments), tuple(writes), tuple(reads))


def subjects(case: Path) -> dict[str, Subject]:
    """All of them, in `case`, where each is copied to be damaged."""
    run = str(case / "run")
    check = "check" in inspect.signature(cli_steps.status).parameters
    look = (
        command("status", "status", run),
        *((command("status check", "status", run, "--check"),) if check else ()),
        command("dry-run", "run", run, "--dry-run"),
        command("plan", "plan", run),
        Command("view", lambda: view(case / "run"), ("run/reviews.sqlite",)),
    )
    report = command("report", "report", run, writes=("run/",))
    give = (
        *(
            command(f"export {name}", "export", run, "--format", name, "--out", f"out/{name}")
            for name in ("trl", "mmpr")
        ),
        command("publish", "publish", run, "--out", "out/model"),
        command("publish data", "publish", run, "--data", "--out", "out/data"),
        command("pass-rates", "pass-rates", run, "--out", "out/rates.jsonl"),
    )
    steps = (*(command(name, name, run, writes=("run/",)) for name in ("verify", "pair")),)
    again = command("run", "run", run, writes=("run/",))
    mine = ("run/notes.txt", "run/pairs/notes/mine.txt")
    return {
        "run": Subject("run", (*look, *give, report, *steps, again), mine=mine),
        "begun": Subject("begun", (*look, report, again), mine=mine),
        "questions": Subject("questions", _questions(), named=(*TABLES, "yaml")),
        "pairs": Subject("pairs", _pairs(case)),
        "model": Subject("model", _model(), named=("yaml", "questions.jsonl")),
        "judged": Subject("judged", _judged(), named=("jsonl",)),
    }


def _questions() -> tuple[Command, ...]:
    recipe = "inputs/recipe.yaml"
    return (
        command("dry-run", "run", recipe, "--dry-run"),
        command("init", "init", "inputs", "--yes", "--model", "base", "--out", "out/init.yaml"),
        *(command(f"init {name}", "init", "inputs", "--data", f"inputs/questions.{name}", "--yes", "--model", "base",
                  "--out", f"out/{name}.yaml", reads=(f"inputs/questions.{name}", "inputs/pictures"))
          for name in ("csv", "parquet")),
        command("run", "run", recipe, "run=out/run"),
        Command("view", lambda: view(Path("out/run"))),
        command("export", "export", "out/run", "--format", "mmpr", "--out", "out/mmpr"),
    )  # fmt: skip


def _pairs(case: Path) -> tuple[Command, ...]:
    found: list[Command] = []
    for name in FORMATS:
        place = case / "inputs" / name
        path = next(
            (place / each for each in ("train.jsonl", "train.parquet", "meta.json") if (place / each).exists()), place
        )
        own = (f"inputs/{name}/",)
        found += [
            command(f"import {name}", "import", "--format", name, "--path", str(path), "--out", f"out/{name}",
                    reads=own),
            command(f"relabel {name}", "relabel", f"out/{name}", reads=own),
            command(f"publish data {name}", "publish", f"out/{name}", "--data", "--section", "import",
                    "--out", f"out/{name}-data", reads=own),
            command(f"export {name}", "export", f"out/{name}", "--format", "mmpr", "--pairs", "import",
                    "--out", f"out/{name}-mmpr", reads=own),
            Command(f"view {name}", partial(view, Path("out") / name), reads=own),
        ]  # fmt: skip
    return tuple(found)


def _model() -> tuple[Command, ...]:
    answer = ("--benchmark", "mine=inputs/questions.jsonl", "--prompt", "direct", "--max-new-tokens", "4")
    model = ("inputs/model", "inputs/recipe", "inputs/questions", "inputs/pictures")
    return (
        command("plan", "plan", "inputs/recipe.yaml", "--machine", "cpu", reads=model),
        command("init", "init", "inputs", "--data", "inputs/questions.jsonl", "--yes", "--model", "inputs/model",
                "--out", "out/init.yaml", reads=model),
        command("evaluate", "evaluate", "--model", "inputs/model", *answer, "--out", "out/evaluate", reads=model),
        command("evaluate adapter", "evaluate", "--model", "inputs/adapter", *answer, "--out", "out/adapter",
                reads=("inputs/adapter",)),
        command("run", "run", "inputs/recipe.yaml", "run=out/run", reads=model),
        command("convert", "convert", "inputs/model", "out/converted", reads=("inputs/model",)),
    )  # fmt: skip


def _judged() -> tuple[Command, ...]:
    files = ("--questions", "inputs/questions.jsonl", "--responses", "inputs/responses.jsonl")
    score = ("--benchmark", "file", "--data", "inputs/questions.jsonl")
    return (
        command("verify", "verify", *files, "--out", "out/verdicts.jsonl",
                reads=("inputs/questions", "inputs/responses")),
        command("score", "score", "inputs/scores.jsonl", *score, "--out", "out/scored.jsonl",
                reads=("inputs/questions", "inputs/scores", "inputs/pictures")),
        command("judge-check", "judge-check", "inputs/labels.jsonl", reads=("inputs/labels",)),
        command("best-of", "best-of", "inputs/recipe.yaml", "run=out/best",
                reads=("inputs/recipe", "inputs/questions", "inputs/pictures")),
    )  # fmt: skip


def precious(folder: Path) -> None:
    """Files outside, with the names that a run's pictures have where a wrong root is believed: text, and pictures.

    Of the pictures only the text is a secret: a run may show pictures from outside, and the screen says so then.
    """
    from PIL import Image

    folder.mkdir()
    for name in ("secret.txt", "secret.png", *(f"{of}{number}.png" for of in ("", "scenes/") for number in (0, 2, 4))):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{WORD} is secret\n" * 3)
    for number in (1, 3, 5, 7):
        for place in (folder, folder / "scenes"):
            Image.new("RGB", (56, 56), "red").save(place / f"{number}.png")


def make(masters: Path) -> None:
    """In a process of its own: everything but `begun`, below `masters/<subject>`. `masters/run/run` is there."""
    from mixpo.files import RunFiles

    finished = masters / "run" / "run"
    for name in ("run/notes.txt", "run/pairs/notes/mine.txt"):
        (masters / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (masters / "run" / name).write_text("of the user\n")
    questions = list(RunFiles(finished).questions("questions"))[:5]
    rows = []
    for number, each in enumerate(questions):
        image = f"pictures/{number % 4}.{PICTURES[number % 4]}"
        rows.append({"id": each.id, "image": image, "text": each.text, "answer": each.answer or "3"})
    of = finished / "questions" / "questions" / "images"
    for name in ("questions", "model", "judged"):
        _tables(masters / name / "inputs", rows, TABLES if name == "questions" else ("jsonl",))
        _pictures(masters / name / "inputs" / "pictures", sorted(of.rglob("*.png")))
    _recipes(masters)
    _pairs_of(finished, masters / "pairs" / "inputs")
    model = masters / "model" / "inputs" / "model"
    shutil.copytree(finished / "checkpoints" / "train" / "model", model)
    _adapter(model, masters / "model" / "inputs" / "adapter")
    judged = masters / "judged" / "inputs"
    answers = [
        {"id": row["id"], "question_id": row["id"], "response": f"I see.\nFinal answer: {row['answer']}"}
        for row in rows
    ]
    _lines(judged / "scores.jsonl", answers)
    responses = [{"id": f"{each['id']}/0", "question_id": each["id"], "text": each["response"]} for each in answers]
    _lines(judged / "responses.jsonl", responses)
    _lines(judged / "labels.jsonl", [{**row, **each, "correct": True} for row, each in zip(rows, answers)])


def _recipes(masters: Path) -> None:
    files = {name: {"loader": "file", "path": f"inputs/questions.{name}"} for name in TABLES}
    judged = {"verify": {}, "pair": {}}
    sample = {"n": 2, "max_new_tokens": 8, "style": "direct"}
    train = {"batch": 2, "micro_batch": 2, "max_records": 2}
    own = {"loader": "file", "path": "inputs/questions.jsonl"}
    recipes = {
        "questions": {"questions": {"sources": files}, "sample": sample, **judged, "report": {}},
        "model": {"questions": {"sources": {"mine": own}}, "sample": sample, **judged, "train": train},
        "judged": {"best_of": {"model": "base", "benchmark": own, "n": 2, "max_new_tokens": 8}},
    }
    for name, steps in recipes.items():
        recipe = {"name": name, "model": "inputs/model" if name == "model" else "base", "steps": steps}
        (masters / name / "inputs" / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))


def _lines(path: Path, rows: Iterable[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _tables(folder: Path, rows: list[dict], kinds: Iterable[str]) -> None:
    import openpyxl
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True)
    for kind in kinds:
        path = folder / f"questions.{kind}"
        if kind == "jsonl":
            _lines(path, rows)
        elif kind == "json":
            path.write_text(json.dumps(rows))
        elif kind == "parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        elif kind == "xlsx":
            book = openpyxl.Workbook()
            for row in (list(rows[0]), *(list(row.values()) for row in rows)):
                book.active.append(row)
            book.save(path)
        else:
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0], delimiter="," if kind == "csv" else "\t")
                writer.writeheader()
                writer.writerows(rows)


def _pictures(folder: Path, drawn: list[Path]) -> None:
    from PIL import Image

    folder.mkdir()
    for number, (kind, path) in enumerate(zip(PICTURES, drawn)):
        with Image.open(path) as picture:
            picture.convert("RGB").save(folder / f"{number}.{kind}")


def _pairs_of(run: Path, folder: Path) -> None:
    from mixpo.files import RunFiles
    from mixpo.pairs.export import export, format_of

    for name in FORMATS:
        export(RunFiles(run), format_of(name), folder / name)


def _adapter(model: Path, folder: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    loaded = AutoModelForImageTextToText.from_pretrained(model)
    get_peft_model(loaded, LoraConfig(target_modules=["q_proj"])).save_pretrained(folder)
