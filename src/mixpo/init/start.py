"""`mixpo init`: looks at data and a model, asks what is unclear, and writes a recipe that runs."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpo.dry_run.show import together
from mixpo.errors import DataError, UserError
from mixpo.files import BASE_MODEL, RunFiles
from mixpo.init import look
from mixpo.init.ask import Asker
from mixpo.init.guess import guess
from mixpo.init.look import Data
from mixpo.init.sizes import Sizes, Work, sizes
from mixpo.init.survey import PairSurvey, Survey, examples, pair_examples, survey, survey_pairs
from mixpo.init.write import Draft, recipe
from mixpo.lock import held_beside
from mixpo.names import at_home
from mixpo.pipeline import planned
from mixpo.questions.numbering import AnswerIndex
from mixpo.recipe import load_recipe
from mixpo.status import statuses
from mixpo.text_files import write_text

BASE = "base"
BASE_SAID = (
    "`base`, the small model that ships with mixpo, knows drawn scenes alone and gets little right in other pictures; "
    "take a real one for your own, for example --model OpenGVLab/InternVL3-1B-hf"
)
NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
FEW_PROMPTS = 20
"""Prompts of pairs below which none is held out."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """The command's options; empty: not given."""

    folder: Path = Path()
    data: Path | None = None
    model: str = ""
    out: Path = Path("recipe.yaml")
    name: str = ""
    test: Path | None = None
    yes: bool = False


def init(given: Given) -> Path:
    """Writes the recipe, and returns where. Raises UserError, and writes nothing, where no recipe can be made."""
    _refuse_existing(given.out)
    asker = Asker(given.yes)
    data_path, model = _chosen(given, asker)
    data = look.look(data_path)
    path = str(BASE_MODEL) if model == BASE else model
    name = _name(given.name or _stem(data.path))
    columns = ", ".join(_columns(data))
    asker.tell(f"{data.path}: {data.what}{columns and f'; columns: {columns}'}")
    draft = Draft(name=name, run=_run(name), model=model, command=_command(given), file=str(given.out), sizes=Sizes())
    work = (_of_pairs if data.pairs else _of_questions)(draft, data, given, asker)
    if model == BASE and not data.pairs:
        asker.tell(f"note: {BASE_SAID}")
    draft.sizes = sizes(model, path, work)
    for note in draft.sizes.notes:
        asker.tell(f"note: {note}")
    with held_beside(given.out):
        _refuse_existing(given.out)  # questions may have been asked for long
        write_text(given.out, recipe(draft))
    _say_next(given.out, asker)
    return given.out


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise UserError(f"{out} is there already, and is never overwritten; write another with --out other.yaml")


def _chosen(given: Given, asker: Asker) -> tuple[Path, str]:
    """The data and the model: as given, or of those in the folder."""
    folder = given.folder
    if not folder.exists():
        raise DataError(f"{folder}: nothing lies there ({folder.absolute()}); check the path")
    own = folder.is_file() or look.is_data_set(folder)
    found, models = look.candidates(folder) if folder.is_dir() and not own else ([folder], [])
    data = given.data or (_one_of(found, folder, asker) if found else None)
    if data is None:
        raise DataError(
            f"{folder}: no data is in it: give --data, a table (CSV, Excel), JSON, Parquet or a data set's folder; a "
            "table of one's own has the columns image, question, answer"
        )
    names = [str(path) for path in models]
    names.append(BASE)
    question, other = "Which model is to be trained?", "a folder or a name on the hub"
    model = given.model or asker.choose(question, names, names[0], other)
    if (place := at_home(model)).is_dir() and not look.is_model(place):
        raise UserError(f"{model}: the folder holds no model (config.json and weights); check the path")
    return data, model


def _one_of(found: list[Path], folder: Path, asker: Asker) -> Path:
    """The data file of a folder; those that are to test on come last."""
    found = sorted(found, key=lambda path: (bool(look.TEST.search(path.stem.lower())), -_size(path)))
    if len(found) == 1 or look.TEST.search(found[1].stem.lower()):
        return found[0]
    names = [str(path) for path in found]
    return Path(asker.choose(f"Which of the data in {folder} is to be trained on?", names, names[0]))


def _size(path: Path) -> int:
    inside = [path] if path.is_file() else path.rglob("*.*")
    return sum(file.stat().st_size for file in inside if file.is_file())


def _columns(data: Data) -> list[str]:
    return list(dict.fromkeys(str(name) for row in data.first for name in row))


