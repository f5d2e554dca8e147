"""The commands that work on a recipe: all its steps, or one; `cli` puts them on the command line."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mixpo.devices import in_processes, limited
from mixpo.errors import UserError

RecipePath = Annotated[Path, typer.Argument(help="A YAML recipe, or a run folder.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="section.field=value, as often as you like.")]
Redo = Annotated[
    bool, typer.Option("--redo", help="Make anew what has changed, or the sections named, and all that read them.")
]
Force = Annotated[bool, typer.Option("--force", help="Train even where `mixpo plan` says that it does not fit.")]

Gpus = Annotated[
    int | None, typer.Option("--gpus", min=1, help="GPUs of this machine to use: a process on each; default: all.")
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, help="Without a GPU: processes that train and let models answer; they share the cores."
    ),
]


def run(
    recipe: RecipePath,
    overrides: Overrides = None,
    redo: Redo = False,
    gpus: Gpus = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and what it costs.")] = False,
    processes: Processes = None,
    force: Force = False,
) -> None:
    """Do all steps of a recipe; what is done is not done again."""
    from mixpo.redo import parted

    values, sections = parted(overrides, redo)
    _force(force)
    with in_processes(processes):
        if dry_run:
            with limited(gpus):
                _status(recipe, values, sections, costs=True)
        else:
            _run(recipe, values, None, redo=sections, gpus=gpus)


def status(
    recipe: RecipePath,
    overrides: Overrides = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read all records, and say whether they are still what was written.")
    ] = False,
) -> None:
    """Say of every section: done, begun, missing, or stale."""
    if not check:
        _status(recipe, overrides or [])
        return
    from mixpo.files import RunFiles
    from mixpo.recipe import load_recipe
    from mixpo.status_check import check_run

    if not check_run(RunFiles(load_recipe(recipe, overrides or []).run)):
        raise typer.Exit(2)


def _status(recipe: Path, overrides: list[str], redo: list[str] | None = None, costs: bool = False) -> None:
    from mixpo.files import RunFiles
    from mixpo.pipeline import planned
    from mixpo.recipe import load_recipe
    from mixpo.redo import redone
    from mixpo.status import State, show, statuses

    loaded, configs = planned(load_recipe(recipe, overrides))
    files = RunFiles(loaded.run)
    found = statuses(loaded, configs, files)
    for name in redone(redo, found, configs) if redo is not None else ():
        if found[name].state in (State.DONE, State.PARTLY):
            found[name] = replace(found[name], state=State.STALE, reasons=["--redo makes it anew"])
    show(found, files)
    if costs:
        from mixpo.dry_run.show import show_costs

        show_costs(configs, found, files)


def _run(
    recipe: Path,
    overrides: list[str] | None,
    only: str | None,
    cluster: object = None,
    redo: list[str] | None = None,
    gpus: int | None = None,
) -> None:
    from mixpo.output import tell
    from mixpo.pipeline import run_recipe
    from mixpo.recipe import load_recipe

    files = run_recipe(load_recipe(recipe, overrides or ()), only, cluster, redo=redo, gpus=gpus)
    if only in (None, "report") and files.report.exists():
        tell(f"report: {files.report}")


def train(
    recipe: RecipePath,
    overrides: Overrides = None,
    gpus: Gpus = None,
    processes: Processes = None,
    force: Force = False,
) -> None:
    """Train on the pairs (MPO), or on demonstrations (SFT)."""
    _force(force)
    with in_processes(processes):
        _run(recipe, overrides, "train", gpus=gpus)


def _force(force: bool) -> None:
    """The processes that are started for a training are to see it, too."""
    if force:
        from mixpo.pipeline import FORCE

        os.environ[FORCE] = "1"


def sample(
    recipe: RecipePath,
    overrides: Overrides = None,
    gpus: Gpus = None,
    processes: Processes = None,
    ray: Annotated[
        str, typer.Option(help="Sample on a Ray cluster: auto (the running one, or this machine), or its address.")
    ] = "",
    workers: Annotated[int, typer.Option(help="With --ray: actors; 0: one per GPU, or per core without.")] = 0,
    questions: Annotated[str, typer.Option(help="With --ray: JSON lines or Parquet, a path or s3://… address.")] = "",
    out: Annotated[str, typer.Option(help="With --ray: where responses go, if not to the run folder.")] = "",
) -> None:
    """Let the model write n responses to every question. Here, or on a Ray cluster."""
    if not ray:
        if workers or questions or out:
            raise UserError("--workers, --questions and --out need --ray, for example --ray auto")
        with in_processes(processes):
            _run(recipe, overrides, "sample", gpus=gpus)
        return
    for option, count in (("--gpus", gpus), ("--processes", processes)):
        if count is not None:
            raise UserError(f"{option} is of this machine; with --ray, --workers says how many there are")
    from mixpo.responses.cluster.driver import Cluster

    _run(recipe, overrides, "sample", Cluster(address=ray, workers=workers, questions=questions, out=out))


def verify(
    recipe: Annotated[Path | None, typer.Argument(help="A YAML recipe; or give the three files below.")] = None,
    overrides: Overrides = None,
    questions: Annotated[Path | None, typer.Option(help="JSON lines: id, text, answer, kind, choices …")] = None,
    responses: Annotated[Path | None, typer.Option(help="JSON lines: id, question_id, text, finish_reason.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the verdicts go, JSON lines.")] = None,
) -> None:
    """Judge every response of a run, or of two files."""
    if recipe is not None:
        _run(recipe, overrides, "verify")
    elif questions and responses and out:
        from mixpo.verdicts.verify_files import verify_files

        verify_files(questions, responses, out)
    else:
        raise UserError("verify needs a recipe, or all of --questions, --responses and --out")


def import_(
    recipe: Annotated[Path | None, typer.Argument(help="A YAML recipe; or give the three options below.")] = None,
    overrides: Overrides = None,
    format: Annotated[str, typer.Option(help="trl, mmpr, ms-swift … (docs/formats.md).")] = "",
    path: Annotated[Path | None, typer.Option(help="The file; for mmpr and llama-factory its folder.")] = None,
    image_root: Annotated[str, typer.Option(help="Where image paths start; else the file's folder.")] = "",
    option: Annotated[list[str] | None, typer.Option(help="FIELD=VALUE: dataset, grounding, fetch_images.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder that the pairs go to.")] = None,
) -> None:
    """Read preference pairs from somebody else's file. They go into a run folder."""
    if recipe is not None:
        _run(recipe, overrides, "import")
    elif format and path and out:
        from mixpo.config import build
        from mixpo.files import RunFiles
        from mixpo.fingerprints import fingerprint, save
        from mixpo.lock import held
        from mixpo.pairs.import_pairs import Config
        from mixpo.pairs.import_pairs import run as run_import
        from mixpo.yaml_file import parse_value

        more = {
            key: parse_value(value, f"option {key!r}")
            for key, _, value in (each.partition("=") for each in option or ())
        }
        given = {"format": format, "path": str(path), **({"image_root": image_root} if image_root else {})}
        config = build(Config, {**more, **given}, "")
        files = RunFiles(out)
        with held(files.lock):
            new = not files.pairs(config.name).paths()
            run_import(config, files)
            if new:  # a recipe that imports the same takes it; another is told
                save(config.name, replace(fingerprint("import", config, {}, None), finished=True), files)
    else:
        raise UserError("import needs a recipe, or all of --format, --path and --out")


