"""`mixpo publish`: a run's model, or its pairs, with a card, in a folder for the Hugging Face hub; and the push."""

import filecmp
import importlib.util
import shutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from mixpo.errors import UserError, first_line
from mixpo.files import RunFiles
from mixpo.models.weight_files import INDEX, new_model, refuse_damaged
from mixpo.pairs.export import Exported, export
from mixpo.pairs.import_pairs import Format
from mixpo.progress import say
from mixpo.report.cards import data_card, model_card
from mixpo.report.collect import collect, whole
from mixpo.text_files import write_text

OF_A_MODEL = (
    "config.json", "generation_config.json", "*.safetensors", INDEX, "*processor_config.json", "tokenizer*",
    "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model", "*.tiktoken", "chat_template*",
    "additional_chat_templates/*.jinja", "*.py", "LICENSE*",
)  # fmt: skip
"""What transformers saves of a model and its processor; nothing else that lies there is published."""


def publish_model(files: RunFiles, section: str, out: Path) -> None:
    """Copies the complete checkpoint of a section into the new folder `out`, with its model card and recipe.

    Whole or not at all; what an earlier call wrote there stays, with its card as it has been edited. Raises UserError
    when the section has not finished, when its model is damaged, when `out` holds anything else, and when it cannot be
    written.
    """
    model = files.checkpoints(section) / "model"
    if not model.is_dir():
        trained = [path.parent.name for path in sorted(files.root.glob("checkpoints/*/model"))]
        hint = f"--section names one that has: {', '.join(trained)}" if trained else "run it first"
        raise UserError(f"{model} is not there: the section {section!r} has not finished; {hint}")
    refuse_damaged(model)
    names = [path.relative_to(model) for path in sorted(model.rglob("*")) if not path.is_dir() or path.is_symlink()]
    taken = [name for name in names if _is_of_the_model(model, name)]
    if left := [str(name) for name in names if name not in taken]:
        say(f"note: {', '.join(left)} in {model} is none of the model's files, and is not published")
    if _there(out, taken, model):
        return
    card = model_card(whole(collect(files, pairs_shown=0)), section)
    with new_model(out) as place:
        for name in taken:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(model / name, place / name)
        (place / "README.md").write_text(card, encoding="utf-8")
        if files.recipe.exists():
            shutil.copyfile(files.recipe, place / "mixpo-recipe.yaml")
    say(f"publish: the model of {section} in {out}, with README.md; read the card before you publish")


def _is_of_the_model(model: Path, name: Path) -> bool:
    """Whether a file below `model` is one of a model's: a link may lead to anything, and what it leads to is no part
    of what was trained."""
    named = any(fnmatchcase(name.as_posix(), form) for form in OF_A_MODEL if form.count("/") == len(name.parts) - 1)
    path = model / name
    return named and path.is_file() and path.resolve() == model.resolve() / name


def publish_data(files: RunFiles, section: str, out: Path) -> None:
    """Exports the pairs of a section for `load_dataset` with their card; what an earlier call wrote there stays.

    Whole or not at all. Raises UserError as `export` does.
    """
    written, made = (
        [path.stat().st_mtime for path in paths] for paths in (out.glob("train.parquet"), files.pairs(section).paths())
    )
    if written and made and written > [max(made)] and _there(out, [Path("train.parquet")], out):
        return
    data = whole(collect(files, pairs_shown=0))

    def card(done: Exported, place: Path) -> None:
        write_text(place / "README.md", data_card(data, section, done.rows, len(done.left_out)))

    export(files, Format.TRL, out, section, finish=card)
    say(f"publish: the pairs of {section} in {out}, with README.md; read the card before you publish")


def _there(out: Path, names: Iterable[Path], source: Path) -> bool:
    """Whether an earlier call has written `out`: its card, and files of these names that are as in `source` (by size
    and time, which a copy keeps). Raises UserError for a file, or for a folder that holds anything else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not out.is_dir():
        raise UserError(f"{out} is a file; name a new folder")
    if not (out / "README.md").is_file() or not all(_same(out / name, source / name) for name in names):
        raise UserError(f"{out} is not empty; name a new folder")
    say(f"publish: {out} is there already, as this run wrote it")
    return True


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and filecmp.cmp(one, other)


def push(folder: Path, repository: str, kind: str, private: bool) -> None:
    """Uploads a folder to the hub as `owner/name`, a new repository if there is none. Raises UserError when it fails.

    The token is huggingface_hub's own (`hf auth login`, or HF_TOKEN); it is never read here.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # What huggingface_hub speaks HTTP with: httpx2 since its version 2.
    http = importlib.import_module("httpx2" if importlib.util.find_spec("httpx2") else "httpx")
    api = HfApi()
    try:
        api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type=kind, folder_path=folder)
    except (HfHubHTTPError, HFValidationError, OSError, http.HTTPError) as error:
        raise UserError(
            f"{repository} could not be pushed ({first_line(error)}); {folder} is whole: log in with `hf auth login`, "
            "see that there is a network, and the same command pushes it"
        ) from error
    say(f"publish: pushed to {repository}")
