"""SymPy in its own process: right, stopped or killed at the limit, replaced, usable from threads."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mixpo.verdicts.mathematics import symbolic
from mixpo.verdicts.mathematics.formula import parse
from mixpo.verdicts.reading import Undecided


def equal(left: str, right: str) -> bool | None:
    return symbolic.equal(parse(left), parse(right))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("x^2+2x+1", "(x+1)^2", True),
        (r"\tan^2 y + 1", r"\sec^2 y", True),
        (r"\sqrt{ab}", r"\sqrt a\sqrt b", True),  # where both are real
        ("|x|", "x", False),
        (r"\sqrt{x^2}", "x", False),
        (r"\log 6", r"\log 2 + \log 3", True),  # whatever the base
        (r"2\mathrm{e}x", r"2\mathrm{e}^{5}x", False),
        ("e^{-20}x", "e^{-30}x", False),
        ("X", "x", False),
    ],
)
def test_same_by_algebra(left, right, same):
    assert equal(left, right) is same


def test_ratio_of_equations():
    """2x + 3y = 6 and 4x + 6y = 12 are one line: one's difference of sides is half the other's: the sign is +."""
    sides = [parse(side) for side in ("2x+3y", "6", "4x+6y", "12")]
    assert symbolic.ratio_sign(*sides) == 1
    assert symbolic.ratio_sign(*sides[:2], parse("x-y"), parse("100")) == 0
    assert symbolic.ratio_sign(parse("-x"), parse("3"), parse("x"), parse("-3")) == -1
    assert symbolic.ratio_sign(*map(parse, ("y", "12x+8", "12x-y+8", "0"))) == -1  # a point tried lies on the line


def test_the_library_must_read_a_formula_to_its_end():
    assert symbolic.library_says(r"\sum_{k=1}^{3} k", r"\sum_{k=1}^{3} k") is True
    assert symbolic.library_says(r"\int_0^1 x dx", r"\int_0^2 x dx") is False
    assert symbolic.library_says("5", r"5 \mod 3 ]") is None


def test_stopped_at_the_limit_and_used_again(monkeypatch):
    assert equal("x", "x+0") is True
    worker = symbolic._idle[-1]
    monkeypatch.setattr(symbolic, "_limit", 0.3)
    symbolic.start_clock()
    started = time.monotonic()
    with pytest.raises(Undecided, match="time"):
        equal("(x+y+z+w+1)^{190}", "(x+y+z+w)^{190}")
    assert time.monotonic() - started < 30, "not for a minute, as the next one may take"
    monkeypatch.setattr(symbolic, "_limit", 60.0)
    symbolic.start_clock()
    assert equal("2x", "x+x") is True
    assert worker.process.poll() is None or symbolic._idle, "stopped by itself, or replaced"


def test_a_killed_worker_is_replaced_at_once():
    assert equal("y", "y+0") is True
    dead = symbolic._idle[-1]
    dead.kill()
    assert equal("3y", "y+2y") is True


def test_comparisons_of_one_verdict_share_the_limit(monkeypatch):
    monkeypatch.setattr(symbolic, "_limit", 0.0)
    symbolic.start_clock()
    with pytest.raises(Undecided, match="time"):
        equal("q", "q+q")


def test_from_threads():
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(equal, ["x+x", "x+x", "2z", "y"], ["2x", "3x", "z+z", "y"]))
    assert results == [True, False, True, True]


def test_a_worker_that_nobody_kills_ends_by_itself():
    """Who asked is gone, and a single long operation in C hears no alarm and does not see that its input is closed."""
    program = (
        "import sys, unittest.mock as m; sys.modules['sympy'] = m.MagicMock()\n"
        "from mixpo.verdicts.mathematics import symbolic_worker as w\n"
        "w.ORPHANED, w.QUESTIONS['long'] = 0.1, lambda: sum(range(10 ** 12))\n"
        "w.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=b'[0.1, "long"]\n', check=False, timeout=30)
    assert done.returncode == -signal.SIGPROF
