"""What the processes of a training do alike: sums over all of them, rows of their own, the same modules run."""

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from transformers.trainer_utils import has_length

from mixpo.batches.encode import IMAGES, VIDEOS, Example
from mixpo.batches.grouping import passes
from mixpo.batches.ranks import RankShare
from mixpo.errors import UserError


def _reentrant(args: Any) -> bool:
    """Whether layers are checkpointed in the old way, which DDP cannot look through."""
    given = (getattr(args, f"{word}_checkpointing_kwargs", None) for word in ("activation", "gradient"))
    return any(one and one.get("use_reentrant") for one in given)


class Processes:
    """This process among all of them."""

    def __init__(self, args: Any, filler: Callable[[bool], Example], crossing: bool = False):
        """`filler` makes an example with an image or a video that does not count (`Encoder.filler`); `crossing`:
        whether the model attends to images apart (`models.attention.cross_attends`)."""
        # Examples are no tensors: every process reads its own rows, also of a streamed data set.
        args.accelerator_config.dispatch_batches = False
        args.accelerator_config.split_batches = False  # `RankShare` knows how batches go to the ranks
        args.accelerator_config.even_batches = True
        if args.ddp_find_unused_parameters is None and not _reentrant(args):
            # Trainer says no where layers are checkpointed. Towers end before their last layer (LLaVA), or keep a
            # pooling head that nothing reads: DDP waits for their gradients, and fails at the second step.
            args.ddp_find_unused_parameters = True
        # What DDP says of gradients that are laid out as the convolution of patches leaves them: it costs a copy.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        self.args = args
        self.accelerator: Any = None
        """The trainer's, once it has one."""
        self._filler = cache(filler)
        self.videos = False
        """Whether any process has shown videos to the vision tower."""
        self.crossing = crossing

    def total(self, numbers: Sequence[float]) -> list[float]:
        """The numbers summed over the processes."""
        if self.args.world_size == 1:
            return list(numbers)
        exact = torch.float32 if self.args.device.type == "mps" else torch.float64
        return self.accelerator.reduce(torch.tensor(numbers, dtype=exact, device=self.args.device), "sum").tolist()

    def most(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.args.world_size == 1:
            return number
        return int(self.accelerator.gather(torch.tensor([number], device=self.args.device)).max())

    def share(self, rows: Any, batch: int) -> RankShare | None:
        """None in one process, and for a stream without length, whose last rows may count twice."""
        if self.args.world_size == 1 or not has_length(rows):
            return None
        return RankShare(len(rows), batch, self.args.world_size, self.args.process_index)

    def own(self, groups: list[list[Example]], rows: Any, step: int) -> list[list[Example]]:
        """The batches of an optimizer step without rows that a process has had already in this epoch."""
        share = self.share(rows, self.args.train_batch_size)
        if share is None:
            return groups
        return share.own(groups, share.first_batch(step, self.args.gradient_accumulation_steps))

    def meet(self, examples: Sequence[Example]) -> None:
        """Notes whether any process has videos; all of them call it together."""
        if self.args.world_size > 1 and not self.videos:
            self.videos = bool(self.total([sum(VIDEOS in example.image_inputs for example in examples)])[0])

    def with_vision(self, examples: list[Example]) -> list[Example]:
        """With an image on every process, and a video where any process has had one: one that skips the vision tower,
        which runs for each of the two, would leave the others waiting for it."""
        if self.args.world_size == 1:
            return examples
        shown = {name for example in examples for name in example.image_inputs}
        films = [self._filler(True)] if self.videos and VIDEOS not in shown else []
        return [*examples, *films, *([] if IMAGES in shown else [self._filler(False)])]

    def rows(self, examples: list[Example], budget: int | None, engine: bool) -> list[list[Example]]:
        """The examples by forward pass (`passes`), each with an image where several processes compute; with an `engine`
        that shards, equally many on all of them.

        Raises UserError for an engine and a prompt without images, where that leaves layers out: the others would wait.
        """
        rows = passes(self.with_vision(examples) if self.crossing else examples, budget)
        if engine and (self.crossing or budget is not None):
            rows += [[]] * (self.most(len(rows)) - len(rows))  # `with_vision` makes something of nothing
        if not self.crossing:
            return [self.with_vision(row) for row in rows]
        if engine and not all(example.image_inputs for row in rows for example in row):
            raise UserError(
                "a model that attends to images apart cannot be sharded on pairs without images, which leave layers "
                "out; drop them, or train without shard"
            )
        return [row or self.with_vision(row) for row in rows]
