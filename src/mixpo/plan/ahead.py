"""A training before it runs: of pairs that are there, or of those that there may be at most."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mixpo.batches.encode import Encoder
from mixpo.errors import DataError, ImageError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.models.load import load_processor
from mixpo.models.shape import Shape
from mixpo.plan.changes import MARGIN, Planned, gib, made_to_fit
from mixpo.plan.estimate import step_cost, training_seconds
from mixpo.plan.lengths import Pairs, chunks, encoded, lengths
from mixpo.plan.machines import Machine
from mixpo.plan.plan import settled
from mixpo.training.rows import RowDataset

LOOKED_AT = 32
"""Groups of pairs, or pairs of a file, whose lengths stand for all."""


@dataclass(frozen=True, kw_only=True)
class PlannedTraining:
    """What a `train` section's training takes on a machine."""

    planned: Planned
    records: int
    machine: Machine

    @property
    def steps(self) -> int:
        return max(1, -(-int(self.planned.config.epochs * self.records) // self.planned.config.batch))

    @property
    def seconds(self) -> float | None:
        _, flops = step_cost(self.planned, self.planned.setup.reference == "live")
        share = self.planned.config.epochs * self.records / self.planned.config.batch
        return training_seconds(flops * share, self.planned, self.machine)

    @property
    def memory(self) -> float:
        return self.planned.memory().total

    @property
    def warning(self) -> str:
        """That it does not fit, and what makes it fit; empty where it does, or where that is not known."""
        have = memory_of(self.machine)
        if have is None or self.memory <= have * (MARGIN if self.machine.memory is None else 1):
            return ""
        found = made_to_fit(self.planned, have)
        advice = f"it fits with {' and '.join(f'`{each}`' for each in found.changes)}" if found else "nothing helps"
        return f"{self.planned.config.name} does not fit ({gib(self.memory)} of {gib(have)} GiB): {advice}"


def training(config: Any, shape: Shape, groups: Sequence[Pairs], records: int, machine: Machine) -> PlannedTraining:
    return PlannedTraining(planned=settled(config, shape, groups, machine), records=records, machine=machine)


def memory_of(machine: Machine) -> float | None:
    """Bytes of a device; of a CPU all of the machine's, None where the system does not tell."""
    if machine.memory is not None:
        return machine.memory
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None


def groups_there(config: Any, files: RunFiles, model_path: str, patch: int) -> tuple[list[Pairs], int]:
    """Lengths of some of the records that lie in the run already, and how many there are."""
    stored: Any = files.demonstrations(config.demonstrations) if config.demonstrations else files.pairs(config.pairs)
    records = list(stored)
    rows = RowDataset(records, ImageRoots.load(files.image_roots_file(config.questions)))
    whole = chunks(rows, config.pairs_per_group)
    some = whole[:: -(-len(whole) // LOOKED_AT)] if whole else []
    return list(encoded(rows, some, encoder_of(config, model_path), patch)), len(records)


def groups_of(rows: Iterable[dict[str, Any]], encoder: Encoder, patch: int) -> list[Pairs]:
    """The same of rows that are no records yet, each a group of its own; what cannot be trained on is left out."""
    found = []
    for row in rows:
        try:
            example = encoder(row)
        except (DataError, ImageError):
            continue
        full, chosen = (lengths(example, example.completions[:count], encoder, patch) for count in (2, 1))
        found.append(Pairs(1, full, chosen))
    return found


def encoder_of(config: Any, model_path: str) -> Encoder:
    """Of a `train` section: completions as long as it takes them."""
    needs = not config.demonstrations
    return Encoder(load_processor(model_path, inputs=config.inputs), config.max_completion_length, needs_rejected=needs)
