"""Whatever stands in a row, it is a pair or a drop with a reason, and a pair can be read again."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.json_lines import from_json, to_json
from mixpo.pairs.formats import llama_factory, ms_swift
from mixpo.pairs.formats.grounding import Ground, Grounding
from mixpo.pairs.formats.places import PairPlace
from mixpo.pairs.formats.row import Entry, PairSource
from mixpo.pairs.import_pairs import READERS, Format
from mixpo.records import PreferencePair
from mixpo.tables import Row

TEXTS = st.sampled_from(
    ["", "a", "b", "<image>", "<image>a", "<img>x</img>", "[1, 2]", "[{", "{'a': 1}", "<bbox>", "data:x"]
)
ROLES = st.sampled_from(["user", "assistant", "system", "human", "gpt", "tool", "", None, 3, []])
JUNK = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=3)
PARTS = st.fixed_dictionaries(
    {},
    optional={"type": st.sampled_from(["text", "image", "image_url", "video", None, 3]), "text": JUNK, "image": JUNK},
)
MESSAGES = st.fixed_dictionaries(
    {}, optional={
        "role": ROLES, "from": ROLES, "content": JUNK | st.lists(PARTS | JUNK, max_size=2), "value": JUNK,
        "human": JUNK, "assistant": JUNK, "loss": JUNK, "tool_calls": JUNK,
    },
)  # fmt: skip
GOOD = st.sampled_from(
    [[{"role": "user", "content": "a"}], [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
     {"role": "assistant", "content": "c"}, [{"role": "assistant", "content": "c"}]]
)  # fmt: skip
OBJECTS = st.fixed_dictionaries(
    {}, optional={
        "ref": JUNK | st.lists(JUNK, max_size=2), "bbox": JUNK | st.lists(st.lists(JUNK, max_size=4), max_size=2),
        "bbox_type": JUNK | st.just("norm1"), "image_id": JUNK | st.lists(JUNK, max_size=1),
    },
)  # fmt: skip
ANY = st.recursive(JUNK | MESSAGES | GOOD | OBJECTS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
SAID = {"chosen": "a", "rejected": "b"}
ASKED = [{"role": "user", "content": "a"}]
ROWS: dict[Format, list[dict[str, Any]]] = {
    Format.TRL: [{"prompt": ASKED, **SAID, "images": [], "tools": None, "image": None}, {"prompt": "a", **SAID}],
    Format.MMPR: [{"question": "a", **SAID, "image": "", "answer_gt": 3, "video": None}],
    Format.MS_SWIFT: [
        {"messages": [*ASKED, {"role": "assistant", "content": "<bbox>"}], "rejected_response": "b", "images": [],
         "rejected_messages": None, "rejected_images": None, "system": None, "rejected_objects": None,
         "objects": {"ref": [], "bbox": [[0.1, 0.2]], "bbox_type": "norm1"}},
        {"query": "a", "response": "a", "history": [["a", "b"]], "rejected_response": "b", "system": "a"},
        {"instruction": "a", "input": "b", "output": "a", "rejected_response": "b"},
    ],
    Format.LLAMA_FACTORY: [
        {"conversations": ASKED, **SAID, "images": None, "system": "a", "history": []},
        {"messages": ASKED, **SAID, "images": None, "system": "a", "history": []},
        {"instruction": "a", "input": "a", **SAID, "history": [["a", "b"]], "system": ""},
    ],
    Format.RLAIF_V: [{"question": "a", **SAID, "image": None, "answer_gt": 3, "accepted": []}, {"text": SAID}],
    Format.VLFEEDBACK: [{"prompt": "a", "image": None, "img_path": None, "completions": [
        {"response": "a", "annotations": {"x": {"Rating": "1"}}},
        {"response": "b", "annotations": {"x": {"Rating": 2}}}]}],
}  # fmt: skip
"""Rows that are pairs, of which columns are made something else."""
DECLARED = llama_factory.Declared(
    name="x", files=[],
    tags={"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    columns={"messages": ("messages",), "chosen": ("chosen",), "rejected": ("rejected",)}, alpaca=False,
)  # fmt: skip


@pytest.mark.parametrize("form", ROWS)
@given(data=st.data())
@settings(max_examples=100)
def test_any_row_is_a_pair_or_a_drop(form, data):
    row = data.draw(st.sampled_from(ROWS[form]))
    row = row | data.draw(st.dictionaries(st.sampled_from(list(row)), ANY, max_size=2))
    place = PairPlace("x", Path(__file__).parent)
    ways = {
        Format.MS_SWIFT: [READERS[form], partial(ms_swift.contents, ground=Ground(Grounding.PLAIN, place.size))],
        Format.LLAMA_FACTORY: [READERS[form], partial(llama_factory.contents, entry=DECLARED)],
    }.get(form, [READERS[form]])
    for contents in ways:
        for found in PairSource("x", place).read(Row(1, 1, row), contents):
            if isinstance(found, Entry):
                assert from_json(PreferencePair, to_json(found.pair)) == found.pair
                assert all(isinstance(answer, str) for answer in found.answers)
            else:
                assert found.detail
