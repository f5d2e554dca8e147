"""On a GPU everything is computed as on the CPU: real values, on tensors that say they are on cuda:0."""

import pytest

from devices.null_gpu import SCRIPTS


@pytest.fixture(scope="module")
def found(on_null_gpu, tmp_path_factory):
    return on_null_gpu(SCRIPTS / "pretended.py", str(tmp_path_factory.mktemp("pretended")))


def test_a_training_is_the_cpus(found):
    training = found["float32"]
    assert training["layouts"] == ["shared", "shared"]
    for here, there in zip(training["here"], training["there"], strict=True):
        assert there == pytest.approx(here, rel=1e-5, abs=1e-4)
    # After three steps of AdamW, which makes much of the smallest gradients.
    assert training["weights"] < 1e-3


def test_a_training_in_bf16_is_the_cpus(found):
    """To what bf16 resolves: autocast casts other operations on a CPU."""
    for here, there in zip(found["bf16"]["here"], found["bf16"]["there"], strict=True):
        assert there == pytest.approx(here, rel=1e-2, abs=0.1)
    assert found["bf16"]["weights"] < 0.3


def test_completions_are_the_cpus(found):
    assert found["sampled"]["equal"] == found["sampled"]["completions"] == 16
    assert found["sampled"]["logps"] < 1e-4


def test_a_tensor_left_on_the_cpu_is_refused(found):
    """As CUDA refuses it, and no more than that: else the tests above would see nothing, or what is no mistake."""
    refused = {name for name, said in found["refused"].items() if "device" in said}
    assert refused == {"sum", "product", "host indexed", "tokens left"}
    assert {name for name, said in found["refused"].items() if not said} == {"number", "gpu indexed", "copied"}
