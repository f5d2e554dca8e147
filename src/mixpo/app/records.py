"""Records as the app shows them: texts in pieces, the final answer or the differing words marked, images inside."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from mixpo.app import browse
from mixpo.app.confined import GuardedPictures
from mixpo.app.store import Store, steps
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.messages import spoken
from mixpo.records import Role, Turn, Video
from mixpo.references import Output, read_of
from mixpo.report.difference import MAX_CHARACTERS, Piece, cut, marked
from mixpo.report.pictures import Picture
from mixpo.report.reviews import ReviewItem, first_is_left
from mixpo.text_files import parse_json
from mixpo.videos import glimpses

BEFORE_ANSWER = 1500
"""Characters shown before a final answer that lies beyond a text's beginning."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text in pieces, and how much of it is not shown."""

    pieces: list[Piece]
    missing: int = 0


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """A question with its images."""

    id: str
    said: list[tuple[str, str]]
    """Who says what up to the answer: roles and words."""
    answer: str
    about: str
    """Output, domain, category, in a line."""
    pictures: list[Picture]
    choices: list[str]


def question_of(
    store: Store, files: RunFiles, pictures: GuardedPictures, own_id: str, pair: dict[str, Any] | None = None
) -> ShownQuestion | None:
    """The question behind a record, with words and images of the `pair` that asks it; None when there is neither."""
    row = browse.question(store, own_id)
    if row is None and pair is None:
        return None
    row = row or {"id": own_id, "section": _questions_section(files, pair), "answers": 0}
    about = [row.get("kind"), row.get("domain"), row.get("category")]
    if row["answers"]:
        about.append(f"{row['correct']} of {row['answers']} right")
    return ShownQuestion(
        id=row["id"] or "?",
        said=_said(pair, "prompt") if pair else _said(row, "text"),
        answer=cut(row.get("answer") or "", 200)[0],
        about=" · ".join(str(part) for part in about if part),
        pictures=[
            replace(pictures.picture(image, row["section"], files), frames=frames)
            for image, frames in _glimpses(pair or row)
        ],
        choices=[cut(choice or "", 200)[0] for choice in row.get("choices") or ()],
    )


def _glimpses(row: dict[str, Any]) -> list[tuple[str, int]]:
    """A record's pictures, and the first frames of its videos; all frames where it is no record of ours."""
    images = [image or "?" for image in row.get("images") or ()]
    try:
        return glimpses(images, [Video(**video) for video in parse_json(row.get("videos") or "[]")])
    except (TypeError, ValueError):
        return glimpses(images, ())


def _said(row: dict[str, Any], text: str) -> list[tuple[str, str]]:
    """Who says what in a question or a pair as the store has it; `text`: the column of the last user turn."""
    turns: tuple[Turn, ...] = ()
    with suppress(KeyError, TypeError, ValueError):  # anybody may have written the file
        found = parse_json(row.get("turns") or "[]")
        turns = tuple(Turn(role=Role(turn["role"]), text=str(turn["text"])) for turn in found)
    return spoken(row.get(text) or "", row.get("system") or "", turns)


def _questions_section(files: RunFiles, pair: dict[str, Any] | None) -> str:
    """Where the images of a pair lie whose question the run does not have: as the recipe says."""
    values = steps(files).get((pair or {}).get("section") or "", {})
    return (read_of(values, Output.QUESTIONS) if isinstance(values, dict) else "") or "questions"


def answer_marked(row: dict[str, Any]) -> Text:
    """A response with its final answer marked; a long one from a little before it, or from its beginning."""
    text, span = row["text"] or "", row["span"]
    if not span or len(span) != 2 or not 0 <= (span[0] or 0) < (span[1] or 0) <= len(text):
        shown, missing = cut(text)
        return Text([Piece(shown, False)], missing)
    start, end = span
    first = max(0, start - BEFORE_ANSWER) if start > MAX_CHARACTERS - BEFORE_ANSWER else 0
    last = min(len(text), max(end, first + MAX_CHARACTERS))
    marked_end = min(end, start + MAX_CHARACTERS)
    pieces = [Piece(text[first:start], False), Piece(text[start:marked_end], True), Piece(text[end:last], False)]
    return Text([piece for piece in pieces if piece.text], len(text) - sum(len(piece.text) for piece in pieces))


def side_by_side(first: str, second: str) -> tuple[Text, Text]:
    """Two texts with the words marked that the other lacks."""
    (one, one_missing), (other, other_missing) = cut(first), cut(second)
    pieces, other_pieces = marked(one, other)
    return Text(pieces, one_missing), Text(other_pieces, other_missing)


def review_sides(item: ReviewItem, reviewer: str) -> tuple[Text, Text]:
    """Left and right as this reviewer sees them; unmarked: what differs must be read, not counted."""
    texts = [Text([Piece(shown, False)], missing) for shown, missing in (cut(item.first), cut(item.second))]
    return (texts[0], texts[1]) if first_is_left(item.id, reviewer) else (texts[1], texts[0])


def item_of_pair(row: dict[str, Any], contest: str) -> ReviewItem:
    """A preference pair as an item; of a correctness pair the verifier holds the chosen one for better, of a process
    pair its steps."""
    preferred = "first" if row["origin"] in ("correctness", "format", "process") else ""
    return ReviewItem(
        id=f"{contest}/{row['id']}", contest=contest, question_id=row["question_id"] or "", prompt=row["prompt"] or "",
        first=row["chosen"] or "", second=row["rejected"] or "", preferred=preferred,
    )  # fmt: skip


def pair_items(store: Store, contest: str, number: int, seed: int) -> list[ReviewItem]:
    """`number` pairs, of different questions where there are enough, drawn by the seed."""
    store.ready()
    rows = store.rows(
        """
        SELECT * EXCLUDE (turn) FROM
          (SELECT *, row_number() OVER (PARTITION BY question_id ORDER BY hash(id || ?)) AS turn FROM paired)
        ORDER BY turn, hash(id || ?) LIMIT ?
        """,
        [str(seed), str(seed), number],
    )
    if not rows:
        raise UserError("this run has no preference pairs to review")
    return [item_of_pair(row, contest) for row in rows]


def model_items(inner: Store, contest: str, before: str, after: str, number: int, seed: int) -> list[ReviewItem]:
    """`number` questions whose first answers by both models have different texts; first is the later model."""
    inner.ready()
    rows = inner.rows(
        """
        SELECT a.question_id, q.text AS prompt, a.text AS first, b.text AS second,
          a.outcome = 'correct' AS first_right, b.outcome = 'correct' AS second_right
        FROM answers a JOIN answers b ON b.question_id = a.question_id AND b.section = ?
        LEFT JOIN (SELECT DISTINCT ON (id) id, text FROM questions) q ON q.id = a.question_id
        WHERE a.section = ? AND a.sample = 0 AND b.sample = 0 AND a.text <> b.text
        ORDER BY hash(a.question_id || ?) LIMIT ?
        """,
        [before, after, str(seed), number],
    )
    if not rows:
        raise UserError("the two models' answers to this benchmark are not there, or are all the same")
    return [
        ReviewItem(
            id=f"{contest}/{row['question_id']}", contest=contest, question_id=row["question_id"],
            prompt=row["prompt"] or "", first=row["first"] or "", second=row["second"] or "",
            preferred="" if row["first_right"] == row["second_right"] else "first" if row["first_right"] else "second",
        )
        for row in rows
    ]  # fmt: skip
