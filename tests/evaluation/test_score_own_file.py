"""`mixpo score FILE --benchmark file --data …`: each response is held against its own question."""

import json

import pytest

from mixpo.errors import UserError
from mixpo.evaluation.score_file import score
from mixpo.records import Outcome

ASKED = [
    {"text": "Is it one?", "answer": "one"},
    {"text": "Is it two?", "answer": "two"},
    {"text": "3?", "answer": "3"},
]


@pytest.fixture
def outcomes(tmp_path):
    """Question -> outcome of its response; and the number of questions."""

    def judge(data, responses):
        for name, rows in (("data", data), ("given", responses)):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        scores, _, verdicts = score(tmp_path / "given.jsonl", "file", data=tmp_path / "data.jsonl")
        count = next(each.n for each in scores if (each.metric, each.category) == ("accuracy", "all"))
        return {verdict.question_id: verdict.outcome for verdict in verdicts}, count

    return judge


def test_an_index_beside_the_id_is_no_id(outcomes):
    data = [{"id": number, "index": number + 1, **row} for number, row in enumerate(ASKED)]
    found, count = outcomes(data, [{**data[0], "prediction": "one"}])
    assert (found, count) == ({"file-0": Outcome.CORRECT}, 3)


def test_of_two_questions_with_one_id_the_first_stands(outcomes):
    data = [{"id": 1, **ASKED[0]}, {"id": 1, **ASKED[1]}]
    assert outcomes(data, [{"id": 1, "prediction": "one"}]) == ({"file-1": Outcome.CORRECT}, 1)


def test_places_count_rows_that_are_no_questions(outcomes):
    data = [{"text": ""}, *ASKED]
    found, _ = outcomes(data, [{"doc_id": 1, "resps": [["one"]]}, {"doc_id": 2, "resps": [["two"]]}])
    assert found == {"file-1": Outcome.CORRECT, "file-2": Outcome.CORRECT}


def test_a_column_row_of_one_s_own(outcomes):
    data = [{"id": number, "row": 7, **row} for number, row in enumerate(ASKED)]
    assert outcomes(data, [{"id": 0, "prediction": "one"}]) == ({"file-0": Outcome.CORRECT}, 3)


def test_the_question_s_text_is_no_response(outcomes):
    data = [{"id": number, **row} for number, row in enumerate(ASKED)]
    found, count = outcomes(data, [{**data[1], "prediction": ""}, {**data[0], "prediction": "one"}])
    assert (found, count) == ({"file-0": Outcome.CORRECT}, 3)


def test_large_ids_of_a_spreadsheet(outcomes):
    found, _ = outcomes([{"index": 1000017, **ASKED[0]}], [{"index": 1000017.0, "prediction": "one"}])
    assert found == {"file-1000017": Outcome.CORRECT}


def test_own_questions_by_a_name_of_one_s_own(tmp_path):
    """`--benchmark mine=FOLDER`, as `mixpo evaluate` has it; the folder holds one file."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "q.csv").write_text("id,text,answer\n1,Is it one?,one\n2,Is it two?,two\n")
    given = tmp_path / "r.jsonl"
    given.write_text(json.dumps({"id": "1", "prediction": "one"}) + "\n")
    scores, _, _ = score(given, f"mine={tmp_path / 'mine'}")
    assert (scores[0].benchmark, scores[0].value, scores[0].n) == ("mine", 0.5, 2)
    (tmp_path / "mine" / "more.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"holds several files \(more.jsonl, q.csv\); name one of them"):
        score(given, f"mine={tmp_path / 'mine'}")
    for name, message in (
        (f"mathvisa={given}", "did you mean 'mathvista'"),
        (str(given), f"give the questions a name, --benchmark r={given}"),
        ("file=", "write file=PATH"),
        (f"my set={given}", "made of letters"),
    ):
        with pytest.raises(UserError, match=message):
            score(given, name)
    with pytest.raises(UserError, match="leave out --data"):
        score(given, f"mine={given}", data=given)
