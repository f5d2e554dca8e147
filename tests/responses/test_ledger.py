"""Blocks of work in one stream: what is committed when, whatever the backend puts off."""

import threading
from collections.abc import Iterable, Iterator, Sequence

import pytest

from mixpo.files import RunFiles
from mixpo.records import Continuation, Dropped, FinishReason, Question
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

    def __init__(self, root, count: int):
        self.questions = [Question(id=f"q{number}", text="?") for number in range(count)]
        files = RunFiles(root)
        self.written = files.continuations("cut")
        self.ledger: Ledger[Question, Continuation] = Ledger(
            self.written, files.dropped("cut"), lambda question: [f"{question.id}/cut"]
        )
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


def test_ctrl_c_while_another_thread_begins_blocks(tmp_path):
    """What is there is kept, whatever that thread does meanwhile."""
    work, go = Work(tmp_path, SIZE * 8), threading.Event()
    begun: list[Question] = []

    def make(questions: Iterable[Question]) -> Iterator[Continuation | Dropped]:
        questions = iter(questions)
        begun.extend(next(questions) for _ in range(2 * SIZE + 1))
        yield from map(made, begun[1:])
        append = work.written.append

        def slow(records) -> None:
            if not go.is_set():
                go.set()
                ahead = threading.Thread(target=lambda: begun.extend(questions))
                ahead.start()
                ahead.join()
            append(records)

        work.written.append = slow
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for _ in work.ledger.commit_in_one_stream(work.blocks(), make):
            pass
    assert go.is_set()
    assert work.ids() == [f"q{number}/cut" for number in range(1, 2 * SIZE + 1)]
