"""Keys and values of many responses in progress, in preallocated memory.

All rows append at the same column. A row that joins later has its prompt's keys copied to end at that
column, with unused columns to its left, which the mask hides: exact, because keys carry their own
rotary positions. A row that leaves is overwritten by the last row.

    column        0 1 2 3 4 5 6 7        first = 1 (smallest start), stop = 6
    row 0         . a a a a a _ _        start 1
    row 1         . . . b b b _ _        start 3: joined later
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

SLACK = 64
"""Columns added when the memory is laid out anew: one copy of everything for so many steps."""


class Window:
    """Which part of the memory is in use, shared by all layers."""

    def __init__(self) -> None:
        self.rows = 0
        self.first = 0
        self.stop = 0


class WindowLayer(CacheLayerMixin):
    """One layer's keys and values, (row capacity, heads, columns, width of a head)."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, window: Window, keys: Tensor, values: Tensor):
        super().__init__()
        self.window, self.keys, self.values = window, keys, values
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Memory is laid out by `RowCache`."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Writes one column, (rows, heads, 1, width), and returns all columns in use."""
        w = self.window
        self.keys[: w.rows, :, w.stop] = key_states[:, :, 0]
        self.values[: w.rows, :, w.stop] = value_states[:, :, 0]
        return self.keys[: w.rows, :, w.first : w.stop + 1], self.values[: w.rows, :, w.first : w.stop + 1]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self.window.stop - self.window.first

    def get_max_length(self) -> int:
        return -1

    def relayout(self, rows: int, columns: int, stop: int) -> None:
        """Moves what is in use to new memory, so that it ends at column `stop`."""
        w = self.window
        for name, old in (("keys", self.keys), ("values", self.values)):
            # Zeros, not uninitialised memory: a hidden NaN would still spoil the attention's sum.
            new = torch.zeros((rows, old.shape[1], columns, old.shape[3]), dtype=old.dtype, device=old.device)
            new[: w.rows, :, stop - (w.stop - w.first) : stop] = old[: w.rows, :, w.first : w.stop]
            setattr(self, name, new)


class RowCache:
    """The memory of all layers, at most `budget` tokens of it (rows x columns) unless a single row needs more."""

    def __init__(self, budget: int, device: torch.device):
        self.budget, self.device = budget, device
        self.window = Window()
        self.starts = torch.zeros(0, dtype=torch.long, device=device)
        self.layers: list[WindowLayer] = []
        self.capacity = 0
        self.columns = 0

    def model_cache(self) -> Cache:
        """The cache that a model's forward takes."""
        return Cache(layers=list(self.layers))

    def room(self, prompt_columns: int) -> int:
        """How many rows with prompts of this length may join now."""
        w = self.window
        width = max(w.stop - w.first, prompt_columns)
        if w.rows and w.stop >= prompt_columns and w.stop < self.columns:
            return self.capacity - w.rows
        return max(self.budget // (width + SLACK), 0 if w.rows else 1) - w.rows

    def join(self, layers: Sequence[tuple[Tensor, Tensor]], sources: Tensor, lengths: Tensor) -> None:
        """Adds rows: keys and values of `layers`, each (prompts, heads, columns, width), left-padded, of the
        prompts `sources` (rows,), which have `lengths` (rows,) tokens."""
        w = self.window
        needed = int(lengths.max())
        if not self.layers:
            self.layers = [WindowLayer(w, keys[:0, :, :0], values[:0, :, :0]) for keys, values in layers]
        if w.rows == 0:
            w.first = w.stop = needed
        rows = w.rows + len(sources)
        if rows > self.capacity or needed > w.stop or w.stop >= self.columns:
            self._relayout(max(w.stop - w.first, needed) if w.rows else needed)
        for layer, (keys, values) in zip(self.layers, layers, strict=True):
            columns = keys.shape[2]
            layer.keys[w.rows : rows, :, w.stop - needed : w.stop] = keys[sources, :, columns - needed :]
            layer.values[w.rows : rows, :, w.stop - needed : w.stop] = values[sources, :, columns - needed :]
        self.starts = torch.cat([self.starts, w.stop - lengths])
        w.rows = rows
        w.first = int(self.starts.min())

    def leave(self, stay: Tensor) -> Tensor:
        """Drops the rows where `stay` (rows,) is false; returns which old row each of those left now is."""
        order = torch.arange(self.window.rows, device=self.device)
        count = int(stay.sum())
        holes = order[:count][~stay[:count]]
        movers = order[count:][stay[count:]]
        order[holes] = movers
        w = self.window
        for layer in self.layers:
            layer.keys[holes, :, w.first : w.stop] = layer.keys[movers, :, w.first : w.stop]
            layer.values[holes, :, w.first : w.stop] = layer.values[movers, :, w.first : w.stop]
        order = order[:count]
        self.starts = self.starts[order]
        w.rows = count
        w.first = int(self.starts.min()) if count else w.stop
        return order

    def mask(self) -> Tensor:
        """Which columns each row may attend to in the next step, the new one included: (rows, columns in use + 1)."""
        columns = torch.arange(self.window.first, self.window.stop + 1, device=self.device)
        return (columns >= self.starts[:, None]).long()

    def full(self) -> bool:
        """Whether the next step has no column left."""
        return self.window.stop >= self.columns

    def fitting(self) -> int:
        """How many rows the budget allows once there are more columns."""
        return max(1, self.budget // (self.window.stop - self.window.first + SLACK))

    def extend(self) -> None:
        """Makes room for more columns, and trims those at the left that no row uses."""
        self._relayout(self.window.stop - self.window.first)

    def advance(self) -> None:
        """After a step: its column belongs to the rows now."""
        self.window.stop += 1

    def _relayout(self, stop: int) -> None:
        w = self.window
        self.columns = stop + SLACK
        self.capacity = max(1, w.rows, self.budget // self.columns)
        for layer in self.layers:
            layer.relayout(self.capacity, self.columns, stop)
        self.starts = self.starts + (stop - w.stop)
        w.first, w.stop = stop - (w.stop - w.first), stop
