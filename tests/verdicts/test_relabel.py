import json

import pytest

from mixpo.errors import DataError, UserError
from mixpo.files import RunFiles
from mixpo.records import DropReason, Origin, Outcome, PreferencePair, Question
from mixpo.verdicts.relabel import Config, Doubt, doubt_of, relabel, run


def pair(number, chosen, rejected, question="q", ended=True):
    return PreferencePair(
        id=f"p{number}", question_id=question, prompt="How many?", chosen=chosen, rejected=rejected,
        origin=Origin.IMPORTED, rejected_ended=ended,
    )  # fmt: skip


@pytest.fixture
def files(tmp_path):
    files = RunFiles(tmp_path / "run")
    files.questions("import").append(
        [Question(id="q", text="How many?", answer="3"), Question(id="open", text="Describe.")]
    )
    files.pairs("import").append(
        [
            pair(0, "Final answer: 3", "Final answer: 4"),
            pair(1, "Final answer: 5", "Final answer: 4"),
            pair(2, "Final answer: 3", "So it is 3. Final answer: 3"),
            pair(3, "Final answer: 4", "Final answer: 3"),
            pair(4, "I cannot say how many there are.", "Final answer: 4"),
            pair(5, "A house.", "A dog.", question="open"),
            pair(6, "A house.", "A dog.", question="unknown"),
            pair(7, "Final answer: 3", "There are many, first", ended=False),
        ]
    )
    return files


def test_every_pair_is_kept_or_doubted_with_its_reason(files):
    run(Config(), files)
    assert [kept.id for kept in files.pairs("relabel")] == ["p0", "p5", "p6", "p7"]
    dropped = {record.id: record for record in files.dropped("relabel")}
    assert {record.reason for record in dropped.values()} == {DropReason.DOUBTED}
    assert dropped["p1"].detail == ("chosen is not right: chosen says '5', rejected says '4', the ground truth is '3'")
    assert dropped["p2"].detail.startswith("rejected is right: ")
    assert dropped["p3"].detail.startswith("chosen is not right and rejected is: ")
    assert dropped["p4"].detail.startswith("chosen gives no answer that can be read: ")
    summary = json.loads(files.json("relabel/relabel").read_text())
    assert (summary["pairs"], summary["kept"]) == (8, 4)
    assert summary["counts"] == {
        "agrees": 2, "chosen is not right": 1, "rejected is right": 1, "chosen is not right and rejected is": 1,
        "chosen gives no answer that can be read": 1, "not judged": 2,
    }  # fmt: skip


def test_pairs_are_not_replaced_by_those_that_are_left_of_them(files):
    with pytest.raises(UserError, match="its own pairs would be replaced"):
        run(Config(name="import"), files)
    assert len(list(files.pairs("import"))) == 8


def test_a_chosen_completion_that_was_cut_is_judged_as_cut():
    asked = Question(id="q", text="How many?", answer="3")
    one = PreferencePair(
        id="q/0", question_id="q", prompt="How many?", chosen="Final answer: 3", rejected="Final answer: 4",
        origin=Origin.IMPORTED, chosen_ended=False,
    )  # fmt: skip
    ((_, doubt, _),) = relabel([one], {"q": asked}, Config(workers=1))
    assert doubt is Doubt.NO_ANSWER


def test_a_second_run_gives_the_same(files):
    run(Config(), files)
    first = [path.read_bytes() for path in sorted(files.root.rglob("*.json*"))]
    run(Config(), files)
    assert [path.read_bytes() for path in sorted(files.root.rglob("*.json*"))] == first


@pytest.mark.parametrize("chosen", Outcome)
@pytest.mark.parametrize("rejected", Outcome)
def test_only_right_against_not_right_is_beyond_doubt(chosen, rejected):
    doubt = doubt_of(chosen, rejected)
    assert (doubt is Doubt.NONE) == (
        chosen is Outcome.CORRECT and rejected in (Outcome.INCORRECT, Outcome.UNPARSED, Outcome.TRUNCATED)
    )
    assert (doubt is Doubt.UNDECIDED) == (Outcome.UNDECIDED in (chosen, rejected))


def test_without_pairs_it_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="there are no pairs in .*run that section first"):
        run(Config(), RunFiles(tmp_path / "run"))
