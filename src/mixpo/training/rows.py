"""Preference pairs and demonstrations as the rows that a trainer takes."""

from typing import Any

from torch.utils.data import Dataset

from mixpo.images import ImageRoots
from mixpo.messages import messages
from mixpo.records import Demonstration, PreferencePair


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

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self.records[index]
        prompt = messages(record.prompt, len(record.images), record.system, record.turns)
        row = {"id": record.id, "images": [self.roots.open(image) for image in record.images], "prompt": prompt}
        if isinstance(record, PreferencePair):
            given = {"chosen": record.chosen, "rejected": record.rejected, "rejected_ended": record.rejected_ended}
            return {**row, **given}
        return {**row, "chosen": record.text}
