"""The commands that run no step; `cli` puts them on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixpo.errors import UserError

if TYPE_CHECKING:
    from mixpo.files import RunFiles

RunFolder = Annotated[Path, typer.Argument(help="A run folder.")]


def files_of(run: Path) -> "RunFiles":
    """The files of a run. Raises UserError for a folder that is not there, or is none of a run."""
    from mixpo.files import RunFiles
    from mixpo.text_files import like
    from mixpo.yaml_file import OF_A_RUN

    if not run.is_dir():
        raise UserError(f"{run} is not there; {like(run) or 'name the folder that `mixpo run` wrote'}")
    if not any((run / name).is_dir() for name in OF_A_RUN):
        raise UserError(f"{run} is no run folder; name the one that `mixpo run` wrote")
    return RunFiles(run)


def export(
    run: RunFolder,
    format: Annotated[str, typer.Option(help="trl, mmpr, ms-swift, llama-factory, rlaif-v, rlhf-v or spa-vl.")],
    out: Annotated[Path, typer.Option(help="A new folder.")],
    pairs: Annotated[str, typer.Option(help="The section with the pairs.")] = "pair",
    questions: Annotated[str, typer.Option(help="The section with their images; else as in the recipe.")] = "",
) -> None:
    """Write a run's pairs and images in another trainer's format."""
    from mixpo.lock import held_beside
    from mixpo.pairs.export import export as run_export
    from mixpo.pairs.export import format_of

    files, form = files_of(run), format_of(format)
    with held_beside(out):
        run_export(files, form, out, pairs, questions)


def score(
    file: Annotated[Path, typer.Argument(help="Responses: JSON lines, or VLMEvalKit's or lmms-eval's output.")],
    benchmark: Annotated[str, typer.Option(help="The benchmark that was answered.")],
    data: Annotated[Path | None, typer.Option(help="Its local copy, where the file lacks the questions.")] = None,
    split: Annotated[str, typer.Option(help="Empty: the split that papers report.")] = "",
    model: Annotated[str, typer.Option(help="The model's name in the table.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where the verdicts go, JSON lines.")] = None,
) -> None:
    """Score anybody's responses to a benchmark."""
    from mixpo.evaluation.score_file import score_file

    score_file(file, benchmark, data=data, split=split, model=model, out=out)


def judge_check(file: Annotated[Path, typer.Argument(help="JSON lines of responses with trusted labels.")]) -> None:
    """Print how well the judge agrees with given labels. By kind and by rule, and where it does not."""
    from mixpo.output import show
    from mixpo.verdicts.agreement import judge_check as check

    numbers, text = check(file)
    show({"judge_check": numbers}, [text])


def convert(
    source: Annotated[Path, typer.Argument(help="Folder of an original InternVL checkpoint.")],
    target: Annotated[Path, typer.Argument(help="Where the transformers checkpoint goes.")],
    image_token_id: Annotated[int | None, typer.Option(help="Needed only when the source has no tokenizer.")] = None,
) -> None:
    """Turn an original InternVL checkpoint into transformers'. Its code is not run."""
    from mixpo.convert.internvl import convert as run_convert
    from mixpo.lock import held_beside

    with held_beside(target):
        run_convert(source, target, image_token_id)


def compose(
    language: Annotated[str, typer.Option(help="A chat model's folder or hub name, or a .gguf file.")],
    out: Annotated[Path, typer.Option(help="Where the new checkpoint goes.")],
    vision: Annotated[
        str, typer.Option(help="base (ships with mixpo), or a CLIP, SigLIP or InternVL tower, alone or in a model.")
    ] = "base",
    # The largest seed is `mixpo.config.SEEDS` - 1; to import that would read pydantic before any command runs.
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the projector's random weights.")] = 0,
) -> None:
    """Join a language model and a vision tower by a new projector. The result begins to see when it is trained."""
    from mixpo.lock import held_beside
    from mixpo.models.compose import compose as run_compose

    with held_beside(out):
        run_compose(language, vision, out, seed)


