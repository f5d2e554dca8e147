"""Which records are trained on: those that are usable, at most so many, and none about a held-out question."""

import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from mixpo.batches.encode import Encoder, ReservedToken, completion_of
from mixpo.errors import DataError, ImageError
from mixpo.ids import in_share
from mixpo.images import ImageRoots
from mixpo.messages import PICTURE
from mixpo.models.chat import REFUSALS, Chat
from mixpo.records import Dropped, DropReason
from mixpo.training.rows import RowDataset, columns
from mixpo.videos import videos_among

T = TypeVar("T")


def usable(records: Iterable[Any], encoder: Encoder, roots: ImageRoots, step: str, dropped: list[Dropped]) -> list[Any]:
    """The records whose images are there, whose completions fit and whose prompts the processor takes; the others go to
    `dropped`, with the reason."""
    kept = []
    sound: set[str] = set()
    sizes: set[tuple[int, int]] = set()
    tried: set[Any] = set()
    for record in records:
        reason = DropReason.UNSUPPORTED
        try:
            row = columns(record)
            completions = [completion_of(row, side) for side in ("chosen", "rejected") if side in row]
            reason = DropReason.COMPLETION_TOO_LONG if all(text for text, *_ in completions) else DropReason.EMPTY
            for completion in completions:
                encoder.completion_ids(*completion)
            reason = DropReason.UNSUPPORTED
            for image in set(record.images) - sound:
                _try_size(roots.open(image), image, encoder.chat, sizes)
                sound.add(image)
            if not record.videos:
                _try_prompt(record, encoder, roots, tried)
            elif record.question_id not in tried:
                _try_videos(RowDataset([record], roots)[0], encoder)
                tried.add(record.question_id)
        except ImageError as error:
            dropped.append(Dropped(id=record.id, step=step, reason=DropReason.BAD_IMAGE, detail=str(error)))
        except ReservedToken as error:
            dropped.append(Dropped(id=record.id, step=step, reason=DropReason.RESERVED_TOKEN, detail=str(error)))
        except DataError as error:
            dropped.append(Dropped(id=record.id, step=step, reason=reason, detail=str(error)))
        else:
            kept.append(record)
    return kept


def _try_videos(row: Any, encoder: Encoder) -> None:
    """Raises DataError when the model's processor does not take the videos of a row, ImageError when it refuses
    these."""
    images = row["images"]
    videos = len(videos_among(images))
    text = encoder.chat.render(row["prompt"], len(images) - videos, videos)
    try:
        encoder.chat.inputs([text], [images])
    except DataError:
        raise
    except REFUSALS as error:
        raise ImageError(f"the model's processor refuses the video: {error}") from error


def _try_size(image: Any, name: str, chat: Chat, sizes: set[tuple[int, int]]) -> None:
    """Raises ImageError when the processor does not take an image of this size, which is what refusals depend on."""
    if image.size not in sizes and hasattr(chat.processor, "image_processor"):
        try:
            chat.processor.image_processor(images=chat.pictures([image]))
        except REFUSALS as error:
            raise ImageError(f"{name}: the model's processor refuses the image: {error}") from error
    sizes.add(image.size)


def _try_prompt(record: Any, encoder: Encoder, roots: ImageRoots, tried: set[Any]) -> None:
    """Raises DataError for a prompt that the model does not take, as it would in the middle of a training.

    Processors refuse by the number of images that the text has places for, chat templates by what is said. Prompts
    without images, and the first with each number of them in each turn, are encoded as a whole; of others with a system
    prompt or several turns the text is made.
    """
    images = len(record.images)
    said = (record.prompt, record.system, record.turns, images)
    if said in tried:
        return
    places = (images, bool(record.system), *(turn.text.count(PICTURE) for turn in record.turns))
    if not images or places not in tried:
        encoder.prompt(RowDataset([record], roots)[0])
    elif record.system or record.turns:
        encoder.chat.render(columns(record)["prompt"], images)
    tried |= {said, places}


def at_most(records: Sequence[T], most: int | None, seed: int) -> list[T]:
    """`most` of the records, drawn with the seed, in their order; None: all."""
    if most is None or len(records) <= most:
        return list(records)
    return [records[number] for number in sorted(random.Random(seed).sample(range(len(records)), most))]


def split_held_out(records: Sequence[Any], share: float) -> tuple[list[Any], list[Any]]:
    """The records to train on, and those of about `share` of the questions, told by a checksum of the question's id."""
    kept: list[Any] = []
    held_out: list[Any] = []
    for record in records:
        (held_out if in_share(record.question_id, share) else kept).append(record)
    return kept, held_out
