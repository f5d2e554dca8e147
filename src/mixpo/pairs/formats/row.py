"""What the preference formats share: what a row becomes, and the fields that only mixpo knows.

A row that `mixpo export` wrote carries the record's own fields beside the format's (`OWN`), so it is read back
as the same record. Programs that know nothing of them ignore them.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mixpo.conversations import Conversation
from mixpo.errors import BadRow, ImageError, Unsupported
from mixpo.json_lines import to_json
from mixpo.messages import IMAGE, PICTURE, count, marks_in
from mixpo.pairs.formats.places import PairPlace
from mixpo.records import Dropped, DropReason, Origin, PreferencePair, Role, Turn
from mixpo.tables import BadLine, Row
from mixpo.values import line, parsed, short

OWN = ("id", "question_id", "origin", "chosen_id", "rejected_id", "rejected_ended")
"""The fields of a pair that no other format has."""
RARE = ("chosen_ended", "chosen_token_ids", "rejected_token_ids")
"""Fields that a row has only where they say something, anybody's row: what is not said is the default."""
STEP = "import"


ONE_QUESTION = ("images", "system", "history", "messages", "conversations")
"""Columns of other formats, which a row of one question and its `image` has no place for."""


class Left(BadRow):
    """Pairs that are left out for a reason of their own."""

    def __init__(self, reason: DropReason, detail: str, count: int = 1, part: str = ""):
        """`part` tells them from others of their row."""
        super().__init__(detail)
        self.reason, self.count, self.part = reason, count, part


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One pair, read."""

    pair: PreferencePair
    answers: tuple[str, ...] = ()
    """The ground truth, where the row has one, and others that are as right."""
    pictures: dict[str, bytes | str] = field(default_factory=dict)
    """Images that come as bytes, or their addresses, by the path that the pair has for them."""
    own: bool = False
    """Whether `mixpo export` wrote the row, and its names are those of another run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a format's row says, read out of its columns."""

    asked: Conversation
    chosen: Any
    rejected: Any
    images: Sequence[Any] = ()
    """Paths, bytes, or mappings of these (`mixpo.pictures`)."""
    after: str = ""
    """What belongs to a picture's mark that stands ahead of the words."""
    part: str = ""
    """Tells the pairs of one row apart."""
    marks: bool = True
    """Whether `<image>` in the user's texts means an image, so that a row without one lacks it."""


Contents = Callable[[Mapping[str, Any]], Iterable[Content | BadRow]]
"""What a row of a format says: its pairs, and why others make none. May raise BadRow, Unsupported, Left."""


class PairSource:
    """The rows of one source, read into pairs: its name, and where its images lie."""

    def __init__(self, name: str, place: PairPlace):
        self.name = name
        self.place = place

    def read(self, row: Row, contents: Contents) -> Iterator[Entry | Dropped]:
        """The pairs of a file's row, and why it makes none."""
        try:
            if isinstance(row.content, BadLine):
                raise BadRow(str(row.content))
            if not isinstance(row.content, Mapping):
                raise BadRow(f"a row is a mapping of columns, not {short(row.content)}")
            for content in contents(row.content):
                if isinstance(content, Content):
                    yield self._entry(content, row.content, row.number)
                else:
                    yield self.left_out(row.number, content)
        except BadRow as error:
            yield self.left_out(row.number, error)

    def read_all(self, found: Iterable[Row | Dropped], contents: Contents, times: int = 1) -> Iterator[Entry | Dropped]:
        """The pairs of many rows, each so often; from the second time on with an id of its own (`…~2`)."""
        for row in found:
            if isinstance(row, Dropped):
                yield row
                continue
            for entry in self.read(row, contents):
                yield entry
                if isinstance(entry, Entry):
                    for time in range(2, times + 1):
                        yield replace(entry, pair=replace(entry.pair, id=f"{entry.pair.id}~{time}"))

    def _entry(self, content: Content, row: Mapping[str, Any], number: int) -> Entry | Dropped:
        """A pair of row `number` (from 1), or why it is none."""
        own = is_own(row)
        try:
            images, pictures = self.place.images(content.images, own)
            if not own and not images and content.marks and (lost := marks_in(content.asked.asked, IMAGE)):
                raise BadRow(f"the prompt has {count(lost, 'place')} for a picture, and the row has none")
            asked = content.asked.with_pictures(
                len(images), content.after, mark=IMAGE if own else None, keep=own and row.get("in_place") is True
            )
            if not own and not images and not asked.text.strip():
                raise Left(DropReason.EMPTY, "the prompt is empty")
            for name in ("chosen", "rejected"):
                value = getattr(content, name)
                if not isinstance(value, str):
                    raise BadRow(f"{name} must be text, not {short(value)}")
                if not value.strip():
                    raise Left(DropReason.EMPTY, f"{name} is empty")
            if content.chosen == content.rejected:
                raise Left(DropReason.SAME_TEXT, "chosen and rejected are the same")
            fields = _own_fields(row) if own else self._new_fields(asked, images, f"{number}{content.part}")
            fields |= _rare_fields(row)
            pair = PreferencePair(
                prompt=asked.text, system=asked.system, turns=asked.turns, chosen=content.chosen,
                rejected=content.rejected, images=images, **fields,
            )  # fmt: skip
            answers = _answers(row)
            "".join([to_json(pair), *answers]).encode()
            return Entry(pair=pair, answers=answers, pictures=pictures, own=own)
        except UnicodeEncodeError:
            error: Exception = BadRow("a text is not valid Unicode (half a surrogate pair)")
        except (BadRow, ImageError) as found:
            error = found
        return self.left_out(number, error, content.part)

    def left_out(self, number: int, error: Exception, part: str = "") -> Dropped:
        """What a row gives when it gives no pair."""
        reason, pairs = DropReason.BAD_ROW, 1
        if isinstance(error, Left):
            reason, pairs, part = error.reason, error.count, part or error.part
        elif isinstance(error, Unsupported | ImageError):
            reason = DropReason.UNSUPPORTED if isinstance(error, Unsupported) else DropReason.BAD_IMAGE
        return Dropped(id=f"{self.name}:{number}{part}", step=STEP, reason=reason, detail=str(error), count=pairs)

    def _new_fields(self, asked: Conversation, images: tuple[str, ...], number: str) -> dict[str, Any]:
        """Rows that ask the same of the same images belong to one question."""
        said = [asked.text, *images]
        if asked.system or asked.turns:
            said += ["", asked.system, *(f"{turn.role} {turn.text}" for turn in asked.turns)]
        question = hashlib.sha256("\0".join(said).encode("utf-8", "replace")).hexdigest()[:16]
        return {
            "id": f"{self.name}-{number}",
            "question_id": f"{self.name}-{question}",
            "origin": Origin.IMPORTED,
            "chosen_id": "",
            "rejected_id": "",
            "rejected_ended": True,
        }