def pass_rates(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="JSON lines: id, question, images, answer, pass_rate …")],
    low: Annotated[float, typer.Option(help="Leave out questions answered right less often.")] = 0.0,
    high: Annotated[float, typer.Option(help="Leave out questions answered right more often.")] = 1.0,
    pairs: Annotated[str, typer.Option(help="The section that counted them.")] = "pair",
    questions: Annotated[str, typer.Option(help="The section with the questions.")] = "questions",
) -> None:
    """Write every question with its pass rate. That is the share of right responses, for reinforcement learning."""
    from mixpo.pairs.difficulty import Range, export

    try:
        wanted = Range(low, high)
    except ValueError as error:
        raise UserError(f"--low {low:g} --high {high:g}: {error}") from error
    export(files_of(run), out, wanted, pairs, questions)


def view(
    run: RunFolder,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 7860,
    images: Annotated[list[Path] | None, typer.Option(help="A folder outside the run that its images lie in.")] = None,
) -> None:
    """Look at a run in the browser, and review its pairs blind."""
    from mixpo.app.server import view as serve

    serve(files_of(run).root, port, tuple(images or ()))


def publish(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="A new folder for the model or the data, and its card.")],
    section: Annotated[str, typer.Option(help="The section that trained the model, or made the pairs.")] = "",
    data: Annotated[bool, typer.Option(help="The pairs instead of the model.")] = False,
    push: Annotated[str, typer.Option(help="owner/name on the Hugging Face hub; nothing: do not push.")] = "",
    public: Annotated[bool, typer.Option(help="A new repository is public; else private.")] = False,
) -> None:
    """Put a run's model or pairs into a folder with a card. The card is written from the run; --push uploads it."""
    from mixpo.lock import held_beside
    from mixpo.publish import publish_data, publish_model
    from mixpo.publish import push as push_folder

    files = files_of(run)
    with held_beside(out):
        if data:
            publish_data(files, section or "pair", out)
        else:
            publish_model(files, section or "train", out)
    if push:
        push_folder(out, push, "dataset" if data else "model", private=not public)


def doctor(
    folder: Annotated[Path, typer.Option(help="Where runs would be written.")] = Path("runs"),
) -> None:
    """Tell what this machine has, what fails, and what to do."""
    from mixpo.doctor import doctor as examine

    if not examine(folder):
        raise typer.Exit(1)


def fields(name: Annotated[str, typer.Argument(help="train, train.objective.beta, questions.jsonl …")] = "") -> None:
    """Print the fields of a step, loader or benchmark. Type, default, meaning; without a name, what there is."""
    from mixpo.fields import show

    show(name)


def quickstart(
    short: Annotated[bool, typer.Option(help="A few minutes less: fewer questions, a weaker result.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of questions, sampling and training.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder.")] = None,
) -> None:
    """Run the whole loop on drawn scenes, with a small model. The model ships with mixpo; the end is a report."""
    from mixpo.quickstart import quickstart as run_quickstart

    run_quickstart(short=short, seed=seed, out=out)


def init(
    folder: Annotated[Path, typer.Argument(help="Where to look for data and models; or the data itself.")] = Path(),
    data: Annotated[Path | None, typer.Option(help="A file or a data set's folder, if not found by itself.")] = None,
    model: Annotated[str, typer.Option(help="base (ships with mixpo), a folder, or a name on the hub.")] = "",
    out: Annotated[Path, typer.Option(help="The recipe; an existing file is never overwritten.")] = Path("recipe.yaml"),
    name: Annotated[str, typer.Option(help="Of the run; else as the data is called.")] = "",
    test: Annotated[Path | None, typer.Option(help="Questions to evaluate on; else some are held out.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the best guess, and say it.")] = False,
) -> None:
    """Look at your data and a model, and write a recipe."""
    from mixpo.init.start import Given
    from mixpo.init.start import init as start

    start(Given(folder=folder, data=data, model=model, out=out, name=name, test=test, yes=yes))


def plan(
    recipe: Annotated[Path | None, typer.Argument(help="A YAML recipe, or a run folder.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="section.field=value, as often as you like.")] = None,
    machine: Annotated[
        str, typer.Option(help="8xh100, rtx4090, cpu …, list: the known cards; without it this machine and its GPUs.")
    ] = "",
) -> None:
    """Print tokens, FLOPs, memory and hours of a training. From the lengths of the recipe's pairs."""
    if machine.strip().lower() in ("list", "help"):
        from mixpo.output import tell
        from mixpo.plan.machines import cards

        tell(cards())
        return
    if recipe is None:
        raise UserError("plan needs a recipe or a run folder (or --machine list)")
    from mixpo.output import show
    from mixpo.plan.plan import plan as run_plan

    show(*run_plan(recipe, overrides or (), machine))
