"""Blocks of work in one stream: what is committed when, whatever the backend puts off."""

import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from mixpo.files import RunFiles
from mixpo.records import Continuation, Dropped, DropReason, FinishReason, Question
from mixpo.responses import ledger as module
from mixpo.responses.ledger import Ledger, blocks

SIZE = 4


def made(question: Question) -> Continuation:
    return Continuation(
        id=f"{question.id}/cut", question_id=question.id, response_id=question.id, ratio=0.5, with_image=False, kept="",
        text="", finish_reason=FinishReason.STOP, kept_tokens=0, completion_tokens=0, response_tokens=0,
    )  # fmt: skip


class Work:
    """Questions in blocks, and the ledger of a run that owes all of them."""

    def __init__(self, root, count: int, paid: bool = False, is_back=lambda question: True):
        self.questions = [Question(id=f"q{number}", text="?") for number in range(count)]
        files = RunFiles(root)
        self.written, self.dropped = files.continuations("cut"), files.dropped("cut")
        self.ledger: Ledger[Question, Continuation] = Ledger(
            self.written, self.dropped, lambda question: [f"{question.id}/cut"], paid=paid
        )
        self.again = self.ledger.again(self.blocks(), is_back)
        self.ledger.survey(self.blocks())

    def blocks(self) -> Iterator[Sequence[Question]]:
        return blocks(self.questions, SIZE)

    def ids(self) -> list[str]:
        return [record.id for record in self.written]


def first_last(questions: Iterable[Question]) -> Iterator[Continuation | Dropped]:
    """As a backend does that lacks memory: the first of a stream gives way, and is done when the others are."""
    questions = iter(questions)
    first = next(questions, None)
    yield from map(made, questions)
    if first is not None:
        yield made(first)


def test_work_put_off_does_not_hold_back_all_later_blocks(tmp_path):
    """A kill costs no more than some blocks; all the same the files are in order, with nothing twice."""
    work = Work(tmp_path, SIZE * module.AHEAD * 3)
    for seen, _ in enumerate(work.ledger.commit_in_one_stream(work.blocks(), first_last)):
        if seen % 50 == 0:
            assert seen - len(work.ids()) <= SIZE * module.AHEAD
    assert work.ids() == [f"{question.id}/cut" for question in work.questions]


def test_ctrl_c_leaves_whole_blocks_alone(tmp_path):
    """Of a block that is done again as a whole nothing is kept: the files are those of a run that was left alone."""
    work = Work(tmp_path, SIZE * 8)

    def make(questions: Iterable[Question]) -> Iterator[Continuation | Dropped]:
        questions = iter(questions)
        yield from (made(next(questions)) for _ in range(2 * SIZE + 1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deque(work.ledger.commit_in_one_stream(work.blocks(), make))
    assert work.ids() == [f"q{number}/cut" for number in range(2 * SIZE)]
    deque(Work(tmp_path, SIZE * 8).ledger.commit(work.blocks(), lambda block: map(made, block)))
    assert work.ids() == [f"{question.id}/cut" for question in work.questions]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def backwards(asked: list[str]):
    """Makes a block's work from its end, one piece of three not (`Dropped`); notes what it was asked."""

    def make(block: Sequence[Question]) -> Iterator[Continuation | Dropped]:
        for question in reversed(block):
            asked.append(question.id)
            refused = Dropped(id=question.id, step="cut", reason=DropReason.TRUNCATED)
            yield refused if int(question.id[1:]) % 3 == 1 else made(question)

    return make


def test_what_is_paid_for_is_on_disk_as_it_comes_and_never_made_again(tmp_path):
    """The folder as it is after each record, which is what SIGKILL leaves; also with half a line."""
    asked: list[str] = []
    work, count = Work(tmp_path / "whole", SIZE * 3, paid=True), SIZE * 3
    for seen, _ in enumerate(work.ledger.commit(work.blocks(), backwards(asked)), 1):
        shutil.copytree(tmp_path / "whole", tmp_path / str(seen))
    expected = contents(tmp_path / "whole")
    assert len(asked) == count
    assert not [name for name in expected if "begun" in name]
    for seen in range(1, count + 1):
        killed = tmp_path / str(seen)
        for journal in killed.rglob("begun.jsonl"):
            journal.write_bytes(journal.read_bytes() + b'{"id": "q')
        later: list[str] = []
        again = Work(killed, count, paid=True)
        deque(again.ledger.commit(again.blocks(), backwards(later)))
        assert later == asked[seen:]
        assert contents(killed) == expected


def test_what_is_not_paid_for_has_no_journal(tmp_path):
    work = Work(tmp_path, SIZE)
    for _ in work.ledger.commit(work.blocks(), backwards([])):
        assert not list(tmp_path.rglob("begun.jsonl"))


def test_a_run_that_drops_nothing_has_its_file_of_dropped_records_from_the_start(tmp_path):
    """A kill between a block's records and what it dropped would else leave a run without."""
    work = Work(tmp_path, SIZE)
    before = contents(tmp_path).keys()
    deque(work.ledger.commit(work.blocks(), lambda block: map(made, block)))
    assert {name for name in contents(tmp_path) if name.endswith(".jsonl")} == before
    assert "dropped/cut/part-00000.jsonl" in before


def away(*ids: str, reason: DropReason = DropReason.BAD_IMAGE, transient: bool = True) -> list[Dropped]:
    return [Dropped(id=id, step="cut", reason=reason, transient=transient) for id in ids]


@pytest.mark.parametrize("paid", [False, True])
def test_what_was_left_out_for_a_cause_that_has_passed_is_done_again(tmp_path, paid):
    """q1 is back and done, q2 is still away, q5 is back and torn, q6 is back and away again."""
    first = Work(tmp_path, SIZE * 2, paid=paid)
    gone = {record.id: record for record in away("q1", "q2", "q5", "q6")}
    deque(first.ledger.commit(first.blocks(), lambda block: (gone.get(one.id) or made(one) for one in block)))
    before = contents(tmp_path)

    still = Work(tmp_path, SIZE * 2, paid=paid, is_back=lambda question: False)
    assert (still.ledger.todo, still.again, contents(tmp_path)) == (set(), 0, before)

    second = Work(tmp_path, SIZE * 2, paid=paid, is_back=lambda question: question.id != "q2")
    assert (second.ledger.todo, second.again) == ({0, 1}, 3)
    asked: list[str] = []
    now = {record.id: record for record in (*away("q2", "q6"), *away("q5", transient=False))}

    def make(block: Sequence[Question]) -> Iterator[Continuation | Dropped]:
        asked.extend(question.id for question in block)
        return (now.get(question.id) or made(question) for question in block)

    deque(second.ledger.commit(second.blocks(), make))
    assert asked == (["q1", "q5", "q6"] if paid else [f"q{number}" for number in range(8)])
    assert set(second.ids()) == {f"q{number}/cut" for number in (0, 1, 3, 4, 7)}
    assert list(second.dropped) == [*away("q2", "q6"), *away("q5", transient=False)]
    third = Work(tmp_path, SIZE * 2, paid=paid, is_back=lambda question: False)
    assert (third.ledger.todo, third.again) == (set(), 0)


def test_a_kill_before_what_has_passed_is_forgotten(tmp_path):
    """The next run forgets it; nothing is to do else."""
    work = Work(tmp_path, SIZE)
    work.dropped.append(away("q1"))
    work.written.append(map(made, work.questions))
    again = Work(tmp_path, SIZE, is_back=lambda question: True)
    assert (again.ledger.todo, again.again, list(again.dropped)) == (set(), 0, [])
