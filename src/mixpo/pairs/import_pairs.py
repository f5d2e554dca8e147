"""The step `import`: somebody else's preference file -> pairs, their questions and where their images lie.

import: {format: mmpr, path: MMPR/meta.json}
train: {pairs: import, questions: import}
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mixpo.errors import DataError, ImageError, UserError
from mixpo.files import RunFiles, divert
from mixpo.left_out import LeftOut, listed
from mixpo.names import at_home
from mixpo.pairs.formats import llama_factory, mmpr, ms_swift, trl, vlfeedback
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.formats.grounding import Ground, Grounding
from mixpo.pairs.formats.places import PairPlace
from mixpo.pairs.formats.row import Contents, Entry, Left, PairSource
from mixpo.pairs.formats.single_image import RLAIF_V, RLHF_V, SPA_VL, SingleImage
from mixpo.pairs.told_apart import Met
from mixpo.progress import say, track
from mixpo.records import Dropped, DropReason, PreferencePair, Question
from mixpo.references import Output
from mixpo.removing import remove
from mixpo.tables import rows
from mixpo.text_files import read_json, write_text

BATCH = 1000
BEGUN = ".importing"
"""A file beside the questions while pairs are imported: all that is there then, the next try makes anew."""


class Format(StrEnum):
    """The preference files that can be read; all but vlfeedback can be written."""

    TRL = "trl"
    MMPR = "mmpr"
    MS_SWIFT = "ms-swift"
    LLAMA_FACTORY = "llama-factory"
    RLAIF_V = "rlaif-v"
    RLHF_V = "rlhf-v"
    SPA_VL = "spa-vl"
    VLFEEDBACK = "vlfeedback"


class FormatWriter(Protocol):
    """How pairs are written in a format."""

    def row(self, pair: PreferencePair, answers: Sequence[str], pictures: ExportPictures, /) -> dict[str, Any]:
        """The pair, and its question's ground truths, in the format's columns. Raises Unsupported or ImageError."""

    def write(self, rows: Iterable[dict[str, Any]], out: Path, /) -> int:
        """Writes the format's files into a folder; returns how many rows."""


ONE_IMAGE = {
    Format.RLAIF_V: SingleImage(RLAIF_V), Format.RLHF_V: SingleImage(RLHF_V), Format.SPA_VL: SingleImage(SPA_VL),
}  # fmt: skip
READERS: dict[Format, Contents] = {
    Format.TRL: trl.contents,
    Format.MMPR: mmpr.contents,
    Format.MS_SWIFT: ms_swift.contents,
    Format.LLAMA_FACTORY: llama_factory.contents,
    Format.VLFEEDBACK: vlfeedback.contents,
    **{form: one.contents for form, one in ONE_IMAGE.items()},
}
WRITERS: dict[Format, FormatWriter] = {
    Format.TRL: trl,
    Format.MMPR: mmpr,
    Format.MS_SWIFT: ms_swift,
    Format.LLAMA_FACTORY: llama_factory,
    **ONE_IMAGE,
}


WRITES = (Output.QUESTIONS, Output.PAIRS)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One preference file, or one `meta.json` of several."""

    name: str = "import"
    """The section's name: questions and pairs are written under it."""
    seed: int = 0
    """Which rows a `repeat_time` below 1 takes."""
    format: Format
    """Whose format the file is in; `docs/formats.md` has their columns."""
    path: str
    """A file, a folder of Parquet files, or one that `save_to_disk` wrote; `~` is filled in. For mmpr meta.json, for
    llama-factory a file or dataset_info.json, or the folder of these."""
    image_root: str = ""
    """The folder that image paths start at; empty: the file's own (mmpr: what meta.json says, beside it)."""
    dataset: str = ""
    """llama-factory: the entry of dataset_info.json; empty: the only one of preferences."""
    grounding: Grounding = Grounding.DROP
    """ms-swift: how `<ref-object>` and `<bbox>` are filled in from `objects`, which is the model's family's own way."""
    fetch_images: bool = False
    """Whether images named by http(s) addresses are fetched into the run; without it their rows are dropped."""
    fetch_private: bool = False
    """With `fetch_images`: whether addresses on this machine and in private networks are fetched from, too."""


def entries(config: Config) -> Iterator[tuple[PairSource, Iterator[Entry | Dropped]]]:
    """Every source that the configuration names, with its rows. Raises DataError when it cannot be read."""
    path = at_home(config.path)
    if not path.exists():
        raise DataError(f"{config.name}: {path} is not there; check the path")
    root = at_home(config.image_root) if config.image_root else None
    fetch, private = config.fetch_images, config.fetch_private
    if config.format is Format.MMPR:
        for data in mmpr.data_sets(path / "meta.json" if path.is_dir() else path, root):
            place = PairPlace(data.name, data.root, exported="", fetch=fetch, private=private)
            source = PairSource(data.name, place)
            yield source, mmpr.read(data, source, config.seed)
        return
    file = _file(path, config.format)
    place = PairPlace(config.name, root or (file if file.is_dir() else file.parent), fetch=fetch, private=private)
    source = PairSource(config.name, place)
    if file.name == llama_factory.INFO:
        yield source, llama_factory.read(llama_factory.declared(file, config.dataset), source, config.seed)
        return
    contents = READERS[config.format]
    if config.format is Format.MS_SWIFT:
        contents = partial(ms_swift.contents, ground=Ground(config.grounding, place.size))
    yield source, source.read_all(rows(file), contents)


