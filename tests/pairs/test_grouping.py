import random

import pytest

from mixpo.files import RunFiles
from mixpo.pairs.grouping import Inputs, groups


@pytest.fixture
def inputs(tmp_path, question, judged):
    """60 questions with 4 responses each, the records of a question far apart."""
    files = RunFiles(tmp_path / "run")
    both = [one for number in range(60) for one in judged("ci?u", f"q{number}")]
    files.questions("questions").append(question(f"q{number}") for number in range(60))
    for records, shards in (
        ([r for r, _ in both], files.responses("sample")),
        ([v for _, v in both], files.verdicts("verify")),
    ):
        random.Random(1).shuffle(records)
        shards.append(records)
    return Inputs(
        questions=files.questions("questions"), responses=files.responses("sample"),
        verdicts=files.verdicts("verify"), continuations=files.continuations("none"),
    )  # fmt: skip


def as_sets(found):
    return {
        group.question_id: (group.question, {r.id: r for r in group.responses}, {v.id: v for v in group.verdicts})
        for group in found
    }


def test_buckets_on_disk_give_the_same_groups_as_memory(tmp_path, inputs):
    in_memory = list(groups(inputs, tmp_path / "buckets"))
    in_buckets = groups(inputs, tmp_path / "buckets", bucket_bytes=2000)
    first = next(in_buckets)
    assert len(list((tmp_path / "buckets").iterdir())) > 4 * 4, "records were split over several folders"
    on_disk = [first, *in_buckets]
    assert len(in_memory) == len(on_disk) == 60
    assert as_sets(in_memory) == as_sets(on_disk)
    assert all(len(group.responses) == len(group.verdicts) == 4 for group in on_disk)
    assert not (tmp_path / "buckets").exists(), "the temporary files are removed"


def test_what_a_killed_run_left_behind_is_not_read(tmp_path, inputs):
    wanted = as_sets(groups(inputs, tmp_path / "buckets"))
    killed = groups(inputs, tmp_path / "buckets", bucket_bytes=2000)
    next(killed)
    (tmp_path / "buckets" / "responses-000" / "part-00001.jsonl").write_text('{"id": "x/0", "question_id": "x"}\n')
    assert as_sets(groups(inputs, tmp_path / "buckets", bucket_bytes=2000)) == wanted


def test_records_of_a_question_that_is_not_there_and_torn_lines(tmp_path, inputs, judged):
    inputs.responses.append(response for response, _ in judged("c", "stranger"))
    with inputs.verdicts.paths()[0].open("a") as file:
        file.write('{"id": "q1/9", "question')
    for bucket_bytes in (10**9, 2000):
        found = {group.question_id: group for group in groups(inputs, tmp_path / "buckets", bucket_bytes)}
        assert len(found) == 61
        assert found["stranger"].question is None
        assert len(found["q1"].verdicts) == 4
