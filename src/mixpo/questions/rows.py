"""One row of a data set, whatever file it lies in, to one question.

The columns (a recipe's `fields` says what a data set calls them, when it calls them otherwise; `docs/own-data.md` says
all that is read):

    id  answer  kind  domain  category  precision  unit  meta
    text, question, problem, query, prompt, conversations or messages (`mixpo.conversations`)
    system, turns or history: what stands before the text
    choices or options, or columns A to H (`mixpo.questions.options`)
    images, image or image_path (`mixpo.pictures`)
    videos, video or video_path (`mixpo.questions.videos`)

Other columns are kept in `meta`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mixpo.conversations import Conversation, conversation, history, is_conversation
from mixpo.errors import BadRow, FieldError, ImageError, Unsupported
from mixpo.json_lines import to_json
from mixpo.pictures import Place, entries
from mixpo.questions.columns import COLUMNS, column, columns_of, is_missing
from mixpo.questions.marked import AnswerIn, marked
from mixpo.questions.numbering import AnswerIndex, Numbering
from mixpo.questions.options import Options, answers_of, in_columns, misnamed, number_among, only, options_of, quoted
from mixpo.questions.parts import QuestionPart
from mixpo.questions.source import Item, left_out
from mixpo.questions.suggestions import absent
from mixpo.questions.videos import shown_of, videos_in
from mixpo.records import LISTS, AnswerKind, Dropped, DropReason, Question
from mixpo.tables import BadLine
from mixpo.values import line, parsed, plain, refuse_deep, refuse_half, short, whole
from mixpo.videos import FramesConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions(Place):
    """How the rows of one source are read."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """Column of the data set for a field of the question, where the names differ."""
    ids: tuple[str, ...] = ("id",)
    """Columns that may name a question, the first that a row has."""
    pictures: bool = True
    """Whether pictures are looked for; without, questions have none."""
    answer_in: AnswerIn = AnswerIn.WHOLE
    """Where in its column the answer stands."""
    numbering: Numbering | None = None
    """What numbers as answers among options mean; None: an option's text."""
    unused: dict[str, None] | None = None
    """Takes the names of columns that were not used, in the order in which they are met."""


@dataclass(frozen=True, kw_only=True)
class RowsConfig:
    """What a recipe may say of rows, whatever they are read from."""

    path: str
    """A file, a folder or a data set's name, as the loader has it; `~` and `$VARIABLES` are filled in."""
    image_root: str = ""
    """The folder that image paths start at; empty: the one that the rows lie in."""
    fields: dict[str, str] = field(default_factory=dict)
    """Column of the data for a field of the question, for example `{text: query}`."""
    answer_index: AnswerIndex = AnswerIndex.AUTO
    """What a number is as the answer to a question with options: its place (`from_0`, `from_1`) or its `text`; `auto`:
    decided from all rows, and said."""
    answer_in: AnswerIn = AnswerIn.WHOLE
    """Where in its column the answer stands: it is the `whole` of it, or `marked` within more text."""
    fetch_images: bool = False
    """Whether images named by http(s) addresses are fetched into the run; without it their rows are dropped."""
    fetch_private: bool = False
    """With `fetch_images`: whether addresses on this machine and in private networks are fetched from, too."""
    held_out: float = 0.0
    """With `part`: share of the questions that is held out, whole pictures."""
    part: QuestionPart = QuestionPart.ALL
    """Which questions are read: `all`, `train` (what is not held out) or `held_out`; no picture is in both."""
    limit: int | None = None
    """At most so many questions, from the start."""
    images: FramesConfig = field(default_factory=FramesConfig)
    """Which frames of videos are looked at; not said: as the section has it."""

    def __post_init__(self) -> None:
        for name in self.fields:
            if name not in COLUMNS:
                raise FieldError(["fields", name], f"a question has no such field; it has {', '.join(COLUMNS)}")
        if (self.part is QuestionPart.ALL) != (self.held_out == 0) or not 0 <= self.held_out < 1:
            raise FieldError(["held_out"], "must be a share between 0 and 1, with `part: train` or `part: held_out`")
        if self.limit is not None and self.limit < 1:
            raise FieldError(["limit"], f"must be at least 1, not {self.limit}")


