"""Which records are trained on: those that are usable, at most so many, and none about a held-out question."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from mixpo.batches.encode import Encoder, ReservedToken, TooLong, completion_of
from mixpo.errors import DataError, ImageError, UserError
from mixpo.ids import in_share
from mixpo.images import ImageRoots
from mixpo.messages import PICTURE
from mixpo.models.chat import REFUSALS
from mixpo.records import Dropped, DropReason
from mixpo.training.reading import Speller, pictures_apart
from mixpo.training.rows import RowDataset, columns
from mixpo.videos import videos_among

REASONS = {ReservedToken: DropReason.RESERVED_TOKEN, TooLong: DropReason.PROMPT_TOO_LONG}


def usable(records: Iterable[Any], encoder: Encoder, roots: ImageRoots, step: str, dropped: list[Dropped]) -> list[Any]:
    """The records whose images are there, whose completions fit and differ, and whose prompts the processor and the
    model take; the others go to `dropped`, with the reason."""
    kept = []
    trial = Trial(encoder, roots)
    for record in records:
        reason = DropReason.UNSUPPORTED
        try:
            row = columns(record)
            completions = [completion_of(row, side) for side in ("chosen", "rejected") if side in row]
            reason = DropReason.COMPLETION_TOO_LONG if all(text for text, *_ in completions) else DropReason.EMPTY
            tokens = [encoder.completion_ids(*completion) for completion in completions]
            reason = DropReason.SAME_TEXT
            if len(tokens) == 2 and tokens[0] == tokens[1]:
                raise DataError("chosen and rejected are the same tokens: there is no preference to learn")
            reason = DropReason.UNSUPPORTED
            trial(record, max(map(len, tokens)))
        except ImageError as error:
            dropped.append(Dropped(id=record.id, step=step, reason=DropReason.BAD_IMAGE, detail=str(error)))
        except DataError as error:
            reason = REASONS.get(type(error), reason)
            dropped.append(Dropped(id=record.id, step=step, reason=reason, detail=str(error)))
        else:
            kept.append(record)
    return kept


class Trial:
    """Tries prompts on a model's processor, as it would take them in the middle of a training.

    Processors refuse images by their size, and prompts by the number of images that the text has places for; chat
    templates refuse by what is said. Prompts without images, and the first with each number of them in each turn, are
    encoded as a whole; of others with a system prompt or several turns the text is made.
    """

    def __init__(self, encoder: Encoder, roots: ImageRoots):
        self.encoder = encoder
        self.roots = roots
        self.chat = encoder.chat
        self._tokens: dict[str, int] = {}
        """Of a prompt with this image alone."""
        self._sizes: dict[tuple[int, int], int] = {}
        """The same by the size of an image, on which they depend."""
        self._films: dict[str, int] = {}
        """Tokens of the prompts of questions with videos."""
        self._tried: set[Any] = set()

    def __call__(self, record: Any, longest: int) -> None:
        """`longest`: tokens of the longest completion. Raises ImageError, or DataError for what the model does not
        take, `TooLong` among it."""
        for image in set(record.images) - self._tokens.keys():
            self._tokens[image] = self._size(self.roots.open(image), image)
        if record.videos:
            if record.question_id not in self._films:
                self._films[record.question_id] = self._video(self._row(record))
            self.encoder.check_length(self._films[record.question_id], longest)
            return
        self._prompt(record)
        if self.encoder.context is not None and self._most(record) + longest > self.encoder.context:
            self.encoder.check_length(len(self.encoder.prompt(self._row(record))["prompt_ids"]), longest)

    def _row(self, record: Any) -> dict[str, Any]:
        return RowDataset([record], self.roots)[0]

    def _most(self, record: Any) -> int:
        """More tokens than the record's prompt has: none is less than a byte of its texts."""
        texts = [record.prompt, record.system, *(turn.text for turn in record.turns)]
        frame = self._empty * (1 + len(record.turns))
        return frame + sum(len(text.encode()) for text in texts) + sum(self._tokens[image] for image in record.images)

    @cached_property
    def _empty(self) -> int:
        return len(self.chat.prompt_ids(self.chat.render("?")))

    @cached_property
    def _shown(self) -> str:
        return self.chat.render("?", 1)

    def _size(self, image: Any, name: str) -> int:
        """Tokens of a prompt with the image. Raises ImageError when the processor does not take one of this size."""
        if image.size not in self._sizes:
            try:
                inputs = self.chat.inputs([self._shown], [[image]])
            except REFUSALS as error:
                raise ImageError(f"{name}: the model's processor refuses the image: {error}") from error
            self._sizes[image.size] = inputs["input_ids"].shape[1]
        return self._sizes[image.size]

    def _video(self, row: Any) -> int:
        """Tokens of a prompt with videos. Raises DataError when the model's processor takes none, ImageError when it
        refuses these."""
        images = row["images"]
        videos = len(videos_among(images))
        text = self.chat.render(row["prompt"], len(images) - videos, videos)
        try:
            return self.chat.inputs([text], [images])["input_ids"].shape[1]
        except DataError:
            raise
        except REFUSALS as error:
            raise ImageError(f"the model's processor refuses the video: {error}") from error

    def _prompt(self, record: Any) -> None:
        """Raises DataError for a prompt that the model does not take."""
        images = len(record.images)
        said = (record.prompt, record.system, record.turns, images)
        if said in self._tried:
            return
        places = (images, bool(record.system), *(turn.text.count(PICTURE) for turn in record.turns))
        if not images or places not in self._tried:
            self.encoder.prompt(self._row(record))
        elif record.system or record.turns:
            self.chat.render(columns(record)["prompt"], images)
        self._tried |= {said, places}


def spelled(
    records: Sequence[Any], encoder: Encoder, roots: ImageRoots, config: Any, step: str, dropped: list[Dropped]
) -> tuple[list[Any], Speller]:
    """The records whose pictures have visual tokens enough to spell their descriptions, for a model with this `config`;
    others go to `dropped`. And what reads them: the words are those of all records, whichever are then trained on.

    Raises UserError where pictures are no tokens of the model's prompts, and where no word tells descriptions apart.
    """
    picture = getattr(config, "image_token_id", None)
    if picture is None:
        raise UserError(pictures_apart(type(config).__name__.removesuffix("Config")))
    speller = Speller((encoder.chat.completions.encode(record.text) for record in records), picture)
    seen: dict[Any, int] = {}
    kept = []
    for record in records:
        size = record.videos or tuple(roots.open(image).size for image in record.images)
        if size not in seen:
            seen[size] = list(encoder.prompt(RowDataset([record], roots)[0])["prompt_ids"]).count(picture)
        ids = encoder.completion_ids(*completion_of(columns(record), "chosen"))
        if (needed := speller.tokens_needed(ids)) <= seen[size]:
            kept.append(record)
            continue
        detail = f"read: to spell the description takes {needed} visual tokens, and its pictures have {seen[size]}"
        dropped.append(Dropped(id=record.id, step=step, reason=DropReason.COMPLETION_TOO_LONG, detail=detail))
    return kept, speller


def split_held_out(records: Sequence[Any], share: float) -> tuple[list[Any], list[Any]]:
    """The records to train on, and those of about `share` of the questions, told by a checksum of the question's id."""
    kept: list[Any] = []
    held_out: list[Any] = []
    for record in records:
        (held_out if in_share(record.question_id, share) else kept).append(record)
    return kept, held_out