def relabel(
    source: Annotated[Path, typer.Argument(help="A YAML recipe, or a run folder with imported pairs.")],
    overrides: Overrides = None,
    pairs: Annotated[str, typer.Option(help="In a run folder: the section with the pairs.")] = "import",
    questions: Annotated[str, typer.Option(help="In a run folder: the section with the ground truths.")] = "import",
) -> None:
    """Judge a preference set again, and say what is doubted."""
    if not source.is_dir():
        _run(source, overrides, "relabel")
        return
    from mixpo.cli_tools import files_of
    from mixpo.lock import held
    from mixpo.verdicts.relabel import Config
    from mixpo.verdicts.relabel import run as run_relabel

    config, files = Config(pairs=pairs, questions=questions), files_of(source)
    with held(files.lock):
        run_relabel(config, files)


def evaluate(
    recipe: Annotated[Path | None, typer.Argument(help="A YAML recipe; or give --model and --benchmark.")] = None,
    overrides: Overrides = None,
    model: Annotated[list[str] | None, typer.Option(help="A folder or hub name, or NAME=it; several times.")] = None,
    benchmark: Annotated[list[str] | None, typer.Option(help="NAME, or NAME=a copy or own questions; several.")] = None,
    prompt: Annotated[str, typer.Option(help="Prompt styles: direct, cot, boxed …")] = "direct,cot",
    option: Annotated[list[str] | None, typer.Option(help="FIELD=VALUE of the benchmarks: limit, samples …")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest answer.")] = None,
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/evaluate"),
    gpus: Gpus = None,
    processes: Processes = None,
) -> None:
    """Answer benchmarks; print scores with intervals. Those of a recipe, or of models given here."""
    if recipe is not None:
        with in_processes(processes):
            _run(recipe, overrides, "evaluate", gpus=gpus)
    elif model and benchmark:
        from mixpo.evaluation.evaluate_models import evaluate_models
        from mixpo.files import RunFiles
        from mixpo.lock import held
        from mixpo.models.found import found

        for one in model:  # said before the benchmarks are read
            if (name := one.partition("=")[2] or one) != "base":
                found(name)
        with limited(gpus), in_processes(processes), held(RunFiles(out).lock):
            evaluate_models(model, benchmark, prompt, out, option or (), max_new_tokens)
    else:
        raise UserError("evaluate needs a recipe, or --model and --benchmark")


def ablate(
    study: Annotated[Path, typer.Argument(help="A YAML study.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="study.field=value, as often as you like.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Models at work at a time; they share the cores.")] = 1,
    redo: Redo = False,
) -> None:
    """Train variants on the same data, and compare them. A table, a figure, the cost; the budget is the same."""
    from mixpo.ablate import ablate as run_ablate
    from mixpo.redo import parted

    values, sections = parted(overrides, redo)
    run_ablate(study, values, jobs, sections)


def _step(name: str, does: str) -> Callable[..., None]:
    """The command of a step that has no options of its own."""

    def command(recipe: RecipePath, overrides: Overrides = None) -> None:
        _run(recipe, overrides, name)

    def spread(recipe: RecipePath, overrides: Overrides = None, gpus: Gpus = None, processes: Processes = None) -> None:
        with in_processes(processes):
            _run(recipe, overrides, name, gpus=gpus)

    made = spread if name in ("dropout", "best_of") else command
    made.__name__, made.__doc__ = name, does
    return made


questions = _step("questions", "Collect the questions and store their images.")
demonstrations = _step("demonstrations", "Write supervised answers to questions of known truth.")
base_model = _step("base_model", "Create an untrained small model, tokenizer and processor.")
dropout = _step("dropout", "Continue halves of responses without image (DropoutNTP).")
pair = _step("pair", "Build preference pairs from verdicts and continuations.")
best_of = _step("best_of", "Answer many times, choose by vote or by score. Accuracy for every number of responses.")
report = _step("report", "Write report.html: what the run did and found.")
