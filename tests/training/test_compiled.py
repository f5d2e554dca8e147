"""Compiled layers: the same training, to rounding, of a model that keeps its names."""

import copy

import pytest
import torch
from torch import _dynamo

from mixpo.errors import FieldError
from mixpo.models.load import load_model
from mixpo.training.compiled import compiler
from mixpo.training.machine import refuse_on_this_machine
from mixpo.training.section import Config, arguments
from mixpo.training.train import make_trainer, save_model

FEW = {"batch": 4, "micro_batch": 2, "epochs": 0.5, "learning_rate": 1e-3, "warmup": 0.0}


@pytest.mark.skipif(not compiler(), reason="no C++ compiler here")
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_it_learns_the_same(tmp_path, checkpoint, processor, rows, attention):
    def trained(**said):
        config = Config(**FEW, attention=attention, **said)
        folder = tmp_path / "-".join(["out", *said])
        trainer = make_trainer(config, arguments(config, folder), checkpoint, processor, copy.deepcopy(rows))
        trainer.train()
        save_model(trainer, folder)
        return trainer, load_model(str(folder / "model"), "float32").state_dict()

    _dynamo.reset()
    _dynamo.utils.counters.clear()
    compiled, weights = trained(compile=True)
    seen = _dynamo.utils.counters
    assert seen["stats"]["unique_graphs"] >= 2  # a layer of the tower, and one of the language model
    assert not seen["graph_break"]
    plain, expected = trained()
    losses = [[line["loss"] for line in trainer.state.log_history if "loss" in line] for trainer in (compiled, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert weights.keys() == expected.keys()
    start = load_model(checkpoint, "float32").state_dict()
    for name, value in weights.items():
        change, wanted = value - start[name], expected[name] - start[name]
        assert (change - wanted).norm() <= 0.02 * wanted.norm() + 1e-6, name
    assert any(not torch.equal(value, start[name]) for name, value in weights.items())


def test_without_a_compiler_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(FieldError, match=r"compile.*needs a C\+\+ compiler on a CPU, and none is found: install g\+\+"):
        refuse_on_this_machine(Config(compile=True, trainer={"use_cpu": True}))
    refuse_on_this_machine(Config(trainer={"use_cpu": True}))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"shard": "fsdp2"}, "has not been tried with `shard: fsdp2`"),
        ({"trainer": {"torch_compile": True}}, "the whole model: say one"),
    ],
)
def test_what_does_not_go_with_it_is_refused(said, sentence):
    with pytest.raises(FieldError, match=sentence):
        Config(compile=True, **said)
