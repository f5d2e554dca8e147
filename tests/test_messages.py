"""Places of pictures in a prompt, as other programs mark them and as messages have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.errors import DataError
from mixpo.messages import MARK, PICTURE, TOKENS, broken, messages, parts, placed, transcript
from mixpo.records import Turn

IMAGE = {"type": "image"}
MARKS = [
    *("<image>", "<ImageHere>", "[IMG]", "<|image_pad|>", "<image_soft_token>", "<start_of_image>", "<|image|>"),
    *("<IMG_CONTEXT>", "<img><IMG_CONTEXT><IMG_CONTEXT></img>", "(<image>./</image>)", "<|image_1|>"),
    *("<|vision_start|><|image_pad|><|image_pad|><|vision_end|>", "<im_start><image><im_end>"),
    *("<start_of_image><image_soft_token><image_soft_token><end_of_image>", "<image_placeholder>"),
]


def words(text):
    return {"type": "text", "text": text}


@pytest.mark.parametrize("mark", MARKS)
def test_the_mark_of_any_family_is_a_picture_s_place(mark):
    assert placed([f"Is {mark} left?"], 1) == [f"Is {PICTURE} left?"]
    other = mark.replace("1", "2")  # Phi-3 numbers them
    assert placed([f"{mark}\n{other}\nWhich?"], 2) == ["Which?"]
    assert placed([f"See {mark}"], 0) == [f"See {mark}"]
    said = messages(f"See {mark}")[0]["content"]
    assert said == [words(f"See {broken(mark, TOKENS)}")]
    assert not MARK.search(said[0]["text"])


def test_marks_and_pictures_must_be_as_many():
    with pytest.raises(DataError, match="2 places for 1 picture;"):
        placed(["<image> and <image>"], 1)
    with pytest.raises(DataError, match="places for 1 pictures and there are 2"):
        messages(PICTURE, 2)


def test_marks_before_the_first_words_go_with_what_stands_around_them():
    assert placed(["<image>\n<image>\nWhich?", "And <ImageHere>?"], 3) == [
        f"{PICTURE}\n{PICTURE}\nWhich?", f"And {PICTURE}?"
    ]  # fmt: skip
    assert placed([" <image>\n\n Which?"], 1) == ["Which?"]
    assert placed(["<image>\n\n Which?"], 1, "\n") == ["\n Which?"]
    assert placed(["<image> Which?"], 1, "") == [" Which?"]
    assert placed(["A", "<image>B"], 1) == ["A", f"{PICTURE}B"]


def test_one_mark_alone_counts_where_it_is_said_or_fits():
    """What other programs do not read as a mark is words."""
    assert placed(["<image>Is [IMG] one?"], 1, "") == ["Is [IMG] one?"]
    assert placed([f"<image> {PICTURE} <image_pad>"], 1, "") == ["  <image_pad>"]
    assert placed([f"{PICTURE}Is <image> one?"], 1, "", PICTURE) == ["Is <image> one?"]
    assert placed(["Is [IMG] one?"], 1, "", "<image>") == ["Is [IMG] one?"]


def test_marks_ahead_stay_where_more_than_what_belongs_to_them_stands_between():
    assert placed(["<image>\n<image>\nWhich?"], 2, "\n") == ["Which?"]
    assert placed(["<image>\n<image>\nWhich?"], 2, "") == [f"{PICTURE}\n{PICTURE}\nWhich?"]
    assert placed(["<image><image>\nWhich?"], 2, "") == ["\nWhich?"]
    assert placed(["<image>Which?"], 1, "", keep=True) == [f"{PICTURE}Which?"]


def test_messages_have_pictures_where_they_stand():
    turns = (Turn(role="user", text=f"A {PICTURE}?"), Turn(role="assistant", text="B."))
    assert messages(f"{PICTURE} and?", 2, "S", turns) == [
        {"role": "system", "content": [words("S")]},
        {"role": "user", "content": [words("A "), IMAGE, words("?")]},
        {"role": "assistant", "content": [words("B.")]},
        {"role": "user", "content": [IMAGE, words(" and?")]},
    ]
    before = (Turn(role="user", text="A?"), Turn(role="assistant", text="B."))
    assert [message["content"] for message in messages("C?", 2, "", before)] == [
        [IMAGE, IMAGE, words("A?")], [words("B.")], [words("C?")]
    ]  # fmt: skip


def test_without_pictures_no_place_is_left():
    """DropoutNTP asks without the image."""
    assert messages(f"See {PICTURE} now", 0)[0]["content"] == [words("See  now")]


@given(st.lists(st.text(st.characters(exclude_characters=PICTURE)), min_size=1, max_size=5))
def test_parts_give_the_text_back(pieces):
    text = PICTURE.join(pieces)
    found = parts(text)
    assert sum(part == IMAGE for part in found) == len(pieces) - 1
    said = "".join(PICTURE if part == IMAGE else part["text"] for part in found)
    assert said == PICTURE.join(broken(piece, TOKENS) for piece in pieces)


def test_a_transcript_is_for_people():
    assert transcript("Why?") == "Why?"
    turns = (Turn(role="user", text=f"A {PICTURE}?"), Turn(role="assistant", text="B."))
    expected = "[system] S\n[user] A [picture 1]?\n[assistant] B.\n[user] And [picture 2]?"
    assert transcript(f"And {PICTURE}?", "S", turns) == expected
