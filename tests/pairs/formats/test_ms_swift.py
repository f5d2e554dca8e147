"""ms-swift's rows in the forms that its documentation has (Customization/Custom-dataset)."""

import base64

import pytest

from mixpo.messages import PICTURE
from mixpo.pairs.formats.grounding import Grounding
from mixpo.pairs.import_pairs import Format
from mixpo.records import DropReason, PreferencePair, Turn

USER = {"role": "user", "content": "<image>What?"}
GOOD, BAD = ({"role": "assistant", "content": text} for text in ("cat", "dog"))
ROW = {"messages": [USER, GOOD], "rejected_response": "dog", "images": ["a.png"]}


def summary(found):
    if not isinstance(found, PreferencePair):
        return found
    turns = [turn.text for turn in found.turns]
    return found.system, turns, found.prompt, found.chosen, found.rejected, found.images


PLAIN = ("", [], "What?", "cat", "dog", ("import/a.png",))


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        {**ROW, "messages": [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "cat"}]},
        {**ROW, "messages": "[{'role': 'user', 'content': '<image>What?'}, {'role': 'bot', 'content': 'cat'}]"},
        {**ROW, "messages": [USER, {"role": "assistant", "content": "c"}, {"role": "assistant", "content": "at"}]},
        {**ROW, "messages": [USER, {**GOOD, "loss": True, "loss_scale": 1.0}]},
        {**ROW, "rejected_response": [BAD]},
        {**ROW, "rejected_response": [{"role": "assistant", "content": "d"}, {"role": "assistant", "content": "og"}]},
        {**ROW, "rejected_response": None, "rejected_messages": [USER, BAD], "rejected_images": ["a.png"]},
        {**ROW, "rejected_response": None, "rejected_messages": [USER, BAD]},
        {**ROW, "rejected_images": [{"bytes": None, "path": "a.png"}]},
        {**ROW, "images": "a.png"},
        {**ROW, "images": None, "image": "a.png"},
        {**ROW, "images": {"bytes": None, "path": "a.png"}},
        {**ROW, "images": ["./a.png"]},
        {**ROW, "messages": [{"role": "user", "content": "What?"}, GOOD]},
        {**ROW, "images": [], "messages": [{"role": "user", "content": "<img>a.png</img>What?"}, GOOD]},
        {**ROW, "images": [], "messages": [
            {"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "What?"}]},
            GOOD]},
        {**ROW, "images": [], "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": "What?"}]}, GOOD]},
        {**ROW, "messages": [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}, GOOD]},
        {"query": "<image>What?", "response": "cat", "rejected_response": "dog", "images": ["a.png"]},
        {"question": "<image>What?", "answers": ["cat", "tiger"], "rejected_response": "dog", "image": "a.png"},
        {"instruction": "<image>What?", "input": "", "output": "cat", "rejected_response": "dog", "images": ["a.png"]},
        {"conversation": [{"human": "<image>What?", "assistant": "cat"}], "rejected_response": "dog",
         "images": ["a.png"]},
    ],
)  # fmt: skip
def test_the_same_pair_in_every_form(one, row):
    assert summary(one(Format.MS_SWIFT, row)) == PLAIN


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({**ROW, "messages": [{"role": "system", "content": "Be."}, USER, GOOD]}, ("Be.", [], "What?", "cat")),
        ({**ROW, "system": "Be."}, ("Be.", [], "What?", "cat")),
        (
            {**ROW, "messages": [USER, {**GOOD, "content": "A cat."}, {"role": "user", "content": "Sure?"}, GOOD]},
            ("", ["What?", "A cat."], "Sure?", "cat"),
        ),
        (
            {"system_prompt": "Be.", "query": "<image>And now?", "response": "cat", "rejected_response": "dog",
             "history": [["Colour?", "Red."]], "images": ["a.png"]},
            ("Be.", ["Colour?", "Red."], f"{PICTURE}And now?", "cat"),
        ),
        ({"instruction": "i", "input": "x", "output": "cat", "rejected_response": "dog"}, ("", [], "i\nx", "cat")),
        (
            {**ROW, "images": ["a.png", "b.png"],
             "messages": [{"role": "user", "content": "A <image> and <image>?"}, GOOD]},
            ("", [], f"A {PICTURE} and {PICTURE}?", "cat"),
        ),
        # ms-swift puts the marks that lack before the first message.
        (
            {**ROW, "images": ["a.png", "b.png"], "messages": [{"role": "user", "content": "See <image>?"}, GOOD]},
            ("", [], f"{PICTURE}See {PICTURE}?", "cat"),
        ),
        (
            {**ROW, "images": ["a.png"], "messages": [{"role": "user", "content": "<image>Is [IMG] a mark?"}, GOOD]},
            ("", [], "Is [IMG] a mark?", "cat"),
        ),
    ],
)  # fmt: skip
def test_conversations_and_places(one, row, expected):
    assert summary(one(Format.MS_SWIFT, row))[:4] == expected


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"rejected_response": None}, DropReason.BAD_ROW, "neither rejected_response nor rejected_messages"),
        ({"rejected_response": "cat"}, DropReason.SAME_TEXT, "the same"),
        ({"rejected_response": " "}, DropReason.EMPTY, "rejected is empty"),
        ({"rejected_response": None, "rejected_images": ["b.png"]}, DropReason.UNSUPPORTED, "different images"),
        ({"rejected_images": ["b.png"]}, DropReason.UNSUPPORTED, "different images"),
        (
            {"rejected_response": None, "rejected_messages": [{**USER, "content": "<image>Who?"}, BAD]},
            DropReason.UNSUPPORTED, "different prompts",
        ),
        ({"rejected_response": [USER, BAD]}, DropReason.BAD_ROW, "user's turn"),
        ({"tools": '[{"name": "x"}]'}, DropReason.UNSUPPORTED, "tools"),
        (
            {"messages": [USER, {"role": "tool_call", "content": "{}"}, {"role": "tool", "content": "{}"}, GOOD]},
            DropReason.UNSUPPORTED, "'tool_call'",
        ),
        ({"videos": ["v.mp4"]}, DropReason.UNSUPPORTED, "video"),
        ({"images": []}, DropReason.BAD_ROW, "1 place for a picture, and the row has none"),
        ({"images": ["lost.png"]}, DropReason.BAD_IMAGE, "no such file"),
        ({"images": ["/etc/passwd"]}, DropReason.BAD_IMAGE, "image_root"),
        ({"images": ["https://x.example/a.png"]}, DropReason.BAD_IMAGE, "fetch_images"),
        ({"messages": [{**USER, "content": "<image><image>?"}, GOOD]}, DropReason.BAD_ROW, "2 places for 1 picture"),
        ({"messages": [{**USER, "content": "?"}, {**GOOD, "content": "<image>"}]}, DropReason.UNSUPPORTED, "not the"),
        ({"messages": [USER, {**GOOD, "loss": False}]}, DropReason.UNSUPPORTED, "loss of its own"),
        ({"messages": [USER]}, DropReason.BAD_ROW, "end with the assistant's answer"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, DropReason.UNSUPPORTED, "chat template"),
    ],
)  # fmt: skip
def test_what_is_dropped(one, change, reason, detail):
    found = one(Format.MS_SWIFT, {**ROW, **change})
    assert (found.reason, detail in found.detail) == (reason, True), found.detail


