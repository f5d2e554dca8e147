"""Recording work on a GPU as a CUDA graph: a thousand kernels played again by one launch
(https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""

import logging
from collections.abc import Callable
from typing import Any

import torch

from mixpo.errors import first_line

log = logging.getLogger(__name__)


class Recorder:
    """Makes graphs that share their memory, until some work cannot be recorded; from then on it makes none."""

    def __init__(self) -> None:
        self.works = True
        self.pool: Any = None

    def new_pool(self) -> None:
        """For graphs that come after all others have gone: torch does not take up a pool that was left."""
        self.pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
        """`work` as a graph, not done yet; None, with a warning the first time, where it cannot be recorded: the host
        waits for a value within it, or copies one to the device. Raises torch.OutOfMemoryError."""
        if not self.works:
            return None
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # Other threads (that prepare images) may go on with what they do.
            with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
                work()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.works = False
            log.warning("steps cannot be recorded as a CUDA graph, so each is slower (%s)", _reason(error))
            return None
        finally:
            # torch leaves its own stream in place when a recording fails.
            torch.cuda.set_stream(stream)
        return graph


def _reason(error: BaseException) -> str:
    # What went wrong within; the end of the recording fails after it, and says only that.
    while isinstance(error.__context__, RuntimeError):
        error = error.__context__
    return first_line(error)
