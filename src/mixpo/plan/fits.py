"""Whether a training that begins can fit the GPUs that are there."""

import logging
import os
from typing import Any

from mixpo.batches.encode import Encoder
from mixpo.errors import UserError, first_line
from mixpo.plan.changes import verdict
from mixpo.plan.lengths import encoded, longest_rows
from mixpo.plan.machines import this_gpu
from mixpo.plan.plan import settled, shape_on_paper
from mixpo.training.rows import RowDataset

log = logging.getLogger(__name__)


def refuse_what_cannot_fit(config: Any, model_path: str, processor: Any, rows: RowDataset) -> bool | None:
    """Raises UserError for a training whose longest micro-batch does not fit a GPU of this machine.

    Returns whether layers are checkpointed in what fits (`gradient_checkpointing: auto`: only if they must be); None
    where that is not known.

    Pairs are told long by their characters and number of images, and only those of one micro-batch are encoded. On a
    CPU nothing is refused: its memory is shared with all else, and what does not fit is swapped before it fails. When
    this check itself cannot be made, a line says so and the training begins.
    """
    machine = this_gpu(int(os.environ.get("WORLD_SIZE", "1")))
    if machine is None or machine.memory is None or config.trainer.get("use_cpu"):
        return None
    try:
        shape = shape_on_paper(model_path, config.trust_remote_code)
        encoder = Encoder(processor, config.max_completion_length, needs_rejected=not config.demonstrations)
        groups = longest_rows(rows, config.pairs_per_group, config.micro_batch)
        lengths = list(encoded(rows, groups, encoder, shape.patch))
        planned = settled(config, shape, lengths, machine)
        found = verdict(planned, machine.memory)
    except Exception as error:  # whatever it is, it is no reason not to train
        log.warning("%s: whether it fits the GPU's memory could not be planned (%s)", config.name, first_line(error))
        return None
    if not found.startswith("fits"):
        raise UserError(f"{config.name}: {found}; --force starts it nevertheless")
    return planned.setup.gradient_checkpointing
