"""Where the host waits for the GPU."""

import contextlib
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def waits() -> Iterator[Counter[str]]:
    """Counter of `file:line code` of mixpo's (else of the innermost frame) where the host waited for the GPU."""
    found: Counter[str] = Counter()

    def note(message, category, filename, lineno, file=None, line=None):
        if "synchronizing CUDA" not in str(message):
            return
        frames = [frame for frame in traceback.extract_stack()[:-1] if "warnings.py" not in frame.filename]
        ours = [frame for frame in frames if "/src/mixpo/" in frame.filename]
        place = (ours or frames)[-1]
        found[f"{place.filename.split('/src/')[-1].split('site-packages/')[-1]}:{place.lineno} {place.line}"] += 1

    before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
            warnings.showwarning = before
