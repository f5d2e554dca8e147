"""`mixpo publish`: a run's model, or its pairs, with a card, in a folder for the Hugging Face hub; and the push."""

import importlib.util
import shutil
from pathlib import Path

from mixpo.errors import UserError, first_line
from mixpo.files import RunFiles
from mixpo.pairs.export import export
from mixpo.pairs.import_pairs import Format
from mixpo.progress import say
from mixpo.report.cards import data_card, model_card
from mixpo.report.collect import collect
from mixpo.text_files import write_text


def publish_model(files: RunFiles, section: str, out: Path) -> None:
    """Copies the complete checkpoint of a section into the new folder `out` and writes its model card and recipe.

    Raises UserError when the section has not finished, or `out` is not empty.
    """
    model = files.checkpoints(section) / "model"
    if not model.is_dir():
        raise UserError(f"{model} is not there: the section {section!r} has not finished; run it first")
    _refuse_full(out)
    card = model_card(collect(files, pairs_shown=0), section)
    shutil.copytree(model, out, dirs_exist_ok=True)
    write_text(out / "README.md", card)
    if files.recipe.exists():
        shutil.copyfile(files.recipe, out / "mixpo-recipe.yaml")
    say(f"publish: the model of {section} in {out}, with README.md; read the card before you publish")


def publish_data(files: RunFiles, section: str, out: Path) -> None:
    """Exports the pairs of a section for `load_dataset` and writes their card. Raises UserError as `export` does."""
    done = export(files, Format.TRL, out, section)
    data = collect(files, pairs_shown=0)
    write_text(out / "README.md", data_card(data, section, done.rows, len(done.left_out)))
    say(f"publish: the pairs of {section} in {out}, with README.md; read the card before you publish")


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
            f"{repository} could not be pushed ({first_line(error)}); log in with `hf auth login`, "
            f"then push {folder} again"
        ) from error
    say(f"publish: pushed to {repository}")


def _refuse_full(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty; name a new folder")
