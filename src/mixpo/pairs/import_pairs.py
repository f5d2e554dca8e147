"""The step `import`: somebody else's preference file -> pairs, their questions and where their images lie.

import: {format: mmpr, path: MMPR/meta.json}
train: {pairs: import, questions: import}
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from mixpo.errors import DataError
from mixpo.files import RunFiles, divert
from mixpo.ids import Ids
from mixpo.images import inside
from mixpo.pairs.formats import llama_factory, mmpr, ms_swift, rlaif_v, trl
from mixpo.pairs.formats.pictures import ExportPictures
from mixpo.pairs.formats.row import Content, Entry, PairSource
from mixpo.progress import say, track
from mixpo.records import Dropped, DropReason, PreferencePair, Question
from mixpo.references import Output
from mixpo.tables import rows
from mixpo.text_files import write_bytes, write_text

BATCH = 1000


class Format(StrEnum):
    """The preference files that can be read and written."""

    TRL = "trl"
    MMPR = "mmpr"
    MS_SWIFT = "ms-swift"
    LLAMA_FACTORY = "llama-factory"
    RLAIF_V = "rlaif-v"


class FormatModule(Protocol):
    """A module of `mixpo.pairs.formats`."""

    def content(self, row: Mapping[str, Any], /) -> Content:
        """What a row of the format says. Raises BadRow or Unsupported."""

    def row(self, pair: PreferencePair, answer: str | None, pictures: ExportPictures, /) -> dict[str, Any]:
        """The pair in the format's columns. Raises Unsupported or ImageError."""

    def write(self, rows: Iterable[dict[str, Any]], out: Path, /) -> int:
        """Writes the format's files into a folder; returns how many rows."""


FORMATS: dict[Format, FormatModule] = {
    Format.TRL: trl,
    Format.MMPR: mmpr,
    Format.MS_SWIFT: ms_swift,
    Format.LLAMA_FACTORY: llama_factory,
    Format.RLAIF_V: rlaif_v,
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
    """A file, or a folder of Parquet files; `~` is filled in. For mmpr: meta.json, or its folder."""
    image_root: str = ""
    """The folder that image paths start at; empty: the file's own (mmpr: what meta.json says)."""


def entries(config: Config) -> Iterator[tuple[PairSource, Iterator[Entry | Dropped]]]:
    """Every source that the configuration names, with its rows. Raises DataError when it cannot be read."""
    path = Path(config.path).expanduser()
    if not path.exists():
        raise DataError(f"{config.name}: {path} is not there; check the path")
    root = Path(config.image_root).expanduser() if config.image_root else None
    if config.format is Format.MMPR:
        for file, source, repeat in mmpr.sources(path / "meta.json" if path.is_dir() else path, root):
            yield source, mmpr.read(file, source, repeat, config.seed)
        return
    file = _file(path, config.format)
    source = PairSource(config.name, root or (file if file.is_dir() else file.parent))
    yield source, (source.read(row, FORMATS[config.format].content) for row in rows(file))


def _file(path: Path, form: Format) -> Path:
    """The file in an export's folder; Parquet formats take the folder."""
    names = {Format.MS_SWIFT: ms_swift.FILE, Format.LLAMA_FACTORY: llama_factory.FILE}
    if path.is_dir() and form in names:
        if not (path / names[form]).is_file():
            raise DataError(f"{path} has no {names[form]}; name the file itself")
        return path / names[form]
    return path


def run(config: Config, files: RunFiles) -> None:
    """Imports once: a section whose pairs are there is left as it is."""
    pairs = files.pairs(config.name)
    if pairs.paths():
        say(f"{config.name}: imported already; delete {pairs.folder} to import anew")
        return
    for folder in (files.questions(config.name).folder, files.dropped(config.name).folder):
        shutil.rmtree(folder, ignore_errors=True)
    counts: Counter[str] = Counter()
    records = track(_records(config, files), config.name)
    count = pairs.replace(divert(_counted(records, counts), files.dropped(config.name)))
    left_out = ", ".join(f"{number:,} {reason}" for reason, number in sorted(counts.items())) or "nothing"
    say(f"{config.name}: {count:,} pairs from {config.path}; left out: {left_out}")
    if not count:
        raise DataError(f"{config.name}: {config.path} gave no pair (left out: {left_out}); see dropped/{config.name}")


def _counted(records: Iterator[PreferencePair | Dropped], counts: Counter[str]) -> Iterator[PreferencePair | Dropped]:
    for record in records:
        if isinstance(record, Dropped):
            counts[record.reason] += record.count
        yield record


def _records(config: Config, files: RunFiles) -> Iterator[PreferencePair | Dropped]:
    """The pairs; on the way their questions, pictures and image roots are written."""
    asked, ids = Ids(), Ids()
    questions: list[Question] = []
    roots: dict[str, Path] = {}
    for source, found in entries(config):
        for record in found:
            if isinstance(record, Dropped):
                yield record
                continue
            pair = record.pair
            if not ids.add(pair.id):
                yield Dropped(id=pair.id, step="import", reason=DropReason.DUPLICATE_ID)
                continue
            _store(record.pictures, files.pictures(config.name), roots)
            if asked.add(pair.question_id):
                questions.append(
                    Question(
                        id=pair.question_id,
                        text=pair.prompt,
                        images=pair.images,
                        videos=pair.videos,
                        answer=record.answer,
                        system=pair.system,
                        turns=pair.turns,
                    )
                )
            if len(questions) >= BATCH:
                files.questions(config.name).append(questions)
                questions.clear()
            yield pair
        _add_roots(source, roots)
    files.questions(config.name).append(questions)
    names = {name: str(root) for name, root in sorted(roots.items())}
    write_text(files.image_roots_file(config.name), json.dumps(names, indent=1) + "\n")


def _add_roots(source: PairSource, roots: dict[str, Path]) -> None:
    for name, folder in source.roots.items():
        if roots.setdefault(name, folder.resolve()) != folder.resolve():
            raise DataError(
                f"{source.name}: two data sets have images under {name!r} in different folders; import each alone"
            )


def _store(pictures: dict[str, bytes], folder: Path, roots: dict[str, Path]) -> None:
    for path, content in pictures.items():
        name = path.partition("/")[0]
        roots[name] = Path("images") / name
        target = inside(folder, path)
        if not target.exists():
            write_bytes(target, content)