def _file(path: Path, form: Format) -> Path:
    """The file in a folder that a format names so; others take the folder."""
    names = {Format.MS_SWIFT: ms_swift.FILE, Format.LLAMA_FACTORY: llama_factory.INFO}
    if not path.is_dir() or form not in names:
        return path
    if (path / names[form]).is_file():
        return path / names[form]
    if any(path.glob("*.parquet")) or (path / "state.json").is_file():
        return path
    raise DataError(f"{path} has no {names[form]}; name the file itself")


def run(config: Config, files: RunFiles) -> None:
    """Imports once: a section whose pairs are there is left as it is. What was left out is said, with the reason."""
    pairs, begun = files.pairs(config.name), files.questions(config.name).folder / BEGUN
    pairs.settle()
    if pairs.paths():
        begun.unlink(missing_ok=True)
        old = _made_from(config.name, files)
        other = (
            f" from {old}; for {config.path} choose another name or run folder" if old not in ("", config.path) else ""
        )
        say(f"{config.name}: imported already{other}; delete {pairs.folder} to import anew")
        return
    _begin(config.name, files)
    tally = LeftOut(config.name, "row", place=files.dropped(config.name).folder)
    records = track(_records(config, files, tally), config.name)
    count = pairs.replace(divert(records, files.dropped(config.name)))
    if not count:
        remove(pairs.folder)  # else a rerun would take it for done
        raise tally.nothing_left(f"{config.name}: {config.path} gave no pair")
    begun.unlink()
    tally.tell()
    left_out = listed(tally.counts) or "nothing"
    say(f"{config.name}: {count:,} pairs from {config.path} in {pairs.folder}; left out: {left_out}")


def _made_from(name: str, files: RunFiles) -> str:
    """The path that the section's fingerprint says was imported; empty: it tells of no import."""
    made = read_json(files.fingerprint(name))
    values = made.get("values") if isinstance(made, dict) and made.get("step") == "import" else None
    return str(values.get("path", "")) if isinstance(values, dict) else ""


def _begin(name: str, files: RunFiles) -> None:
    """Removes what an import left that was cut short, or whose pairs are gone. Raises UserError for anything else's."""
    dropped, folder = files.dropped(name), files.questions(name).folder
    own = (files.pictures(name), files.image_roots_file(name))
    if not (folder / BEGUN).exists():
        there = next((path for path in (*files.questions(name).paths(), *own, *dropped.paths()) if path.exists()), None)
        if there is not None and not _made_from(name, files):
            raise UserError(
                f"{there.parent} is there, and nothing says that an import left it: import under another name or into "
                "another run folder; or delete it, if it may go"
            )
        write_text(folder / BEGUN, "")
    remove(dropped.folder)
    remove(folder, *(path.name for path in own), but=BEGUN)


def _records(config: Config, files: RunFiles, tally: LeftOut) -> Iterator[PreferencePair | Dropped]:
    """The pairs; on the way their questions, pictures and image roots are written."""
    met = Met(files.pictures(config.name))
    questions: list[Question] = []
    for source, found in entries(config):
        for entry in found:
            record, new = (entry, False) if isinstance(entry, Dropped) else _kept(entry, met)
            if isinstance(record, Dropped):
                tally.drop(record, source.name)
                source.place.check()
                yield record
                continue
            stored = {path.partition("/")[0] for path in record.pictures}
            met.add_roots(((name, Path("images") / name) for name in stored), source.name)
            if new:
                questions.append(_question(record))
            if len(questions) >= BATCH:
                files.questions(config.name).append(questions)
                questions.clear()
            yield record.pair
        met.add_roots(((name, folder.resolve()) for name, folder in source.place.roots.items()), source.name)
    files.questions(config.name).append(questions)
    names = {name: str(root) for name, root in sorted(met.roots.items())}
    write_text(files.image_roots_file(config.name), json.dumps(names, indent=1) + "\n")


def _kept(entry: Entry, met: Met) -> tuple[Entry | Dropped, bool]:
    """The entry, its pictures stored, and whether its question is new; or why it is left out."""
    try:
        return met.add(entry)
    except Left as error:
        reason, why = error.reason, str(error)
    except ImageError as error:  # an address from which nothing comes
        reason, why = DropReason.BAD_IMAGE, str(error)
    return Dropped(id=entry.pair.id, step="import", reason=reason, detail=why), False


def _question(entry: Entry) -> Question:
    pair, answers = entry.pair, entry.answers
    return Question(
        id=pair.question_id, text=pair.prompt, images=pair.images, system=pair.system, turns=pair.turns,
        answer=answers[0] if answers else None, accepted=answers[1:],
    )  # fmt: skip
