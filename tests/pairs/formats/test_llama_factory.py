"""LLaMA-Factory's rows and declarations in the forms of its data/README.md."""

import json

import pytest

from mixpo.errors import DataError, UserError
from mixpo.messages import PICTURE
from mixpo.pairs.import_pairs import Format
from mixpo.records import DropReason

ASKED = [{"from": "human", "value": "<image>Who?"}]
ANSWERS = {"chosen": {"from": "gpt", "value": "Kane"}, "rejected": {"from": "gpt", "value": "Me"}}
ROW = {"conversations": ASKED, **ANSWERS, "images": ["a.png"]}
ENTRY = {
    "file_name": "d.json", "ranking": True, "formatting": "sharegpt",
    "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "images": "images"},
}  # fmt: skip
OPENAI = {
    "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
    "system_tag": "system",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, image):
    """A folder with a data set of these rows, declared as one or several entries."""

    def make(rows, **info):
        (tmp_path / "a.png").write_bytes(image("red"))
        (tmp_path / "d.json").write_text(json.dumps(rows))
        (tmp_path / "dataset_info.json").write_text(json.dumps(info or {"mine": ENTRY}))
        return tmp_path

    return make


def said(pair):
    return pair.system, [turn.text for turn in pair.turns], pair.prompt, pair.chosen, pair.rejected, len(pair.images)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW, ("", [], "Who?", "Kane", "Me", 1)),
        ({**ROW, "system": "Be."}, ("Be.", [], "Who?", "Kane", "Me", 1)),
        (
            {**ROW, "conversations": [{"from": "system", "value": "Be."}, *ASKED]},
            ("Be.", [], "Who?", "Kane", "Me", 1),
        ),
        (
            {**ROW, "conversations": [*ASKED, {"from": "gpt", "value": "He."}, {"from": "human", "value": "Sure?"}]},
            ("", ["Who?", "He."], "Sure?", "Kane", "Me", 1),
        ),
        (
            {**ROW, "conversations": [{"from": "human", "value": "A <image>, B <image>?"}], "images": ["a.png"] * 2},
            ("", [], f"A {PICTURE}, B {PICTURE}?", "Kane", "Me", 2),
        ),
        (
            {"messages": [{"role": "user", "content": "Hi"}], "chosen": {"role": "assistant", "content": "Kane"},
             "rejected": {"role": "assistant", "content": "Me"}},
            ("", [], "Hi", "Kane", "Me", 0),
        ),
        (
            {"instruction": "<image>Who?", "input": "Say.", "chosen": "Kane", "rejected": "Me", "system": "Be.",
             "history": [["a", "b"]], "images": "a.png"},
            ("Be.", ["a", "b"], f"{PICTURE}Who?\nSay.", "Kane", "Me", 1),
        ),
    ],
)  # fmt: skip
def test_a_file_without_a_declaration(one, row, expected):
    assert said(one(Format.LLAMA_FACTORY, row)) == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rejected": None}, DropReason.BAD_ROW),
        ({"rejected": ANSWERS["chosen"]}, DropReason.SAME_TEXT),
        ({"chosen": {"from": "function_call", "value": "{}"}}, DropReason.UNSUPPORTED),
        ({"chosen": {"from": "human", "value": "?"}}, DropReason.BAD_ROW),
        ({"conversations": [*ASKED, {"from": "gpt", "value": "?"}]}, DropReason.BAD_ROW),
        ({"conversations": []}, DropReason.BAD_ROW),
        ({"videos": ["v.mp4"]}, DropReason.UNSUPPORTED),
        ({"images": []}, DropReason.BAD_ROW),
        ({"images": ["a.png", "a.png"]}, DropReason.BAD_ROW),
        ({"images": ["lost.png"]}, DropReason.BAD_IMAGE),
    ],
)
def test_what_is_dropped(one, change, reason):
    assert one(Format.LLAMA_FACTORY, {**ROW, **change}).reason is reason


def test_a_declaration_is_followed(folder, imported):
    rows = [
        {"q": [{"role": "system", "content": "Be."}, {"role": "user", "content": "<image>Who?"}], "picture": ["a.png"],
         "good": {"role": "assistant", "content": "Kane"}, "bad": {"role": "assistant", "content": "Me"}},
    ]  # fmt: skip
    columns = {"messages": "q", "chosen": "good", "rejected": "bad", "images": "picture"}
    path = folder(rows, sft={"file_name": "x.json"}, dpo={**ENTRY, "columns": columns, "tags": OPENAI})
    pairs, dropped, _ = imported(Format.LLAMA_FACTORY, path)
    assert [said(pair) for pair in pairs] == [("Be.", [], "Who?", "Kane", "Me", 1)]
    assert dropped == []


