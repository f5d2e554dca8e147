"""One token more for every row: the model's forward, the drawing of the token, and what is kept of it.

`PlainSteps` does a step with as many rows as there are. `StaticSteps` is for GPUs: its tensors keep their shapes and
addresses as long as no row joins or leaves, so that a step can be recorded as a CUDA graph and played again by a single
launch, and the host looks at one number a step.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from mixpo.responses.backends.embedded.attention import Grouping, StepLayout, StepShape, shared_prompts
from mixpo.responses.backends.embedded.draw import Choose
from mixpo.responses.backends.embedded.graphs import Recorder
from mixpo.responses.backends.embedded.kv_cache import Memory
from mixpo.responses.backends.embedded.prefill import position_ids
from mixpo.responses.backends.embedded.rows import TENSORS, DecodingRows

LEAVE_SHARE = 8
"""Static rows that have finished leave when they are an eighth of all: every other shape is another graph."""
MOST_ROWS = 512
"""Static rows at once: the logits of so many are 0.3 GB a copy at 152,000 tokens in the vocabulary, in float32."""
MOST_FRAMES = 16
"""Shapes whose tensors and graphs are kept; beyond them the one that was used longest ago goes."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How tokens are chosen and scored."""

    choose: Choose
    seed: int
    logps: bool

    def __call__(self, rows: DecodingRows, logits: Tensor) -> Tensor:
        """The next token of each row, (rows,); their log-probabilities are added to the rows' sums on request."""
        tokens = self.choose(logits, rows.keys, rows.counts)
        if self.logps:
            logps = logits.log_softmax(-1).gather(1, tokens[:, None]).squeeze(1)
            rows.logps += logps.masked_fill_(rows.finished, 0.0)
        return tokens


class DecodeSteps(Protocol):
    """What goes on with rows whose keys and values are in a `Memory`."""

    def advance(self, rows: DecodingRows) -> None:
        """Writes a token or more to each row, until some row has finished or the memory has no column left."""


class PlainSteps:
    """One step at a time."""

    def __init__(self, model: Any, drawing: Drawing, end_ids: Tensor, memory: Memory):
        self.model, self.drawing, self.end_ids, self.memory = model, drawing, end_ids, memory

    def advance(self, rows: DecodingRows) -> None:
        memory = self.memory
        with shared_prompts(self.model, memory):
            self._step(rows, StepLayout(memory.grouping(), rows.counts - 1, memory.width + 1))
        memory.width += 1

    def _step(self, rows: DecodingRows, layout: StepLayout) -> None:
        self.memory.step = layout
        outputs = self.model(
            input_ids=rows.newest(),
            position_ids=position_ids(rows.positions),
            past_key_values=self.memory.cache,
            use_cache=True,
            return_dict=True,
        )
        # Those of finished rows stay within the model's context.
        rows.positions += (~rows.finished)[:, None]
        rows.write(self.drawing(rows, outputs.logits[:, -1].float()), self.end_ids)


class Frame:
    """The tensors of one shape: those of `DecodingRows` and `Grouping`, with rows and prompts that only fill up."""

    def __init__(self, shape: StepShape, like: DecodingRows):
        self.shape, device = shape, like.counts.device
        tensors = {name: getattr(like, name) for name in TENSORS}
        self.rows = DecodingRows(
            owners=[], **{name: tensor.new_zeros((shape.rows, *tensor.shape[1:])) for name, tensor in tensors.items()}
        )
        sizes = (shape.prompts, shape.most), (shape.rows,), (shape.prompts,), (shape.rows,)
        self.grouping = Grouping(*(torch.zeros(size, dtype=torch.long, device=device) for size in sizes))
        self.ended = torch.zeros((), dtype=torch.long, device=device)
        """How many rows have finished, those that fill up included."""
        self.graph: Any = None
        self.stepped = False
        """Whether a step of this shape has been done, so that everything is set up that a recording must not set up."""

    def load(self, rows: DecodingRows, memory: Memory) -> None:
        """Takes over `rows`; those behind them have finished, and write their first token again and again."""
        self.grouping.copy_(Grouping.of(memory.lengths, memory.prompt_of, self.shape))
        for name in TENSORS:
            getattr(self.rows, name)[: len(rows)] = getattr(rows, name)
        self.rows.finished[len(rows) :] = True
        self.rows.counts[len(rows) :] = 1
        self.rows.positions[len(rows) :] = 0

    def store(self, rows: DecodingRows) -> None:
        """Gives back what `load` took, with what was written since."""
        for name in TENSORS:
            getattr(rows, name).copy_(getattr(self.rows, name)[: len(rows)])


class StaticSteps(PlainSteps):
    """Many steps in a row, of rounded shapes; finished rows wait for enough others, and then all leave."""

    def __init__(self, model: Any, drawing: Drawing, end_ids: Tensor, memory: Memory, recorder: Recorder | None):
        """`recorder`: makes graphs; without one every step is done as it is written here."""
        super().__init__(model, drawing, end_ids, memory)
        self.recorder = recorder
        self.frames: OrderedDict[StepShape, Frame] = OrderedDict()
        self.resized = (0, 0)
        """State of the memory that the frames' graphs read and write."""

    def advance(self, rows: DecodingRows) -> None:
        memory, frame = self.memory, self._frame(rows)
        frame.load(rows, memory)
        enough = frame.shape.rows - len(rows) + max(1, len(rows) // LEAVE_SHARE)
        with shared_prompts(self.model, memory):
            while not memory.full():
                self._run(frame)
                memory.width += 1
                if int(frame.ended) >= enough:
                    break
        frame.store(rows)

    def _frame(self, rows: DecodingRows) -> Frame:
        prompts, own = self.memory.prompts, self.memory.own
        if self.resized != (prompts.resized, own.resized):
            self.frames.clear()
            self.resized = prompts.resized, own.resized
            if self.recorder:
                self.recorder.new_pool()
        shape = StepShape(
            rows=min(rounded(own.rows), own.capacity),
            prompts=min(rounded(prompts.rows), prompts.capacity),
            most=rounded(int(torch.bincount(self.memory.prompt_of).max())),
        )
        if shape not in self.frames:
            while len(self.frames) >= MOST_FRAMES:
                self.frames.popitem(last=False)
            self.frames[shape] = Frame(shape, rows)
        self.frames.move_to_end(shape)
        return self.frames[shape]

    def _run(self, frame: Frame) -> None:
        def step() -> None:
            self._step(frame.rows, StepLayout(frame.grouping, frame.rows.counts - 1, self.memory.own.columns))
            frame.ended.copy_(frame.rows.finished.sum())

        if self.recorder and frame.stepped and frame.graph is None:
            frame.graph = self.recorder.record(step)
        if frame.graph is not None:
            frame.graph.replay()
        else:
            step()
        frame.stepped = True


def rounded(count: int) -> int:
    """`count`, up to the next number with at most three binary digits that count: 1 to 8, 10, 12, 14, 16, 20, 24 …"""
    digit = 1 << max(0, count.bit_length() - 3)
    return -(-count // digit) * digit
