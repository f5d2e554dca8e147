"""The rows, the model and the run folder of `fixtures.pairs_run`."""

from fixtures.pairs_run import model, processor, rows, run_folder

__all__ = ["model", "processor", "rows", "run_folder"]
