"""Any pair, exported and imported again, is the same pair; or it is listed as one that the format cannot hold."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.files import RunFiles
from mixpo.messages import PICTURE
from mixpo.pairs.export import LEFT_OUT, export
from mixpo.pairs.import_pairs import WRITERS, Config, Format
from mixpo.pairs.import_pairs import run as run_import
from mixpo.records import DropReason, Origin, PreferencePair, Question, Turn
from mixpo.text_files import write_bytes, write_text

PIECES = st.sampled_from(
    [" ", "\n", "\r\n", "\t", "\u2028", "a", "What?", "数", "\0", "\\n", '"', "[1, 2]", '{"a": 1}', "[{'role': 'x'}]",
     "<image>", "<image>\n", "<img>a.png</img>", "<|image_pad|>", "[IMG]", "(<image>./</image>)", "<video>", "<audio>",
     "<bbox>", "<ref-object>", "<|im_end|>", "Human:", "\n\nHuman: x\n\nAssistant:", "< image>", "images/scenes/1.png"]
)  # fmt: skip
WORDS = st.lists(PIECES, max_size=4).map("".join)
SAID = st.lists(PIECES | st.just(PICTURE), min_size=1, max_size=4).map("".join).filter(str.strip)
"""What a completion says: U+FFFC is a character there."""
PICTURES = ("scenes/1.png", "scenes/deep/2.png", "other/3.png")


@st.composite
def prompts(draw):
    """System prompt, turns, last text and images: pictures first, or each in a place of its own."""
    images = tuple(draw(st.lists(st.sampled_from(PICTURES), max_size=3)))
    count = draw(st.integers(0, 2))
    asked = [draw(WORDS) for _ in range(count + 1)]
    if images and draw(st.booleans()):
        for _ in images:
            which = draw(st.integers(0, count))
            at = draw(st.integers(0, len(asked[which])))
            asked[which] = f"{asked[which][:at]}{PICTURE}{asked[which][at:]}"
    turns = tuple(
        Turn(role=role, text=text)
        for words in asked[:-1]
        for role, text in (("user", words), ("assistant", draw(WORDS)))
    )
    return {"system": draw(st.just("") | WORDS), "turns": turns, "prompt": asked[-1], "images": images}


@st.composite
def pairs(draw):
    found = []
    for number in range(draw(st.integers(1, 5))):
        chosen, rejected = draw(st.tuples(SAID, SAID).filter(lambda each: each[0] != each[1]))
        found.append(
            PreferencePair(
                id=f"q{number}/0>1", question_id=f"q{number}", chosen=chosen, rejected=rejected,
                origin=draw(st.sampled_from(Origin)), chosen_id=f"q{number}/0", rejected_id=draw(st.just("") | WORDS),
                rejected_ended=draw(st.booleans()), **draw(prompts()),
            )
        )  # fmt: skip
    return found


def written(folder: Path, found: list[PreferencePair], picture: bytes) -> RunFiles:
    files = RunFiles(folder)
    for name in PICTURES:
        write_bytes(files.pictures("questions") / name, picture)
    write_text(files.image_roots_file("questions"), json.dumps({"scenes": "images/scenes", "other": "images/other"}))
    answers = [("[1, 2]", ()), ("3", ("three", "[3]")), (None, ())]
    files.questions("questions").append(
        Question(id=pair.question_id, text=pair.prompt, images=pair.images, answer=answers[number % 3][0],
                 accepted=answers[number % 3][1])
        for number, pair in enumerate(found)
    )  # fmt: skip
    files.pairs("pair").append(found)
    return files


HELD = PreferencePair(
    id="held/0>1", question_id="held", prompt="What?", chosen="a", rejected="b", origin=Origin.CORRECTNESS,
    images=("scenes/1.png",),
)  # fmt: skip
"""A pair that every format holds, so that an export is never empty."""


@pytest.fixture(scope="session")
def picture(image):
    return image("red")


@pytest.mark.parametrize("form", WRITERS)
@given(found=pairs())
@settings(max_examples=10)
def test_any_pair_comes_back_or_is_listed(form, picture, found):
    found = [HELD, *found]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = export(written(folder / "run", found, picture), form, folder / "out")
        left = {record.id for record in done.left_out}
        assert {record.reason for record in done.left_out} <= {DropReason.UNSUPPORTED}
        assert (folder / "out" / LEFT_OUT).exists() == bool(left)
        back = RunFiles(folder / "back")
        run_import(Config(format=form, path=str(folder / "out")), back)
        assert list(back.pairs("import")) == [pair for pair in found if pair.id not in left]
        answers = {question.id: (question.answer, question.accepted) for question in back.questions("import")}
        given = {q.id: (q.answer, q.accepted) for q in RunFiles(folder / "run").questions("questions")}
        assert answers == {name: given[name] for name in answers}


KINDS = {
    "plain": {"prompt": "What?"},
    "system": {"prompt": "What?", "system": "Be brief."},
    "turns": {"prompt": "And?", "turns": (Turn(role="user", text="What?"), Turn(role="assistant", text="This."))},
    "places": {"prompt": f"A: {PICTURE}\nB: {PICTURE}\n", "images": PICTURES[:2]},
    "first": {"prompt": "What?", "images": PICTURES[:2]},
    "one image": {"prompt": "What?", "images": PICTURES[:1]},
    "a mark in the words": {"prompt": "What is <image>?", "images": PICTURES[:1]},
    "a mark in an answer": {"prompt": "What?", "chosen": "<image>", "images": PICTURES[:1]},
    "a mark without images": {"prompt": "What is <image>?"},
}
SINGLE = {"one image"}
TOKENS = {
    "a token in the words": {"prompt": "What is <|image_pad|>?", "images": PICTURES[:1]},
    "a token in an answer": {"prompt": "What?", "chosen": "[IMG]"},
}
"""What no format holds: the other program's tokenizer takes it for an image."""
HOLDS = {
    Format.TRL: set(KINDS),
    Format.MMPR: set(KINDS) - {"system", "turns"},
    Format.MS_SWIFT: set(KINDS) - {"a mark in the words", "a mark in an answer"},
    Format.LLAMA_FACTORY: {kind for kind in KINDS if not kind.startswith("a mark")},
    Format.RLAIF_V: SINGLE,
    Format.RLHF_V: SINGLE,
    Format.SPA_VL: SINGLE,
}
"""What docs/formats.md says that each format holds."""


@pytest.mark.parametrize("form", WRITERS)
def test_what_each_format_holds(form, picture, tmp_path):
    usual = {"chosen": "a", "rejected": "b", "origin": Origin.CORRECTNESS}
    found = [
        PreferencePair(**{"id": kind, "question_id": kind, **usual, **given})
        for kind, given in (KINDS | TOKENS).items()
    ]
    done = export(written(tmp_path / "run", found, picture), form, tmp_path / "out")
    assert {record.id for record in done.left_out} == (set(KINDS) | set(TOKENS)) - HOLDS[form]
    assert Counter(record.reason for record in done.left_out) == Counter([DropReason.UNSUPPORTED] * len(done.left_out))
