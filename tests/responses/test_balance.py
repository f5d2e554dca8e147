"""Adaptive sampling: when a question stops, what is written, what a rerun does."""

import pytest

from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.records import Dropped, DropReason, Outcome, Question, Response
from mixpo.responses import sample as step
from mixpo.responses.backends.scripted import ScriptedBackend
from mixpo.responses.balance import Balance

LETTERS = {"c": Outcome.CORRECT, "i": Outcome.INCORRECT, "u": Outcome.UNPARSED, "?": Outcome.UNDECIDED}
SCRIPT = {
    "soon": "cici cccc",  # 2 and 2 after the first round of four
    "later": "cccc iicc",  # after the second
    "never": "cccc cccc",
    "form": "ccuu uu?c",  # no wrong answer: what cannot be read does not count
    "last": "cccc ccii",  # with the very last response: nothing is left to save
}
TWO = Balance(correct=2, incorrect=2, round=4)


def judge(question: Question, response: Response) -> Outcome:
    return LETTERS[response.text.split()[0]]


def backend(script: dict[str, str] = SCRIPT) -> ScriptedBackend:
    """Every text is different, but for the samples whose letter is a capital."""

    def answer(request, sample):
        letter = script[request.id].replace(" ", "")[sample]
        return f"{letter} {sample}" if letter.islower() or letter == "?" else f"{letter.lower()} again"

    return ScriptedBackend(answer)


def config(**values) -> step.Config:
    return step.Config(**{"n": 8, "stop_when_balanced": TWO, **values})


def drawn(script: dict[str, str], **values) -> tuple[dict[str, int], dict[str, Dropped]]:
    """Responses of each question, and what was not drawn."""
    asked = [Question(id=name, text="?", answer="3") for name in script]
    records = list(step.sample(asked, backend(script), ImageRoots({}), config(**values), judge))
    counts = dict.fromkeys(script, 0)
    for record in records:
        if isinstance(record, Response):
            assert record.id == f"{record.question_id}/{counts[record.question_id]}"
            counts[record.question_id] += 1
    return counts, {record.id: record for record in records if isinstance(record, Dropped)}


def test_a_question_stops_after_the_round_that_balances_it():
    counts, dropped = drawn(SCRIPT)
    assert counts == {"soon": 4, "later": 8, "never": 8, "form": 8, "last": 8}
    assert {id: (record.reason, record.count) for id, record in dropped.items()} == {"soon": (DropReason.BALANCED, 4)}
    assert dropped["soon"].detail.startswith("2 right and 2 wrong among 4 responses")


def test_a_last_round_may_be_shorter():
    """Ten responses in rounds of four: 4, 4 and 2."""
    counts, dropped = drawn({"a": "cccc iicc ii", "b": "cccc cccc cc"}, n=10)
    assert counts == {"a": 8, "b": 10}
    assert dropped["a"].count == 2


def test_a_text_counts_once():
    """C and I repeat one text each: after eight there are two right texts but one wrong one."""
    counts, _ = drawn({"a": "CCcI IICI iccc"}, n=12)
    assert counts == {"a": 12}
    counts, _ = drawn({"a": "CCcI IICi iccc"}, n=12)
    assert counts == {"a": 8}


def test_what_is_written_is_a_beginning_of_what_sampling_all_writes():
    asked = [Question(id=name, text="?", answer="3") for name in SCRIPT]
    everything = step.sample(asked, backend(), ImageRoots({}), step.Config(n=8))
    some = step.sample(asked, backend(), ImageRoots({}), config(), judge)
    assert {r.id: r for r in some if isinstance(r, Response)}.items() <= {r.id: r for r in everything}.items()


def test_a_question_that_cannot_be_asked_is_dropped_once():
    asked = [Question(id="soon", text="?"), Question(id="never", text="?", images=("x/absent.png",))]
    records = list(step.sample(asked, backend(), ImageRoots({}), config(), judge))
    assert [(r.id, r.reason) for r in records if isinstance(r, Dropped)] == [
        ("never", DropReason.BAD_IMAGE),
        ("soon", DropReason.BALANCED),
    ]


@pytest.fixture
def files(tmp_path) -> RunFiles:
    files = RunFiles(tmp_path / "run")
    files.questions("questions").append(
        Question(id=f"{name}-{number}", text="?", answer="3") for number in range(2) for name in SCRIPT
    )
    return files


def run(files: RunFiles) -> None:
    script = {question.id: SCRIPT[question.id.partition("-")[0]] for question in files.questions("questions")}
    step.sample_into(config(block=24), files, lambda: backend(script), judge)


def contents(files: RunFiles) -> dict[str, bytes]:
    return {str(path.relative_to(files.root)): path.read_bytes() for path in files.root.rglob("*.jsonl")}


def test_run_writes_all_once_and_a_second_run_nothing(files, monkeypatch):
    run(files)
    assert len(list(files.responses("sample"))) == 2 * (4 + 8 + 8 + 8 + 8)
    assert [(record.id, record.count) for record in files.dropped("sample")] == [("soon-0", 4), ("soon-1", 4)]
    before = contents(files)
    step.sample_into(config(block=24), files, lambda: pytest.fail("nothing was missing"), judge)
    assert contents(files) == before


@pytest.mark.parametrize("lines", range(0, 73, 4))
def test_a_rerun_completes_files_cut_anywhere(files, lines):
    """Blocks of three questions; what was written is cut after some records, the drops as a kill leaves them."""
    run(files)
    whole = contents(files)
    (responses,), (dropped,) = files.responses("sample").paths(), files.dropped("sample").paths()
    rows = responses.read_bytes().splitlines(keepends=True)
    responses.write_bytes(b"".join(rows[:lines]) + (rows[lines][:9] if lines < len(rows) else b""))
    if lines < 4 + 8 + 8:
        dropped.unlink()
    elif lines < len(rows):
        dropped.write_bytes(dropped.read_bytes().splitlines(keepends=True)[0])
    run(files)
    assert contents(files) == whole


@pytest.mark.parametrize("field", ["correct", "incorrect", "round"])
def test_bad_settings(field):
    with pytest.raises(ValueError, match="at least 1"):
        Balance(**{field: 0})
