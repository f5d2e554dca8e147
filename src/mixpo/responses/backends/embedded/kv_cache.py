"""Keys and values of responses in progress: a prompt's once, for all its samples; each response's own beside it.

    prompts, layer l:  (prompts, heads, columns, width of a head)   row p: the tokens of prompt p, from column 0
    own, layer l:      (rows, heads, columns, width of a head)      row r: what response r has written, from column 0

Memory is laid out in advance and grows by whole steps; what leaves is overwritten by the last of its kind.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from mixpo.responses.backends.embedded.attention import Grouping, StepLayout, attend

STEP = 64
"""Columns added when the responses have outgrown their memory: one copy of everything for so many tokens."""

GPU_SPARE = 8
"""An eighth of the rows is what a GPU keeps free for more: its budget is nearly all that it has, and it copies fast."""

KeysValues = tuple[Tensor, Tensor]


class Slab:
    """Keys and values of all layers, one row per prompt (or response)."""

    def __init__(self) -> None:
        self.layers: list[KeysValues] = []
        self.rows = 0
        self.capacity = 0
        self.columns = 0
        self.resized = 0
        """How often its tensors were replaced by others."""

    def resize(self, like: Sequence[KeysValues], capacity: int, columns: int) -> None:
        """New memory of the shape of `like` (rows and columns aside), with what was there."""
        kept = min(columns, self.columns)
        for number, pair in enumerate(like):
            grown = []
            for side, tensor in enumerate(pair):
                # Zeros, not uninitialised memory: a masked NaN would still spoil the sum.
                new = tensor.new_zeros((capacity, tensor.shape[1], columns, tensor.shape[3]))
                if self.rows:
                    new[: self.rows, :, :kept] = self.layers[number][side][: self.rows, :, :kept]
                grown.append(new)
            self.layers[number : number + 1] = [(grown[0], grown[1])]
        self.capacity, self.columns = capacity, columns
        self.resized += 1

    def keep(self, stay: Tensor) -> Tensor:
        """Drops the rows where `stay` (rows,) is false; returns which old row each of those left now is. Both are on
        the host."""
        order = torch.arange(self.rows)
        count = int(stay.sum())
        holes = order[:count][~stay[:count]]
        movers = order[count:][stay[count:]]
        moves = torch.stack([holes, movers]).to(self.layers[0][0].device, non_blocking=True)
        for pair in self.layers:
            for tensor in pair:
                tensor[moves[0]] = tensor[moves[1]]
        order[holes] = movers
        self.rows = count
        return order[:count]


class ResponseCache(CacheLayerMixin):
    """What one layer of the model sees as its cache: it writes a step's keys and values; `attend` reads them."""

    is_sliding = False

    def __init__(self, memory: "Memory", number: int):
        super().__init__()
        self.memory, self.number = memory, number
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """`Memory` has laid it out."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> KeysValues:
        """Writes one token of each row, (rows, heads, 1, width)."""
        memory = self.memory
        assert memory.step is not None
        columns = memory.step.counts[:, None, None, None]
        for stored, states in zip(memory.own.layers[self.number], (key_states, value_states), strict=True):
            stored[: len(states)].scatter_(2, columns.expand_as(states), states)
        memory.layer = self.number
        return key_states, value_states

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self.memory.prompts.columns + self.memory.width

    def get_max_length(self) -> int:
        return -1


class Memory:
    """The prompts and responses in progress, at most `budget` tokens of them unless a single row needs more."""

    def __init__(self, budget: int, device: torch.device, windows: Sequence[int | None], most_rows: int | None = None):
        """`windows`: how far each layer looks back, in tokens; None: as far as there is something. `most_rows`: more
        than so many do not fit."""
        self.budget, self.device, self.windows, self.most_rows = budget, device, windows, most_rows
        self.spare = GPU_SPARE if device.type == "cuda" else 1
        self.prompts, self.own = Slab(), Slab()
        self.lengths = torch.zeros(0, dtype=torch.long)
        """Tokens of each prompt, on the host, (prompts,)."""
        self.prompt_of = torch.zeros(0, dtype=torch.long)
        """The prompt of each row, on the host, (rows,)."""
        self.width = 0
        """At least as many as the tokens in memory of any row."""
        self.expected = 0
        """How long a response is expected to get: no more rows join than have room for that."""
        self.layer = 0
        """The layer that was written last."""
        self.step: StepLayout | None = None
        """What the step in progress looks at."""
        self._grouping: Grouping | None = None
        self.cache = Cache(layers=[ResponseCache(self, number) for number in range(len(windows))])

    def fits(self, prompts: int, rows: int, columns: int) -> bool:
        """Whether so many more prompts, of at most `columns` tokens, and rows may join now."""
        columns = max(columns, self.prompts.columns if self.prompts.rows else 0)
        if self.most_rows is not None and self.own.rows + rows > self.most_rows:
            return False
        prompt_tokens = (self.prompts.rows + prompts) * columns
        own_columns = max(self._own_columns(), self.expected)
        return prompt_tokens + (self.own.rows + rows) * own_columns <= self.budget

    def _own_columns(self) -> int:
        return self.width + STEP if self.width >= self.own.columns or not self.own.rows else self.own.columns

    def join(self, layers: Sequence[KeysValues], lengths: Tensor, sources: Tensor) -> None:
        """Adds prompts and rows. `layers`: keys and values, each (prompts, heads, columns, width), left-padded, of
        prompts with `lengths` (prompts,) tokens; `sources` (rows,): the prompt that each row continues; both on the
        host."""
        used, prompt_of = sources.unique(return_inverse=True)
        first, count, longest = self.prompts.rows, self.prompts.rows + len(used), int(lengths[used].max())
        if not first:
            self.prompts.columns = 0
        if count > self.prompts.capacity or longest > self.prompts.columns:
            columns = max(longest, self.prompts.columns)
            self.prompts.resize(layers, self._capacity(count, first, columns), columns)
        # Column of each token in `layers`; behind a prompt's end its last token once more, which nothing looks at.
        width = layers[0][0].shape[2]
        columns_of = (torch.arange(longest) + (width - lengths[used])[:, None]).clamp_(max=width - 1)
        taken, at = (index.to(self.device, non_blocking=True) for index in (used[:, None], columns_of))
        for pair, stored in zip(layers, self.prompts.layers, strict=True):
            for tensor, memory in zip(pair, stored, strict=True):
                memory[first:count, :, :longest] = tensor[taken, :, at].transpose(1, 2)
        self.prompts.rows = count
        self.lengths = torch.cat([self.lengths, lengths[used]])
        self._join_rows(layers, first + prompt_of)

    def _join_rows(self, layers: Sequence[KeysValues], prompt_of: Tensor) -> None:
        rows, columns = self.own.rows + len(prompt_of), self._own_columns()
        if rows > self.own.capacity or columns != self.own.columns:
            self.own.resize(layers, self._capacity(rows, self.own.rows, columns), columns)
        self.own.rows = rows
        self.prompt_of = torch.cat([self.prompt_of, prompt_of])
        self._grouping = None

    def _capacity(self, needed: int, before: int, columns: int) -> int:
        """Room for as many more as there were, or a share of them, so that few joins copy; not beyond the budget."""
        return max(needed, min(needed + before // self.spare, self.budget // columns))

    def used(self) -> int:
        """Tokens that there is memory for in the rows of prompts and responses."""
        return sum(slab.rows * slab.columns for slab in (self.prompts, self.own))

    def leave(self, stay: Tensor, counts: Tensor) -> Tensor:
        """Drops the rows where `stay` (rows,) is false, and prompts without rows; `counts` (rows,): tokens in memory of
        each. Returns the new order of rows. All three are on the host."""
        order = self.own.keep(stay)
        self.prompt_of = self.prompt_of[order]
        self.width = int(counts[order].max()) if len(order) else 0
        wanted = torch.zeros(self.prompts.rows, dtype=torch.bool)
        wanted[self.prompt_of] = True
        if not wanted.all():
            moved = self.prompts.keep(wanted)
            self.lengths = self.lengths[moved]
            place = torch.zeros(len(wanted), dtype=torch.long)
            place[moved] = torch.arange(len(moved))
            self.prompt_of = place[self.prompt_of]
        self._grouping = None
        return order

    def full(self) -> bool:
        """Whether the next step has no column left for some row."""
        return self.width >= self.own.columns

    def fitting(self) -> int:
        """How many rows the budget allows once there are more columns."""
        left = self.budget - self.prompts.rows * self.prompts.columns
        return max(1, left // (self.width + STEP))

    def extend(self) -> None:
        """Makes room for more columns."""
        self.own.resize(self.own.layers, max(self.own.rows, min(self.own.capacity, self.fitting())), self.width + STEP)

    def grouping(self) -> Grouping:
        """How the rows lie on their prompts, on the device."""
        if self._grouping is None:
            self._grouping = Grouping.of(self.lengths, self.prompt_of).to(self.device)
        return self._grouping

    def attend(self, query: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """Attention of the layer written last; `query` and the result are (rows, heads, 1, width)."""
        step = self.step
        assert step is not None
        prompts = [tensor[: len(step.grouping.lengths)] for tensor in self.prompts.layers[self.layer]]
        own = [tensor[: len(query), :, : step.columns] for tensor in self.own.layers[self.layer]]
        window = self.windows[self.layer]
        return attend(query * scaling, (prompts[0], prompts[1]), (own[0], own[1]), step, window, softcap)

    def release(self) -> None:
        """Lets go of all tensors: model and cache refer to one another, and would keep them until Python tidies up."""
        self.prompts, self.own, self.step, self._grouping = Slab(), Slab(), None, None