def item(row: Any, number: int, where: str, options: ReadOptions) -> Item | Dropped:
    """The question a row holds, or why it holds none. No image is decoded here.

    `number` is the row's place in the data set, from 0, and its id when it has none; `where` is what a
    `Dropped` record calls it. Raises DataError where the rows contradict each other (`Numbering`).
    """
    if isinstance(row, BadLine):
        return left_out(where, DropReason.TORN_LINE, str(row))
    try:
        values, rest = _split(row, options)
        own_id = line("id", values.pop("id", number))
        if "text" not in values:
            raise BadRow(_no_text(row, options))
        asked = _asked(values, rest)
        asked, shown, pictures = _shown(values, asked, options)
        meta = {**rest, **_mapping(values.pop("meta", {}))}
        refuse_deep(meta)
        read = _answered(values, where, options)
        read |= {"text": _text("text", asked.text), "system": asked.system, "turns": asked.turns, **shown}
        read |= {name: READERS[name](name, value) for name, value in values.items()}
        question = Question(id=f"{options.source}-{own_id}", meta=meta, **read)
        refuse_half(to_json(question))
    except Unsupported as error:
        return left_out(where, DropReason.UNSUPPORTED, str(error))
    except BadRow as error:
        return left_out(where, DropReason.BAD_ROW, str(error))
    except RecursionError:
        return left_out(where, DropReason.BAD_ROW, "a value is nested too deeply")
    except ImageError as error:
        return left_out(where, DropReason.BAD_IMAGE, str(error))
    return Item(question=question, pictures=pictures)


def _no_text(row: Mapping[str, Any], options: ReadOptions) -> str:
    if options.unused is None:  # a benchmark's row, whose columns are not the user's to name
        return "there is no text"
    return absent("text", row, columns_of("text", options.fields), options.fields.get("text"))


def _shown(
    values: dict[str, Any], asked: Conversation, options: ReadOptions
) -> tuple[Conversation, dict[str, Any], dict[str, bytes | str]]:
    """Takes pictures and videos out of a row's values: the text with their places, the question's fields of them, and
    the bytes that are to be stored."""
    images, videos = entries(values.pop("images", None)), videos_in(values.pop("videos", None))
    if not options.pictures:
        return asked.with_pictures(asked.marks), {}, {}
    images, videos = asked.images(images), asked.films(videos)
    shown, pictures = shown_of(images, videos, asked.kinds(len(images), len(videos)), options)
    return asked.with_pictures(len(images), videos=len(videos)), shown, pictures


def numbered_answer(row: Any, options: ReadOptions) -> tuple[Any, Options] | None:
    """The answer of a row, where it is a number among options, and these. Raises BadRow for a row that is none."""
    if not isinstance(row, Mapping):
        return None
    values = {name: column(row, name, options.fields)[1] for name in ("answer", "kind", "choices")}
    values["answer"] = _answer(values["answer"], options)
    if is_missing(values["answer"]) or values["kind"] not in (None, AnswerKind.CHOICE):
        return None
    choices = _choices(row, values["choices"])[0]
    return None if number_among(values["answer"], choices) is None else (only(values["answer"]), choices)