def test_alpaca_is_the_formatting_of_an_entry_that_says_none(folder, imported):
    entry = {"file_name": "d.json", "ranking": True,
             "columns": {"prompt": "question", "images": "image", "chosen": "chosen", "rejected": "rejected"}
    }  # fmt: skip
    rows = [{"question": "Who?", "chosen": "Kane", "rejected": "Me", "image": "a.png"}]
    pairs, _, _ = imported(Format.LLAMA_FACTORY, folder(rows, rlaif_v=entry))
    assert [said(pair) for pair in pairs] == [("", [], "Who?", "Kane", "Me", 1)]


def test_columns_that_are_not_listed_are_not_read_and_said(folder, imported, capsys):
    """A system prompt is left out as LLaMA-Factory does; without its images a row asks something else."""
    without = {key: value for key, value in ENTRY["columns"].items() if key != "images"}
    path = folder([{**ROW, "system": "Be."}], mine=ENTRY)
    pairs, _, _ = imported(Format.LLAMA_FACTORY, path)
    assert [pair.system for pair in pairs] == [""]
    assert "`columns` of mine does not list them: system" in " ".join(capsys.readouterr().err.split())
    folder([ROW], mine={**ENTRY, "columns": without})
    with pytest.raises(DataError, match="gave no pair: 1 row left out because its images, which `columns` of mine"):
        imported(Format.LLAMA_FACTORY, path / "dataset_info.json", name="second")


def test_a_turn_that_the_tags_do_not_list(folder, imported):
    asked = [{"role": "system", "content": "Be."}, {"role": "user", "content": "Who?"}]
    answers = {name: {"role": "assistant", "content": name} for name in ("chosen", "rejected")}
    rows = [{"conversations": messages, **answers} for messages in (asked, asked[1:])]
    tags = {key: value for key, value in OPENAI.items() if key != "system_tag"}
    pairs, dropped, _ = imported(Format.LLAMA_FACTORY, folder(rows, mine={**ENTRY, "tags": tags}))
    assert len(pairs) == 1
    assert [record.detail for record in dropped] == ["a turn of 'system', which `tags` does not list"]


def test_samples_are_drawn(folder, imported):
    rows = [{**ROW, "conversations": [{"from": "human", "value": f"{number}?"}]} for number in range(9)]
    pairs, dropped, _ = imported(Format.LLAMA_FACTORY, folder(rows, mine={**ENTRY, "num_samples": 3}))
    assert len(pairs) == 3
    assert [(record.reason, record.count) for record in dropped] == [(DropReason.OVER_CAP, 6)]


def test_the_files_of_a_folder_are_one_data_set(folder, tmp_path, imported):
    path = folder([], mine={**ENTRY, "file_name": "parts"})
    (tmp_path / "parts").mkdir()
    for name in "ab":
        (tmp_path / "parts" / f"{name}.json").write_text(json.dumps([ROW]))
    pairs, _, _ = imported(Format.LLAMA_FACTORY, path)
    assert [pair.id for pair in pairs] == ["import-1", "import-2"]


@pytest.mark.parametrize(
    ("info", "dataset", "message"),
    [
        ({"a": ENTRY, "b": ENTRY}, "", "several of preferences: a, b; name one in `dataset`"),
        ({"a": ENTRY, "b": ENTRY}, "c", "'c' is none of a, b"),
        ({"a": {"file_name": "d.json"}}, "", "no entry with `ranking: true`"),
        ({"a": {"file_name": "d.json"}, "b": ENTRY}, "a", "a is no entry of preferences"),
        ({"a": {**ENTRY, "hf_hub_url": "x/y"}}, "", "lies elsewhere \\(hf_hub_url: x/y\\); download it"),
        ({"a": {**ENTRY, "script_url": "x"}}, "", "lies elsewhere"),
        ({"a": {**ENTRY, "file_name": "lost.json"}}, "", "lost.json, which is not there"),
        ({"a": "x"}, "", "is no dataset_info.json"),
        ({"a": {"file_name": "d.json", "ranking": True}}, "", "`columns` of a lists no chosen and rejected"),
    ],
)
def test_a_declaration_that_cannot_be_used(folder, imported, info, dataset, message):
    with pytest.raises(UserError, match=message):
        imported(Format.LLAMA_FACTORY, folder([ROW], **info), dataset=dataset)


def test_the_small_case(case, imported):
    pairs, dropped, _ = imported(Format.LLAMA_FACTORY, case("import-lf"))
    assert [record.id for record in dropped] == ["import:8", "import:9", "import:12"]
    assert [pair.prompt for pair in pairs][5:7] == ["What colour?", f"Compare {PICTURE} with {PICTURE}"]
    assert len(pairs) == 9
