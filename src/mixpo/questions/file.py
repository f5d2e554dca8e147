"""Questions from a file of any common kind: JSON lines, JSON, CSV, TSV, xlsx, Parquet, Arrow, a `save_to_disk` folder.

Columns as in `mixpo.questions.rows`, kinds of files as in `mixpo.tables`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from mixpo.errors import DataError
from mixpo.pictures import with_pictures
from mixpo.progress import say
from mixpo.questions.columns import NAMES
from mixpo.questions.numbering import Numbered, Numbering, numbered
from mixpo.questions.parts import parted
from mixpo.questions.rows import ReadOptions, RowsConfig, item, numbered_answer
from mixpo.questions.source import Item, data_path, first
from mixpo.questions.suggestions import hints
from mixpo.records import Dropped
from mixpo.tables import ENDINGS, Row, ending, rows

IDS = ("id", "question_id", "qid", "index", "pid")


@dataclass(frozen=True, kw_only=True)
class Config(RowsConfig):
    """A file of any common kind, or a folder that `save_to_disk` wrote, or that holds Parquet files or a single file.
    Images by path stay where they are, unless `fetch_images` copies all into the run."""


def image_root(config: RowsConfig) -> Path | None:
    """Where the images stay; None when they are copied into the run."""
    return None if config.fetch_images else folder(config).resolve()


def load(config: Config, name: str, seed: int, pictures: bool = True) -> Iterator[Item | Dropped]:
    """Every row's question, in the order of the file; without `pictures` none is looked for.

    Raises DataError when the file cannot be read.
    """
    options = reading(config, name, folder(config), ids=IDS, pictures=pictures)
    return read(config, name, [source_file(config.path)], options)


def source_file(text: str) -> Path:
    """The file of questions that a path means: of a folder that is no data set, the only one in it.

    Raises DataError where there are several.
    """
    path = data_path(text)
    if not path.is_dir() or (path / "state.json").exists() or any(path.rglob("*.parquet")):
        return path
    found = [each for each in sorted(path.iterdir()) if each.is_file() and ending(each) in ENDINGS]
    if len(found) > 1:
        raise DataError(f"{path} holds several files ({', '.join(each.name for each in found)}); name one of them")
    return found[0] if found else path


def folder(config: RowsConfig) -> Path:
    """Where image paths start."""
    path = data_path(config.path)
    return data_path(config.image_root) if config.image_root else path if path.is_dir() else path.parent


def reading(
    config: RowsConfig,
    name: str,
    root: Path | None,
    *,
    store: bool | None = None,
    ids: Sequence[str] = ("id",),
    pictures: bool = True,
) -> ReadOptions:
    """How the rows of a source are read; `store`: whether images by path are copied, None: as the config has it."""
    return ReadOptions(
        source=name, root=root, store=config.fetch_images if store is None else store, fields=config.fields,
        fetch=config.fetch_images, private=config.fetch_private, ids=tuple(ids), unused={},
        numbering=Numbering(name, config.answer_index), pictures=pictures, frames=config.images,
        answer_in=config.answer_in,
    )  # fmt: skip


def read(config: RowsConfig, name: str, paths: Sequence[Path], options: ReadOptions) -> Iterator[Item | Dropped]:
    """The questions of files that are read as one, numbered through, up to the config's limit."""
    assert options.numbering is not None
    options.numbering.survey = lambda: survey(paths, name, options)

    def found() -> Iterator[Item | Dropped]:
        return (item(row.content, number, where, options) for number, (where, row) in enumerate(_rows(paths, name)))

    return first(noted(parted(found, config.part, config.held_out, name), name, options), config.limit)


def noted(found: Iterator[Item | Dropped], name: str, options: ReadOptions) -> Iterator[Item | Dropped]:
    """The same, and at its end a word on the screen of what was decided, and of columns that were not used."""
    questions = answered = pictured = 0
    try:
        for entry in found:
            if isinstance(entry, Item):
                questions += 1
                answered += entry.question.answer is not None
                pictured += bool(entry.question.images)
            yield entry
    finally:
        if options.numbering is not None and options.numbering.said:
            say(options.numbering.said)
        if options.unused:
            say(f"source {name!r}: columns that are not used (kept in `meta`): {', '.join(options.unused)}")
            lacking = {"answer": answered, "images": pictured or not options.pictures}
            fields = [field for field, number in lacking.items() if questions and not number]
            for sentence in hints(options.unused, fields):
                say(f"source {name!r}: {sentence}")


def _rows(paths: Sequence[Path], name: str, only: Callable[[str], bool] | None = None) -> Iterator[tuple[str, Row]]:
    for path in paths:
        found = rows(path, only=only)
        for row in with_pictures(found) if ending(path) == ".tsv" and only is None else found:
            yield f"{name}/{path.name}:{row.line}", row


def survey(paths: Sequence[Path], name: str, options: ReadOptions) -> Iterator[Numbered]:
    """The numbered answers of all rows: a pass of its own, over the columns that it needs where a file has columns."""
    wanted = survey_columns(options)
    found = _rows(paths, name, lambda column: column in wanted)
    return numbered(((where, row.content) for where, row in found), lambda row: numbered_answer(row, options))


def survey_columns(options: ReadOptions) -> set[str]:
    """Columns that tell what a row's answer is."""
    fields = {options.fields.get(name, name) for name in ("answer", "kind", "choices")}
    return {*fields, *NAMES["choices"], *ascii_uppercase}