def _split(row: Any, options: ReadOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values by the question's field names, and the columns that are no field, as plain JSON values."""
    if not isinstance(row, Mapping):
        raise BadRow(f"a row is a mapping of columns, not {short(row)}")
    values: dict[str, Any] = {}
    used: set[str] = set()
    for name in COLUMNS:
        holder, value = column(row, name, options.fields, options.ids)
        if holder is not None:
            values[name] = value
            used.add(holder)
    choices, columns = _choices(row, values.get("choices"))
    if columns:
        values["choices"] = columns
        used |= columns.keys()
    if "choices" in values:
        values["choices"] = choices
    rest = {key: value for key, value in row.items() if key not in used and not is_missing(value)}
    if options.unused is not None:
        options.unused.update(dict.fromkeys(map(str, rest)))
    return values, plain(rest)


def _choices(row: Mapping[str, Any], given: Any) -> tuple[Options, dict[str, Any]]:
    """A row's options, and the columns A to H, where they stand in these."""
    choices = options_of([] if given is None else given)
    columns = {} if choices.texts else in_columns(row)
    return (options_of(columns) if columns else choices), columns


def _asked(values: dict[str, Any], rest: dict[str, Any]) -> Conversation:
    """Takes what is asked out of a row's values: a text, or a conversation with its reply.

    The reply goes where `fields` says that it is the answer, else into the `rest`.
    """
    given = values.pop("text")
    if is_conversation(given):
        asked = conversation(given, videos=True)
        if values.get("answer") is given:
            if asked.reply is None:
                raise BadRow("the conversation has no reply, which is to be the answer")
            values["answer"] = asked.reply
        elif asked.reply is not None:
            rest["reply"] = asked.reply
    else:
        asked = Conversation(text=_text("text", given))
    if (before := values.pop("turns", None)) is not None:
        asked = replace(asked, turns=(*history(before), *asked.turns))
    system = _text("system", values.pop("system", None) or asked.system)
    if asked.system.strip() not in ("", system):
        raise BadRow("there are two system prompts: the column's, and another in the conversation")
    return replace(asked, system=system)


def _answered(values: dict[str, Any], where: str, options: ReadOptions) -> dict[str, Any]:
    """Takes answer, kind and options out of a row's values, and reads them as the question has them."""
    read: dict[str, Any] = {}
    choices: Options = values.pop("choices", Options())
    if choices.texts:
        read["choices"] = choices.texts
    kind = read["kind"] = _kind(values.pop("kind")) if "kind" in values else None
    answer = _answer(values.pop("answer", None), options)
    if answer is None or answer == []:
        return read
    texts = list(answers_of(answer if choices.texts or kind is not None else quoted(answer)))
    if kind in LISTS:
        texts = [", ".join(texts)]
    elif choices.texts and kind in (None, AnswerKind.CHOICE):
        if len(texts) > 1:
            raise BadRow(f'answer has {len(texts)} for one choice; write "A, C" where all of them are to be chosen')
        if misnamed(texts[0], choices):
            raise BadRow(f"answer {texts[0]} for options that call themselves otherwise; give the option's text")
        number = number_among(answer, choices)
        meant = choices.label(texts[0])
        if number is not None and options.numbering is not None:
            meant = options.numbering.letter(where, number, choices)
        texts = [meant or texts[0]]
    return {**read, "answer": texts[0], "accepted": tuple(texts[1:])}


def _answer(value: Any, options: ReadOptions) -> Any:
    return marked(value) if options.answer_in is AnswerIn.MARKED else value


def _text(name: str, value: Any) -> str:
    if isinstance(value, str) and (value.strip() or name != "text"):
        return value.strip()
    raise BadRow(f"{name} must be text, not {short(value)}")


def _kind(value: Any) -> AnswerKind:
    if value in list(AnswerKind):
        return AnswerKind(value)
    raise BadRow(f"kind {short(value)} is none of {', '.join(AnswerKind)}")


def _whole(name: str, value: Any) -> int:
    number = whole(value)
    if number is None:
        raise BadRow(f"{name} must be a whole number, not {short(value)}")
    return number


def _mapping(value: Any) -> dict[str, Any]:
    found = parsed(value)
    if isinstance(found, Mapping):
        return {str(key): plain(inner) for key, inner in found.items()}
    raise BadRow(f"meta must be a mapping, not {short(value)}")


READERS: dict[str, Callable[[str, Any], Any]] = {
    "domain": _text, "category": line, "unit": _text, "precision": _whole,
}  # fmt: skip
