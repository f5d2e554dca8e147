"""`mixpo export`: the pairs of a run in another program's format, complete with their images."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, ImageError, Unsupported, UserError
from mixpo.files import RunFiles, Shards
from mixpo.images import ImageRoots
from mixpo.json_lines import to_json
from mixpo.messages import IMAGE, MARK, PICTURE
from mixpo.pairs.formats.export_pictures import ExportPictures
from mixpo.pairs.import_pairs import WRITERS, Format, FormatWriter
from mixpo.progress import say, track
from mixpo.records import Dropped, DropReason, PreferencePair
from mixpo.references import Output, read_of
from mixpo.registry import chosen
from mixpo.text_files import staged

LEFT_OUT = "left_out.jsonl"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote."""

    rows: int
    left_out: list[Dropped] = field(default_factory=list)


def export(
    files: RunFiles,
    form: Format,
    out: Path,
    pairs: str = "pair",
    questions: str = "",
    finish: Callable[[Exported, Path], None] = lambda done, place: None,
) -> Exported:
    """Writes the section `pairs` into the new folder `out`, whole or not at all.

    `questions`: the section with the images; empty: what the run's recipe says. What the format cannot hold is
    listed in `left_out.jsonl`. `finish` adds to the folder before it takes the name `out`. Raises UserError when `out`
    is not empty, DataError when there are no pairs.
    """
    shards = files.pairs(pairs)
    if not shards.paths():
        raise DataError(
            f"{files.root} has no pairs in the section {pairs!r}; it has {', '.join(files.sections('pairs')) or 'none'}"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty; name a new folder")
    questions = questions or questions_of(files, pairs)
    with staged(out) as place:
        done = _write(files, WRITERS[form], place, shards, questions)
        finish(done, place)
    reasons = Counter(record.reason for record in done.left_out)
    listed = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items()))
    note = f"; left out: {listed}, see {LEFT_OUT}" if listed else ""
    say(f"export: {done.rows:,} pairs to {out} ({form}){note}")
    return done


def format_of(name: str) -> Format:
    """Raises RecipeError for a name that no format has which can be written."""
    return Format(chosen(name, WRITERS, "--format"))


def _write(files: RunFiles, writer: FormatWriter, out: Path, pairs: Shards[PreferencePair], questions: str) -> Exported:
    out.mkdir(parents=True)
    roots = ImageRoots.load(files.image_roots_file(questions))
    answers = {
        question.id: (question.answer, *question.accepted)
        for question in files.questions(questions)
        if question.answer is not None
    }
    left_out: list[Dropped] = []
    pictures = ExportPictures(roots, files.root, out)

    def rows() -> Iterator[dict[str, Any]]:
        for pair in track(pairs, "export"):
            try:
                if pair.videos:
                    raise Unsupported("it shows a video; exported pairs have images only")
                _refuse_tokens(pair)
                yield writer.row(pair, answers.get(pair.question_id, ()), pictures)
            except (Unsupported, ImageError) as error:
                reason = DropReason.BAD_IMAGE if isinstance(error, ImageError) else DropReason.UNSUPPORTED
                left_out.append(Dropped(id=pair.id, step="export", reason=reason, detail=str(error)))

    count = writer.write(rows(), out)
    pictures.elsewhere.tell("export")
    if left_out:
        (out / LEFT_OUT).write_text("".join(f"{to_json(record)}\n" for record in left_out), encoding="utf-8")
    if not count:
        why = f"the first was left out because: {left_out[0].detail}" if left_out else f"{pairs.folder} holds none"
        raise DataError(f"export: no pair could be written; {why}")
    return Exported(rows=count, left_out=left_out)


def _refuse_tokens(pair: PreferencePair) -> None:
    """Raises Unsupported for words that are a model's own token for an image: the model's tokenizer takes them for one.

    `<image>`, which most programs know as a mark, is each format's own affair.
    """
    asked = (pair.system, pair.prompt, *(turn.text for turn in pair.turns))
    for text in (*asked, pair.chosen, pair.rejected):
        if token := next((mark for mark in MARK.findall(text) if mark not in (IMAGE, PICTURE)), None):
            raise Unsupported(f"its text contains {token!r}, which models take for an image")


def questions_of(files: RunFiles, pairs: str) -> str:
    """The questions section that a pairs section's images lie under, by the run's recipe."""
    named = read_of(files.saved_recipe().get("steps", {}).get(pairs, {}), Output.QUESTIONS)
    if named:
        return named
    return pairs if pairs in files.sections("questions") else "questions"