def marked(pair: PreferencePair) -> list[Turn]:
    """The turns of a prompt with `<image>` where an image stands."""
    first, *others = (*pair.turns, Turn(role=Role.USER, text=pair.prompt))
    turns = [first, *others]
    if not any(PICTURE in turn.text for turn in turns):
        return [replace(first, text=IMAGE * len(pair.images) + first.text), *others]
    mark = IMAGE if pair.images else ""
    return [replace(turn, text=turn.text.replace(PICTURE, mark)) for turn in turns]


def refuse_marks(texts: Iterable[str], marks: re.Pattern[str]) -> None:
    """Raises Unsupported for words that the format takes for an image."""
    if found := next((found for text in texts if (found := marks.search(text))), None):
        raise Unsupported(f"its text contains {short(found[0])}, which the format takes for an image")


def drawn(
    found: Callable[[], Iterable[Row]], share: Callable[[int], int], name: str, seed: int, why: str
) -> Iterator[Row | Dropped]:
    """So many of all rows as `share` says, drawn from the seed, after a word of how many are left out."""
    total = sum(1 for _ in found())
    wanted = set(random.Random(f"{seed}/{name}").sample(range(1, total + 1), min(share(total), total)))
    if len(wanted) < total:
        left = total - len(wanted)
        yield Dropped(id=name, step=STEP, reason=DropReason.OVER_CAP, detail=why, count=left)
    for row in found():
        if row.number in wanted:
            yield row


def alpaca(instruction: Any, more: Any) -> str:
    """Alpaca's instruction and input as one text. Raises BadRow."""
    texts = [text for text in (instruction, more) if text not in (None, "")]
    if not all(isinstance(text, str) for text in texts):
        raise BadRow(f"instruction and input must be texts, not {short(texts)}")
    return "\n".join(texts)


def refuse_beside(row: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises Unsupported for a row that has what its format does not read, and that would make another prompt."""
    if name := next((name for name in names if parsed(row.get(name)) not in (None, "", [], {})), None):
        raise Unsupported(f"its column {name}, which the format does not have")


def is_own(row: Mapping[str, Any]) -> bool:
    """Whether `mixpo export` wrote the row: it carries the fields that no other format has."""
    return all(row.get(name) is not None for name in OWN)


def own_fields(pair: PreferencePair, answers: Sequence[str]) -> dict[str, Any]:
    """The columns that bring a pair, and its question's ground truths, back as they were."""
    values = {name: getattr(pair, name) for name in OWN}
    places = PICTURE in "".join([pair.prompt, *(turn.text for turn in pair.turns)]) if pair.images else None
    rare = {name: value for name in RARE if (value := getattr(pair, name)) not in (True, ())}
    return {
        **values,
        **rare,
        "origin": str(pair.origin),
        "in_place": places,
        "answer_gt": answers[0] if answers else None,
        "accepted": list(answers[1:]),
    }


def _rare_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row[name] for name in RARE if row.get(name) is not None}
    if not isinstance(values.get("chosen_ended", True), bool):
        raise BadRow(f"chosen_ended must be true or false, not {short(row['chosen_ended'])}")
    for name in values.keys() - {"chosen_ended"}:
        if not isinstance(values[name], list) or not all(isinstance(token, int) for token in values[name]):
            raise BadRow(f"{name} must be a list of numbers, not {short(row[name])}")
        values[name] = tuple(values[name])
    return values


def _own_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row[name] for name in OWN}
    if values["origin"] not in list(Origin):
        raise BadRow(f"origin {short(values['origin'])} is none of {', '.join(Origin)}")
    if not isinstance(values["rejected_ended"], bool):
        raise BadRow(f"rejected_ended must be true or false, not {short(values['rejected_ended'])}")
    for name in ("id", "question_id", "chosen_id", "rejected_id"):
        if not isinstance(values[name], str):
            raise BadRow(f"{name} must be text, not {short(values[name])}")
    return {**values, "origin": Origin(values["origin"])}


def _answers(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The ground truths: `answer_gt` as MMPR has it, a text, a number or a list of them; and our own `accepted`."""
    given = row.get("answer_gt")
    accepted = row.get("accepted") if is_own(row) else None
    each = [*(given if isinstance(given, list) else [given]), *(accepted if isinstance(accepted, list) else [])]
    said = [answer for answer in each if answer is not None and str(answer).strip()]
    return tuple(dict.fromkeys(line("answer_gt", answer) for answer in said))