def test_several_rejected_texts_make_a_pair_each(one):
    found = one(Format.MS_SWIFT, {**ROW, "rejected_response": ["dog", "cat", "cow"]})
    assert [record.id for record in found] == ["import-1/0>1", "import-1/0>3", "import:1/0>2"]
    assert [pair.rejected for pair in found[:2]] == ["dog", "cow"]
    assert found[2].reason is DropReason.SAME_TEXT


def test_a_picture_in_the_row_itself(one, image):
    url = f"data:image/png;base64,{base64.b64encode(image('green')).decode()}"
    pair = one(Format.MS_SWIFT, {**ROW, "images": [url]})
    assert pair.images[0].startswith("import/")
    assert pair.images[0].endswith(".png")


OBJECTS = {"ref": ["sheep"], "bbox": [[7, 14, 21, 28], [21, 28, 7, 14]]}
GROUNDED = {
    "messages": [{**USER, "content": "<image>Find the <ref-object>."}, {**GOOD, "content": "<bbox>"}],
    "rejected_response": "<bbox><bbox><bbox>", "images": ["a.png"], "objects": OBJECTS,
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "prompt", "box"),
    [
        (Grounding.PLAIN, "Find the sheep.", "[(250,500),(750,1000)]"),
        (Grounding.QWEN2_VL, "Find the <|object_ref_start|>sheep<|object_ref_end|>.",
         "<|box_start|>(250,500),(750,1000)<|box_end|>"),
        (Grounding.QWEN3_VL, "Find the sheep.", "[250, 500, 750, 1000]"),
        (Grounding.INTERNVL, "Find the <ref>sheep</ref>.", "<box>[[250, 500, 750, 1000]]</box>"),
    ],
)  # fmt: skip
def test_grounding_marks_are_filled_as_the_family_writes_them(one, form, prompt, box):
    """Boxes of pixels, of a picture of 28 x 28; a mark behind the last box is words."""
    pair = one(Format.MS_SWIFT, GROUNDED, grounding=form)
    assert (pair.prompt, pair.chosen, pair.rejected) == (prompt, box, f"{box}{box}<bbox>")


def test_grounding_marks_are_dropped_unless_a_form_is_said(one):
    found = one(Format.MS_SWIFT, GROUNDED)
    assert (found.reason, "`grounding`" in found.detail) == (DropReason.UNSUPPORTED, True)


def test_boxes_of_ratios_and_of_another_picture(one):
    objects = {"ref": [], "bbox": [[0.5, 0.25]], "bbox_type": "norm1"}
    assert one(Format.MS_SWIFT, {**GROUNDED, "objects": objects}, grounding=Grounding.PLAIN).chosen == "[(500,250)]"


def test_a_box_in_a_picture_that_is_not_there(one):
    objects = {"bbox": [[1, 2]], "image_id": [3]}
    assert "image 3" in one(Format.MS_SWIFT, {**GROUNDED, "objects": objects}, grounding=Grounding.PLAIN).detail


def test_the_small_case(case, imported):
    pairs, dropped, _ = imported(Format.MS_SWIFT, case("import-swift"))
    assert len(pairs) == 15
    assert [record.id for record in dropped] == ["import:7", "import:13", "import:14"]
    assert pairs[2].turns == (Turn(role="user", text="What colour?"), Turn(role="assistant", text="red"))
    assert pairs[3].prompt == f"A {PICTURE} and B {PICTURE}, compare"
