import json
import random

import pytest

from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.pairs import build
from mixpo.records import Continuation, DropReason, FinishReason, Origin

QUESTIONS = {"all": "cccc", "none": "iiu", "mixed": "cciut?", "undecided": "??", "free": "?"}


@pytest.fixture
def fill(question, judged):
    """Writes the records of one question for each case into a run folder, shuffled by `seed`."""

    def fill(root, seed=0):
        files = RunFiles(root)
        both = [one for name, outcomes in QUESTIONS.items() for one in judged(outcomes, name)]
        questions = [question(name, answer=None if name == "free" else "3") for name in [*QUESTIONS, "never asked"]]
        responses, verdicts = [r for r, _ in both], [v for _, v in both]
        for records in (questions, responses, verdicts):
            random.Random(seed).shuffle(records)
        files.questions("questions").append(questions)
        files.responses("sample").append(responses)
        files.verdicts("verify").append(verdicts)
        return files

    return fill


def continuation(own_id="free/0/half", response_id="free/0"):
    return Continuation(
        id=own_id, question_id="free", response_id=response_id, ratio=0.5, with_image=False, kept="t", text="told",
        finish_reason=FinishReason.STOP, kept_tokens=1, completion_tokens=1,
    )  # fmt: skip


def test_pairs_drops_and_funnel(tmp_path, fill, capsys):
    files = fill(tmp_path / "run")
    build.run(build.Config(), files)
    pairs = list(files.pairs("pair"))
    assert {pair.id for pair in pairs if pair.origin is Origin.CORRECTNESS} == {"mixed/0>2", "mixed/1>2"}
    assert {pair.id for pair in pairs if pair.origin is Origin.FORMAT} == {
        f"mixed/{c}>{r}" for c in (0, 1) for r in (3, 4)
    }
    assert {(record.id, record.reason) for record in files.dropped("pair")} == {
        ("all", DropReason.ALL_CORRECT), ("none", DropReason.NONE_CORRECT),
        ("undecided", DropReason.UNDECIDED), ("free", DropReason.NO_GROUND_TRUTH),
    }  # fmt: skip
    assert json.loads(files.json("funnel/pair").read_text()) == {
        "questions": 6, "answered": 5, "with_ground_truth": 4, "responses": 16, "continuations": 0,
        "outcomes": {"correct": 6, "incorrect": 3, "unparsed": 2, "truncated": 1, "undecided": 3},
        "pairs": {"correctness": 2, "format": 4},
        "pass_rates": {"1": 1, "0": 1, "0.4-0.6": 1},
        "dropped": {"all_correct": 1, "none_correct": 1, "undecided": 1, "no_ground_truth": 1},
    }  # fmt: skip
    said = " ".join(capsys.readouterr().err.split())
    assert "pair: 6 pairs (2 correctness, 4 format) from 16 responses to 5 questions; in " in said
    assert (
        "pair: left out: questions: 1 never answered right, 1 always answered right, 1 without a ground truth, "
        "1 whose responses nobody could judge"
    ) in said


def test_pass_rates_are_kept(tmp_path, fill):
    """Undecided responses do not count: "mixed" has 2 right ones of 5."""
    files = fill(tmp_path / "run")
    for _ in range(2):
        build.run(build.Config(), files)
        rates = {rate.id: (rate.correct, rate.decided) for rate in files.pass_rates("pair")}
        assert rates == {"all": (4, 4), "none": (0, 3), "mixed": (2, 5)}
    assert [path.name for path in (tmp_path / "run" / "pass_rates").iterdir()] == ["pair"], "nothing temporary is left"


