"""Where a model is that somebody named: a folder here, or the Hugging Face hub and its cache; said at once if nowhere.

Nothing heavy is imported, so that it is asked before any step begins. Of the hub it asks one question, and once:
transformers asks for every file, five times over, and waits in between.
"""

import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mixpo.errors import MissingExtra, UserError, first_line
from mixpo.names import at_home
from mixpo.progress import say
from mixpo.text_files import like

SECONDS = 10
"""How long the hub may take to answer."""
WITHOUT = (
    "copy its folder here and give the path, or fetch it where there is a network (`hf download {name}`) and copy "
)
WITHOUT += "the cache (HF_HOME)"


HUB = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
"""A name on the hub: `owner/name`, or an old one without an owner."""
OF_A_MODEL = (
    "config.json",
    "adapter_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
)


def found(name: str) -> str:
    """The folder of a model, `~` filled in, or its hub name, which can be loaded then.

    Raises UserError for a path where nothing lies, a folder without a checkpoint, a name that the hub does not have or
    does not show, and for one that is not in the cache while the hub cannot be reached. Where the cache has it then,
    this process and those that it starts go on offline.
    """
    folder = at_home(name)
    if folder.is_dir():
        if not any((folder / file).is_file() for file in OF_A_MODEL):
            raise UserError(f"model {name!r} cannot be loaded: the folder has no config.json; {_inside(folder)}")
        return str(folder) if name.startswith("~") else name
    if folder.is_file():
        raise UserError(f"model {name!r} is a file; give the folder that it lies in, with its config.json beside it")
    # No owner on the hub has a folder here.
    if not HUB.fullmatch(name) or ("/" in name and Path(name).parent.is_dir()):
        hint = like(folder) or "check the path"
        raise UserError(f"model {name!r} cannot be loaded: nothing lies there ({folder.absolute()}); {hint}")
    _ask(name)
    return name


GGUF = ".gguf"


def found_language(name: str) -> str:
    """The folder, hub name or `.gguf` file of a language model, `~` and `$NAME` filled in, which can be loaded then.

    Raises UserError for a variable that is not set, MissingExtra without gguf, and as `found`.
    """
    path = name if Path(name).exists() else os.path.expanduser(os.path.expandvars(name))
    if "$" in path and not Path(path).exists():
        raise UserError(f"{name}: the environment variable is not set; set it, or write the path")
    if not path.endswith(GGUF):
        return found(path)
    if not Path(path).is_file():
        raise UserError(f"language {path!r}: there is no file of this name; {like(Path(path)) or 'check the path'}")
    if find_spec("gguf") is None:
        raise MissingExtra("gguf", "gguf")
    return path


def _inside(folder: Path) -> str:
    """What to do about a folder that has no checkpoint: perhaps it is a run's, or one further up."""
    places = ("checkpoints/*/model/config.json", "*/config.json")
    inside = next((path.parent for place in places for path in folder.glob(place)), "")
    return f"did you mean {str(inside)!r}?" if inside else "give the folder with the checkpoint's files"


@cache
def _ask(name: str) -> None:
    """Asks the hub for a model. Raises UserError for one that cannot be loaded."""
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    nowhere = f"model {name!r} is no folder here and not in the cache"
    if constants.HF_HUB_OFFLINE:
        if not cached:
            raise UserError(f"{nowhere}, and HF_HUB_OFFLINE forbids to ask the hub; {WITHOUT.format(name=name)}")
        return
    try:
        HfApi().model_info(name, timeout=SECONDS)
    except GatedRepoError as error:
        if not cached:
            page = f"{constants.ENDPOINT}/{name}"
            raise UserError(f"model {name!r} is gated; accept its terms on {page}, then `hf auth login`") from error
    except RepositoryNotFoundError as error:
        if not cached:
            hint = like(Path(name)) or "check the name, or log in with `hf auth login` if it is private"
            raise UserError(f"model {name!r} is no folder here, and the hub shows no such model; {hint}") from error
    except Exception as error:  # whatever the network's library raises
        if isinstance(error, HfHubHTTPError) and error.response is not None and error.response.status_code < 500:
            return  # the hub is there; loading says what it wants
        if not cached:
            hint = like(Path(name))
            why = f"the hub cannot be reached ({first_line(error)})"
            raise UserError(f"{nowhere}, and {why}; {hint or WITHOUT.format(name=name)}") from error
        say(f"note: the hub cannot be reached; {name} is taken from the cache")
        _go_offline(constants)


def _go_offline(constants: Any) -> None:
    """As HF_HUB_OFFLINE=1 would have it from the start: else every file is asked for again, with long waits."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True
