"""The rows, the model and the run folder of `fixtures.pairs_run`."""

from fixtures.pairs_run import checkpoint, model, processor, rows, run_folder

__all__ = ["checkpoint", "model", "processor", "rows", "run_folder"]
