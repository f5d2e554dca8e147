"""Rows of preferences that are easily misread: each is read as its author meant, or left out with the reason."""

import json

import pytest

from mixpo.pairs.import_pairs import Format
from mixpo.records import Dropped, DropReason

ASKED, GOOD, BAD = (
    {"role": role, "content": text} for role, text in (("user", "What?"), ("assistant", "cat"), ("assistant", "dog"))
)
PLAIN = {"question": "What?", "chosen": "cat", "rejected": "dog"}
GROUNDED = {
    "messages": [{"role": "user", "content": "<image>Where is <ref-object>?"}, {**GOOD, "content": "<bbox>"}],
    "rejected_response": "No.", "images": ["a.png"],
}  # fmt: skip


@pytest.mark.parametrize("text", [json.dumps, str])
@pytest.mark.parametrize(
    ("form", "row"),
    [
        (Format.TRL, {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]}),
        (Format.TRL, {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]}),
        (Format.LLAMA_FACTORY, {"messages": [ASKED], "chosen": GOOD, "rejected": BAD}),
        (Format.MS_SWIFT, {"messages": [ASKED, GOOD], "rejected_response": [BAD]}),
    ],
)
def test_messages_that_a_table_has_as_text(one, form, row, text):
    found = one(form, {name: text(value) for name, value in row.items()})
    assert (found.prompt, found.chosen, found.rejected) == ("What?", "cat", "dog")


def test_an_answer_may_be_json(one):
    answer = '[{"from": "Rome", "to": "Paris"}]'
    assert one(Format.TRL, {"prompt": "Which?", "chosen": answer, "rejected": "[]"}).chosen == answer


@pytest.mark.parametrize(
    ("form", "row"),
    [
        (Format.TRL, {**PLAIN, "prompt": "What?", "images": [], "image": "a.png"}),
        (Format.MS_SWIFT, {"query": "What?", "response": "cat", "rejected_response": "dog", "images": [],
                           "image": "a.png"}),
        (Format.LLAMA_FACTORY, {**PLAIN, "instruction": "What?", "images": [], "image": "a.png"}),
        (Format.RLAIF_V, {**PLAIN, "image": "", "image_path": "a.png"}),
        (Format.RLAIF_V, {**PLAIN, "image": {"bytes": None, "path": None}, "image_path": "a.png"}),
    ],
)  # fmt: skip
def test_an_empty_column_does_not_hide_a_picture(one, form, row):
    assert one(form, row).images == ("import/a.png",)


@pytest.mark.parametrize(
    ("form", "row", "reason"),
    [
        *((form, {**PLAIN, **more}, "its column ") for form in (Format.RLAIF_V, Format.SPA_VL) for more in (
            {"images": ["a.png"]}, {"system": "Be brief."}, {"history": [["A?", "B."]]})),
        (Format.TRL, {**PLAIN, "prompt": "What?", "system": "Be brief."}, "its column system"),
        (Format.TRL, {**PLAIN, "chosen": "The cat.", "rejected": "The dog."}, "its column question"),
        (Format.TRL, {**PLAIN, "question": None, "prompt": ""}, "the prompt is empty"),
        (Format.LLAMA_FACTORY, {**PLAIN, "messages": [ASKED, {**GOOD, "content": "<image>"}, ASKED],
                                "images": ["a.png"]}, "not the user's"),
        (Format.MS_SWIFT, {**GROUNDED, "objects": {"ref": "sheep", "bbox": [[1, 2, 3, 4]]}}, "ref of objects"),
        (Format.MS_SWIFT, {**GROUNDED, "objects": {"ref": ["sheep"], "bbox": [[float("nan"), 2, 3, 4]]}}, "a bbox"),
        (Format.MS_SWIFT, {**GROUNDED, "objects": {"ref": ["sheep"], "bbox": [[1, 2]], "image_id": 1}}, "image_id of"),
        (Format.TRL, {**PLAIN, "prompt": "What?", "answer_gt": "\ud800"}, "not valid Unicode"),
    ],
)  # fmt: skip
def test_what_could_be_misread_is_left_out(one, form, row, reason):
    values = {"grounding": "plain"} if row.keys() >= GROUNDED.keys() else {}
    found = one(form, row, **values)
    assert isinstance(found, Dropped)
    assert reason in found.detail


def test_mmpr_has_one_question(tmp_path, image, lines, imported):
    (tmp_path / "a.png").write_bytes(image("red"))
    lines(tmp_path / "d.jsonl", [PLAIN, {**PLAIN, "images": ["a.png"]}, {**PLAIN, "image": "a.png", "system": "Hi."}])
    (tmp_path / "meta.json").write_text(json.dumps({"d": {"root": ".", "annotation": "d.jsonl", "repeat_time": 1}}))
    pairs, dropped, _ = imported(Format.MMPR, tmp_path)
    assert len(pairs) == 1
    assert [record.reason for record in dropped] == [DropReason.UNSUPPORTED] * 2


@pytest.mark.parametrize(("name", "value"), [("videos", ["a.mp4"]), ("tools", '[{"name": "look"}]')])
def test_llama_factory_s_columns_by_other_names(tmp_path, lines, imported, name, value):
    row = {"conversations": [ASKED], "chosen": GOOD, "rejected": BAD}
    lines(tmp_path / "d.jsonl", [row, {**row, "other": value}])
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", name: "other"}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    info = {"d": {"file_name": "d.jsonl", "formatting": "sharegpt", "ranking": True, "columns": columns, "tags": tags}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    pairs, dropped, _ = imported(Format.LLAMA_FACTORY, tmp_path)
    assert len(pairs) == 1
    assert [record.reason for record in dropped] == [DropReason.UNSUPPORTED]
