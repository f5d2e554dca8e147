"""A training that cannot fit the GPU is not begun."""

import re

from devices.null_gpu import SCRIPTS
from fixtures.pairs_run import processor, rows, run_folder

__all__ = ["processor", "rows", "run_folder"]
RECIPE = "run: {run}\nsteps:\n  train: {{batch: 2, micro_batch: 2}}\n"


def test_a_training_that_cannot_fit_is_refused_with_what_makes_it_fit(on_null_gpu, run_folder, tmp_path):
    """1.1 million weights, with gradients, moments and a reference 22 MB; 23 are there beside CUDA's own 1.5 GiB."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(run=run_folder.root))
    memory = 1.5 * 2**30 + 23e6
    refused, *begun = on_null_gpu(SCRIPTS / "refused.py", str(recipe), "train.reference=cached", memory=memory)
    expected = r"train: does not fit \(0\.\d+ of 0\.0214 GiB\): fits with `gradient_checkpointing: true` \(0\.\d+ GiB\)"
    assert re.fullmatch(f"{expected}; --force starts it nevertheless", refused)
    assert begun == ["begun"] * 3
