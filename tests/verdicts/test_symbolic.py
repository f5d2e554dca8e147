"""Symbolic comparison in its own process: right, killed at the limit, replaced, usable from threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mixpo.verdicts import symbolic
from mixpo.verdicts.reading import Undecided


@pytest.fixture(autouse=True)
def generous_limit(monkeypatch):
    monkeypatch.setattr(symbolic, "_limit", 60.0)


def test_same_by_algebra():
    assert symbolic.same(r"\{1,2\}", r"\{2,1\}")
    assert not symbolic.same("(1,2)", "(2,1)")
    assert not symbolic.same("x>2", "x<2")


def test_killed_at_the_limit_and_replaced(monkeypatch):
    symbolic.same("1", "1")
    worker = symbolic._idle[-1]
    monkeypatch.setattr(symbolic, "_limit", 0.5)
    with pytest.raises(Undecided, match="time"):
        symbolic.same("9", "9^{9^{9^{9}}}")
    assert worker.process.poll() is not None
    monkeypatch.setattr(symbolic, "_limit", 60.0)
    assert symbolic.same("2x", "x+x")


def test_from_threads():
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(symbolic.same, ["x+x", "x+x", "2", "y"], ["2x", "3x", "2", "y"]))
    assert results == [True, False, True, True]