@pytest.mark.parametrize(
    ("difficulty", "reason"),
    [
        ((0.4, 0.8), None),
        ((0.2, 0.4), None),
        ((0.5, 0.8), DropReason.TOO_HARD),
        ((0.1, 0.3), DropReason.TOO_EASY),
    ],
)
def test_difficulty_filter(tmp_path, fill, difficulty, reason):
    """2 of 5 are right, a pass rate of 0.4; the ends of the range belong to it."""
    files = fill(tmp_path / "run")
    files.continuations("dropout").append([continuation()])
    build.run(build.Config(difficulty=difficulty, continuations="dropout"), files)
    assert {pair.question_id for pair in files.pairs("pair")} == ({"free"} if reason else {"free", "mixed"})
    dropped = {record.id: record for record in files.dropped("pair")}
    assert (dropped["all"].reason, dropped["none"].reason) == (DropReason.ALL_CORRECT, DropReason.NONE_CORRECT)
    assert ("mixed" in dropped) == bool(reason)
    if reason:
        assert dropped["mixed"].reason is reason
        assert dropped["mixed"].detail.startswith("2 of 5 responses are right")
    assert len(list(files.pass_rates("pair"))) == 3, "the filter does not hide pass rates"


def test_continuations_give_pairs_where_there_is_no_ground_truth(tmp_path, fill):
    files = fill(tmp_path / "run")
    files.continuations("dropout").append([continuation()])
    build.run(build.Config(continuations="dropout"), files)
    by_origin = {pair.origin: pair.id for pair in files.pairs("pair")}
    assert by_origin[Origin.DROPOUT_NTP] == "free/0>half"
    assert DropReason.NO_GROUND_TRUTH not in {record.reason for record in files.dropped("pair")}
    build.run(build.Config(name="blind", continuations="dropout", verdicts=""), files)
    assert [pair.origin for pair in files.pairs("blind")] == [Origin.DROPOUT_NTP]


def test_the_order_of_the_records_does_not_matter_and_a_rerun_gives_the_same_bytes(tmp_path, fill):
    written = []
    for seed in (0, 1, 2):
        files = fill(tmp_path / str(seed), seed)
        for _ in range(2):
            build.run(build.Config(max_pairs=3), files)
            written.append(
                sorted(line for path in files.pairs("pair").paths() for line in path.read_text().splitlines())
            )
    assert all(lines == written[0] for lines in written)


def test_a_rerun_replaces_what_was_there(tmp_path, fill, judged):
    files = fill(tmp_path / "run")
    build.run(build.Config(), files)
    new = judged("ccci", "none")[3:]
    files.responses("sample").append(response for response, _ in new)
    both = judged("iiuc", "none")[3:]
    files.verdicts("verify").append(verdict for _, verdict in both)
    build.run(build.Config(), files)
    assert {pair.question_id for pair in files.pairs("pair")} == {"mixed", "none"}
    assert "none" not in {record.id for record in files.dropped("pair")}
    assert sorted(path.name for path in (tmp_path / "run" / "pairs").iterdir()) == ["pair"], "nothing temporary is left"
    assert sorted(path.name for path in (tmp_path / "run" / "dropped").iterdir()) == ["pair"]


def test_records_that_lost_their_parent_are_counted(tmp_path, fill, judged):
    files = fill(tmp_path / "run")
    files.verdicts("verify").append(verdict for _, verdict in judged("cc", "stranger"))
    files.continuations("dropout").append([continuation("free/9/half", "free/9")])
    build.run(build.Config(continuations="dropout"), files)
    lost = {record.id: record.count for record in files.dropped("pair") if record.reason is DropReason.BAD_ROW}
    assert lost == {"stranger": 2, "free": 1}


def test_no_pair_at_all_is_one_sentence_and_says_what_to_do(tmp_path, question, judged):
    files = RunFiles(tmp_path / "run")
    with pytest.raises(DataError, match=r"pair: there are no questions in .*questions; run that section first"):
        build.run(build.Config(), files)
    files.questions("questions").append([question("a"), question("b")])
    with pytest.raises(DataError, match=r"nothing to make pairs from \(verdicts: verify, continuations: none\)"):
        build.run(build.Config(), files)
    both = [*judged("cc", "a"), *judged("ii", "b")]
    files.responses("sample").append(response for response, _ in both)
    files.verdicts("verify").append(verdict for _, verdict in both)
    left_out = r"no pair could be made \(questions: 1 never answered right, 1 always answered right\)"
    with pytest.raises(DataError, match=rf"{left_out}; 2 of 4 judged responses are right, .* take easier questions"):
        build.run(build.Config(), files)
    assert json.loads(files.json("funnel/pair").read_text())["pairs"] == {}
    assert len(list(files.dropped("pair"))) == 2
