"""Which GPUs are used: CUDA_VISIBLE_DEVICES says it, to this process and to all that it starts."""

import os
import subprocess
import sys

import pytest
import torch

from mixpo.devices import VARIABLE, grouped, in_processes, limited, places, shared_out, visible
from mixpo.errors import UserError


@pytest.fixture
def four(monkeypatch):
    """A machine with four GPUs."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    def count():
        named = os.environ.get(VARIABLE)
        return 4 if named is None else len([name for name in named.split(",") if name])

    monkeypatch.setattr(torch.cuda, "device_count", count)
    return monkeypatch


def test_all_are_used_unless_fewer_are_asked_for(four):
    assert visible() == ["0", "1", "2", "3"]
    with limited(None):
        assert visible() == ["0", "1", "2", "3"]
    with limited(2):
        assert visible() == ["0", "1"]
        child = [sys.executable, "-c", f"import os; print(os.environ['{VARIABLE}'])"]
        assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "0,1\n"
    assert VARIABLE not in os.environ


def test_the_first_of_those_that_are_left_to_this_process(four):
    four.setenv(VARIABLE, "GPU-7,GPU-3,GPU-5")
    with limited(2):
        assert visible() == ["GPU-7", "GPU-3"]
    assert os.environ[VARIABLE] == "GPU-7,GPU-3,GPU-5"
    four.setenv(VARIABLE, "")
    assert visible() == []


@pytest.mark.parametrize(("hidden", "there"), [("0,1", "2 GPUs"), ("3", "1 GPU "), ("", "no GPU that torch can use")])
def test_more_than_there_are_is_a_sentence(four, hidden, there):
    four.setenv(VARIABLE, hidden)
    with pytest.raises(UserError, match=f"--gpus 4: this machine has {there}"), limited(4):
        pass


def test_torchrun_has_its_own_say(four):
    four.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="leave it out with torchrun and accelerate launch"), limited(2):
        pass
    with limited(None):
        pass


def test_groups_and_shares():
    assert grouped(["0", "1", "2", "3", "4"], 2) == ["0,1", "2,3"]
    assert grouped(["0"], 2) == []
    assert shared_out(["0", "1", "2", "3"], 2) == ["0,1", "2,3"]
    assert shared_out(["0", "1", "2", "3"], 3) == ["0", "1", "2"]
    assert shared_out(["0", "1"], 3) == ["0", "1", "0"]
    assert shared_out([], 3) == []


def test_processes_are_for_machines_without_a_gpu(four):
    with pytest.raises(UserError, match="--processes is for machines without a GPU; --gpus says"), in_processes(2):
        pass
    assert places() == ["0", "1", "2", "3"]
    four.setenv(VARIABLE, "")
    assert places() == []
    with in_processes(None):
        assert places() == []
    with pytest.raises(UserError, match="--processes 1000000000000000000: at most"), in_processes(10**18):
        pass
    with in_processes(2):
        assert places() == places(on_processor=True) == ["cpu", "cpu"]
    four.delenv(VARIABLE)
    assert places(on_processor=True) == []
    four.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="leave it out with torchrun and accelerate launch"), in_processes(2):
        pass
