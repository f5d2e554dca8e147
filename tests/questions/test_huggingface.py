import sys

import pytest

from mixpo.errors import DataError, MissingExtra
from mixpo.questions import huggingface
from mixpo.records import Question

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def load(path, **fields):
    return list(huggingface.load(huggingface.Config(path=str(path), **fields), "hf", 0))


@pytest.fixture
def data(png):
    features = datasets.Features(
        {"query": datasets.Value("string"), "label": datasets.ClassLabel(names=["cat", "dog"]),
         "image": datasets.Image(), "more": datasets.List(datasets.Value("int64"))}
    )  # fmt: skip
    rows = [
        {"query": "What?", "label": 1, "image": {"bytes": png("red"), "path": None}, "more": [1, 2]},
        {"query": "Who?", "label": -1, "image": None, "more": []},
    ]
    return datasets.Dataset.from_list(rows, features=features)


def check(entries, png):
    first, second = entries
    (content,) = first.pictures.values()
    assert content == png("red"), "the bytes as they stand, neither decoded nor encoded again"
    assert first.question == Question(
        id="hf-0", text="What?", answer="dog", images=tuple(first.pictures), meta={"more": [1, 2]}
    )
    assert second.question == Question(id="hf-1", text="Who?", meta={"more": []})


FIELDS = {"text": "query", "answer": "label"}


def test_saved_to_disk(tmp_path, data, png):
    data.save_to_disk(str(tmp_path / "one"))
    check(load(tmp_path / "one", fields=FIELDS), png)
    datasets.DatasetDict({"validation": data}).save_to_disk(str(tmp_path / "several"))
    check(load(tmp_path / "several", split="validation", fields=FIELDS), png)
    with pytest.raises(DataError, match=r"no split 'train'; it has validation"):
        load(tmp_path / "several")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_of_parquet_files(tmp_path, data, png, streaming):
    (tmp_path / "rows").mkdir()
    data.to_parquet(str(tmp_path / "rows" / "train.parquet"))
    check(load(tmp_path / "rows", fields=FIELDS, streaming=streaming), png)
    assert len(load(tmp_path / "rows", fields=FIELDS, streaming=streaming, limit=1)) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_an_image_folder(tmp_path, png, write_lines, streaming):
    folder = tmp_path / "rows" / "train"
    rows = [{"file_name": f"{number}.png", "text": f"question {number}"} for number in range(2)]
    write_lines(folder / "metadata.jsonl", rows)
    (folder / "0.png").write_bytes(png("red"))
    (folder / "1.png").write_bytes(png("blue"))
    entries = load(tmp_path / "rows", streaming=streaming)
    assert [entry.question.text for entry in entries] == ["question 0", "question 1"]
    assert [list(entry.pictures.values()) for entry in entries] == [[png("red")], [png("blue")]]


def test_the_users_mistakes_are_one_sentence(tmp_path, data, monkeypatch):
    (tmp_path / "rows").mkdir()
    data.to_parquet(str(tmp_path / "rows" / "train.parquet"))
    with pytest.raises(DataError, match=r"cannot be read as a data set \(Unknown split \"dev\""):
        load(tmp_path / "rows", split="dev")
    with pytest.raises(DataError, match="nothing lies there"):
        load("./no/such/folder")
    with pytest.raises(DataError, match=r"nobody/nothing: cannot be read as a data set"):
        load("nobody/nothing")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mixpo\[datasets\]'"):
        load(tmp_path / "rows")


def numbered(tmp_path, answers):
    """A data set whose pictures the survey has no need of, and the bytes of its Parquet file."""
    rows = [{"question": "?", "choices": ["cat", "dog", "cow"], "answer": answer} for answer in answers]
    (tmp_path / "rows").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "rows" / "train.parquet"))
    return tmp_path / "rows"


@pytest.mark.parametrize("streaming", [False, True])
def test_numbers_as_answers_are_decided_from_rows_further_on(tmp_path, streaming, capsys):
    found = load(numbered(tmp_path, [1] * 70 + [3]), streaming=streaming)
    assert [entry.question.answer for entry in found] == ["A"] * 70 + ["C"]
    assert "counted from 1 (hf/train:71 has" in " ".join(capsys.readouterr().err.split())


def test_a_stream_that_contradicts_its_first_rows_is_refused(tmp_path, monkeypatch):
    folder = numbered(tmp_path, [1, 3, 1, 0])
    with pytest.raises(DataError, match="hf/train:4 has a 0, and in hf/train:2 it is as large"):
        load(folder)
    monkeypatch.setattr(huggingface, "SURVEYED", 3)
    with pytest.raises(DataError, match=r"counted from 1 \(hf/train:2 .*, but hf/train:4 has 0; say `answer_index: "):
        load(folder, streaming=True)
