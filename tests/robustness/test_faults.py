"""What the fuzzer calls a fault, on outputs as commands print them; and that a damage changes what it says."""

import json

import pytest
from hypothesis import given

from robustness.damage import VALUES, Damage, damages, do
from robustness.faults import judged, tree
from robustness.forked import Ended
from robustness.subjects import KEY, WORD, Command, Subject

SUBJECT = Subject("run", (), mine=("run/notes.txt",))
COMMAND = Command("status", lambda: 0, ("run/",))
TRACEBACK = """Traceback (most recent call last):
  File "/x/src/mixpo/cli.py", line 144, in main
  File "/x/src/mixpo/images.py", line 44, in load
  File "/usr/lib/python3/json/decoder.py", line 353, in raw_decode
AttributeError: 'str' object has no attribute 'items'
mixpo: this was not foreseen
"""


def found(case, *, output="", status=0, over="", left=0, change=lambda case: None):
    (case / "run").mkdir()
    (case / "run" / "notes.txt").write_text("of the user")
    (case / "inputs.txt").write_text("of the user")
    before = tree(case)
    change(case)
    ended = Ended(status=status, output=output, seconds=1, peak=1, over=over, left=left)
    return [(fault.kind, fault.where) for fault in judged(ended, COMMAND, SUBJECT, case, before)]


@pytest.mark.parametrize(
    ("ended", "faults"),
    [
        ({"status": 2, "output": "mixpo: run/x.json:3: no row; mend it"}, []),
        ({"status": 1, "output": TRACEBACK}, [("traceback", "AttributeError in images.py:load")]),
        ({"status": 130}, [("status", "130")]),
        ({"status": -9, "over": "memory"}, [("memory", "?")]),
        ({"left": 2}, [("processes left", "2")]),
        ({"output": "a \x1b[31m b"}, [("control character", "'\\x1b'")]),
        ({"output": f"{WORD} {KEY}"}, [("shown", "the key in the output"), ("shown", "the word in the output")]),
        ({"change": lambda case: (case / "inputs.txt").unlink()}, [("removed", "inputs.txt")]),
        ({"change": lambda case: (case / "run/notes.txt").write_text("other")}, [("changed", "run/notes.txt")]),
        ({"change": lambda case: (case / "run/made.txt").write_text("it may")}, []),
        ({"change": lambda case: (case / "run/7").write_text(WORD)}, [("shown", "the word in run/N")]),
    ],
    ids=map(str, range(11)),
)
def test_what_is_a_fault(tmp_path, ended, faults):
    assert found(tmp_path, **ended) == faults


@pytest.mark.parametrize("what", sorted(VALUES))
def test_a_field_gets_its_value_and_nothing_else_changes(tmp_path, what):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": {"b": 1}}\n{"a": {"b": 2}}\n')
    do(Damage("field", 1, key="b", what=what), path, [path], tmp_path / "precious")
    first, second = path.read_text().splitlines()
    assert json.loads(first) == {"a": {"b": 1}}
    assert second == '{"a": {"b": ' + VALUES[what].replace("@PRECIOUS@", str(tmp_path / "precious")) + "}}"


@given(damages("a.json"))
def test_every_damage_can_be_done(tmp_path_factory, damage):
    folder = tmp_path_factory.mktemp("damage")
    path, other = folder / "a.json", folder / "b.txt"
    path.write_text('{"a": {"b": [1, 2]}}')
    other.write_text("other")
    do(damage, path, [other], folder / "precious")
    assert str(damage)
    assert damage.what in ("gone", "nowhere", "circle", "canary") or path.exists()
