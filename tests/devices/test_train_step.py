"""Training steps on a GPU: which attention is taken, how often the host waits, how much is launched.

Figures of the same steps (layout auto, bf16, gradient checkpointing) before attention was chosen for where the model
will run, and while uploads and logged values waited: 24 waits a micro-batch, 51.5 a step of two; 3,088 launches a
micro-batch, by `mixpo_shared_prefix`, with the tower on `mixpo_cpu`. Now: 1.5, 6.5 and 1,362.
"""

import pytest

from devices.null_gpu import SCRIPTS

SCRIPT = SCRIPTS / "train_step.py"


@pytest.fixture(scope="module")
def step(on_null_gpu):
    return on_null_gpu(SCRIPT, "layout=auto", "bf16=true", "gradient_checkpointing=true")


def test_attention_is_chosen_for_the_gpu(step):
    assert (step["device"], step["attention"], step["tower"]) == ("cuda:0", "mixpo_flex_attention", "sdpa")
    assert step["layout"] == "shared"


def test_no_layer_compiles_its_own(step):
    """Once in float32, where the layouts are compared, once in bf16 for the reference and once with a gradient."""
    assert step["graphs"] <= 3


def test_no_layer_waits(step):
    """Of a micro-batch, the gradient of what took the images' places waits (torch's `masked_scatter`); of a step, its
    rewards are fetched, and its logged values."""
    assert sum(step["waits"].values()) <= 2
    assert not [place for place in step["waits"] if "mixpo/models" in place or "scoring" in place]
    assert sum(step["step_waits"].values()) <= 8


def test_launches(step):
    assert step["launches"] <= 1500


def test_flex_attention_is_compiled_for_rows_of_all_lengths_at_once(on_null_gpu):
    """Eight rows of one to three prompts with one to eight completions each: once without a gradient, once with, and
    both again where a row is a single block. By transformers' call, on rows as long as they were: 9.
    """
    found = on_null_gpu(SCRIPTS / "flex_graphs.py")
    assert len(set(found["lengths"])) > 6
    assert min(found["lengths"]) == 128
    assert found["graphs"] <= 4
    assert found["waits"] == {}
