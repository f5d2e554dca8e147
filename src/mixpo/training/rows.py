"""Preference pairs and demonstrations as the rows that a trainer takes."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import Dataset

from mixpo.images import ImageRoots
from mixpo.messages import messages
from mixpo.records import Demonstration, PreferencePair
from mixpo.videos import opened, places

COMPLETIONS = (
    *("chosen", "chosen_ended", "chosen_token_ids"),
    *("rejected", "rejected_ended", "rejected_token_ids"),
)


class RowDataset(Dataset):
    """Records as rows in TRL's conversational format; images are opened when a row is asked for."""

    def __init__(self, records: list[PreferencePair] | list[Demonstration], roots: ImageRoots, fingerprint: str = ""):
        self.records = records
        self.roots = roots
        self._fingerprint = fingerprint
        """As `datasets.Dataset` has it: the cached reference knows the rows again by it."""

    @property
    def question_ids(self) -> list[str]:
        return [record.question_id for record in self.records]

    def __len__(self) -> int:
        return len(self.records)

    def __getitems__(self, indices: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The rows of a micro-batch as torch's loader asks for them: one by one, so that the images of one alone are
        decoded at a time."""
        return (self[index] for index in indices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self.records[index]
        images = opened(record.images, record.videos, self.roots)
        return {"id": record.id, "images": images, **columns(record)}


def columns(record: PreferencePair | Demonstration) -> dict[str, Any]:
    """A record's row without its images."""
    shown, videos = places(len(record.images), record.videos)
    prompt = messages(record.prompt, shown, record.system, record.turns, videos)
    if isinstance(record, Demonstration):
        return {"prompt": prompt, "chosen": record.text, "chosen_ended": record.ended}
    return {"prompt": prompt, **{name: getattr(record, name) for name in COMPLETIONS}}