def _of_questions(draft: Draft, data: Data, given: Given, asker: Asker) -> Work:
    """Fills the draft with questions, and what of them is held out."""
    values = data.values | guess(data, asker)
    for field, column in values.get("fields", {}).items():
        asker.tell(f"  {field} <- {column}")
    if values.get("answer_in"):
        asker.tell("  answers are what is marked in their column (<answer>, \\boxed or ####)")
    if values.get("image_root"):
        asker.tell(f"  pictures' paths start at {values['image_root']}")
    values, found = _surveyed(draft.name, values, asker)
    for line in (*found.lines(), *examples(found)):
        asker.tell(line)
    if not found.asked:
        why = f"the first because {found.left_out[0].detail}" if found.left_out else "it is empty"
        raise DataError(f"{data.path}: no row makes a question: {why}")
    draft.said += found.lines()
    draft.source, held_out = values, 0
    draft.judged, draft.open_ended = found.answered > 0, found.answered < found.asked
    test = _test(data, given, values, asker)
    if test is not None:
        draft.test, draft.test_said = test
        held_out = survey(draft.name, draft.test).asked
        asker.tell(f"evaluated on {draft.test_said}: {held_out:,} questions")
    elif found.answered:
        held_out = _hold_out(draft, found, asker)
    return Work(shown=found.shown, questions=found.asked - (held_out if test is None else 0), held_out=held_out)


def _surveyed(name: str, values: dict[str, Any], asker: Asker) -> tuple[dict[str, Any], Survey]:
    """What the rows are; numbers as answers among options, of which they do not tell what they mean, are asked for."""
    try:
        return values, survey(name, values)
    except DataError as error:
        if "answer_index" not in str(error):
            raise
        asker.tell(str(error))
    meanings = [str(AnswerIndex.FROM_0), str(AnswerIndex.FROM_1), str(AnswerIndex.TEXT)]
    values = values | {"answer_index": asker.choose("What is a number in `answer`?", meanings, meanings[0])}
    return values, survey(name, values)


def _test(data: Data, given: Given, values: dict[str, Any], asker: Asker) -> tuple[dict[str, Any], str] | None:
    """What is evaluated on, where it is there already: a file given, a split, or a file beside that says so."""
    if given.test is not None:
        other = look.look(given.test)
        if other.pairs:
            raise UserError(f"--test {given.test}: holds preference pairs; an evaluation needs questions with answers")
        return other.values | guess(other, asker), str(given.test)
    kept = {key: value for key, value in values.items() if key not in data.values}
    if data.test is not None:
        return data.test | kept, f"the split {data.test['split']}"
    beside = data.path.parent if data.path.is_file() else None
    files = [path for path in look.candidates(beside)[0] if look.TEST.search(path.stem.lower()) and path != data.path
             and path.suffix == data.path.suffix] if beside else []  # fmt: skip
    if len(files) == 1:
        return {**data.values, **kept, "path": str(files[0])}, str(files[0])
    return None


def _hold_out(draft: Draft, found: Survey, asker: Asker) -> int:
    """Parts the one source in two; returns how many questions are held out."""
    assert draft.source is not None
    try:
        share, count = found.share(draft.name)
    except DataError as error:
        asker.tell(f"note: nothing is held out to evaluate on: {error}")
        return 0
    draft.test = {**draft.source, "held_out": share, "part": "held_out"}
    draft.source = {**draft.source, "held_out": share, "part": "train"}
    draft.test_said = "the questions that are held out; no picture is in both parts"
    said = f"{found.asked - count:,} questions are trained on, {count:,} are held out (no picture is in both)"
    asker.tell(said)
    draft.said.append(said)
    return count


def _of_pairs(draft: Draft, data: Data, given: Given, asker: Asker) -> Work:
    """Fills the draft with an import."""
    found: PairSurvey = survey_pairs(data.values)
    for line in (*found.lines(), *pair_examples(found)):
        asker.tell(line)
    if not found.pairs:
        raise DataError(f"{data.path}: gives no pair, the first because {found.left_out[0].detail}")
    draft.said += found.lines()
    draft.pairs = data.values
    draft.held_out_pairs = len(found.questions) >= FEW_PROMPTS
    if given.test is not None and (test := _test(data, given, {}, asker)):
        draft.test, draft.test_said = test
    return Work(shown=[], pairs=found.pairs)


def _stem(path: Path) -> str:
    path = path.absolute()
    return path.parent.name if path.name in (look.META, look.INFO) else path.name.partition(".")[0]


def _name(text: str) -> str:
    return NO_NAME.sub("-", text).strip("-") or "mine"


def _run(name: str) -> str:
    """A run folder that holds no other run."""
    number, run = 1, f"runs/{name}"
    while RunFiles(run).root.exists():
        number, run = number + 1, f"runs/{name}-{number + 1}"
    return run


def _command(given: Given) -> str:
    options = {"--data": given.data, "--model": given.model, "--test": given.test, "--name": given.name}
    words = ["mixpo", "init", *([str(given.folder)] if given.folder != Path() else [])]
    words += [word for option, value in options.items() if value for word in (option, str(value))]
    return shlex.join([*words, *(["--yes"] if given.yes else [])])


def _say_next(out: Path, asker: Asker) -> None:
    """That the recipe resolves, what it takes, and what to type."""
    loaded, configs = planned(load_recipe(out))
    files = RunFiles(loaded.run)
    asker.tell(f"{out} is written; {together(configs, statuses(loaded, configs, files), files)}. Next:")
    asker.tell(f"  mixpo run {shlex.quote(str(out))} --dry-run")
    asker.tell(f"  mixpo run {shlex.quote(str(out))}")
