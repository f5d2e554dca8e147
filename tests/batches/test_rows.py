"""Rows in every form that TRL's DPOTrainer takes, against what the model's own chat template and tokenizer make of them
(benchmarks/trl_rows.py compares with TRL itself)."""

import base64
import io
import logging

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from mixpo.batches.collator import Collator
from mixpo.batches.encode import Encoder, TooLong
from mixpo.batches.rows import read
from mixpo.errors import DataError, ImageError, UserError
from mixpo.models.base_model import make_model, make_processor, make_tokenizer
from mixpo.models.load import context_of

WORDS = ["How many red circles?", "There are 3.", "Sure? Yes, four."]
RED, BLUE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")


def user(content):
    return {"role": "user", "content": content}


def says(content):
    return {"role": "assistant", "content": content}


def text(words):
    return {"type": "text", "text": words}


ASKED = [user("How many?")]
PAIR = {"chosen": [says("3")], "rejected": [says("four")]}


@pytest.fixture(scope="module")
def processor():
    return make_processor(make_tokenizer(WORDS * 9, vocab_size=290))


def templated(processor, messages, images):
    """Tokens of a prompt, by the processor's own `apply_chat_template`, the pictures in the parts."""
    parts = iter([{"type": "image", "image": image} for image in images])
    filled = [
        {**one, "content": [next(parts) if part["type"] == "image" else part for part in one["content"]]}
        for one in messages
    ]
    return processor.apply_chat_template(filled, add_generation_prompt=True, tokenize=True)[0]


def file_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The red picture in every way that a row may have it."""
    monkeypatch.chdir(tmp_path)
    RED.save("red.png")
    data = file_of(RED)
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return [
        RED, "red.png", tmp_path / "red.png", str(tmp_path / "red.png"), data, {"bytes": data, "path": None},
        {"bytes": None, "path": "red.png"}, {"path": "red.png"}, {"url": "red.png"}, url,
    ]  # fmt: skip


def test_a_picture_may_be_given_in_any_way(processor, pictures):
    encoder = Encoder(processor)
    expected = encoder({"images": [RED], "prompt": ASKED, **PAIR})
    for picture in pictures:
        parts = [user([{"type": "image", "text": None, "image": picture}, {**text("How many?"), "image": None}])]
        rows = [
            {"images": [picture], "prompt": ASKED},
            {"images": picture, "prompt": ASKED},
            {"image": picture, "prompt": ASKED},
            {"images": [picture, None], "image": None, "prompt": ASKED},
            {"images": None, "image": picture, "prompt": ASKED},
            {"prompt": parts},
            {"images": [], "image": {"bytes": None, "path": None}, "prompt": parts},
        ]
        for row in rows:
            example = encoder({**row, **PAIR})
            assert (example.key, example.completions) == (expected.key, expected.completions)


def test_datasets_rows_are_read_as_they_come(processor):
    """`datasets` fills up the keys that a part lacks, and the columns that a row lacks, with None."""
    row = {"images": [RED], "prompt": [user([{"type": "image"}, text("How many?")])], **PAIR, "score": 1.0}
    bare = {"images": None, "prompt": [user([text("How many?")])], **PAIR, "extra": ["x"]}
    rows = Dataset.from_list([row, bare])
    encoder = Encoder(processor)
    assert [len(encoder(one).image_inputs) for one in rows] == [1, 0]
    assert encoder(rows[0]).prompt_ids == templated(processor, row["prompt"], [RED])


@pytest.mark.parametrize(
    "messages",
    [
        [user([{"type": "image"}, text("How many?")])],
        [user([text("See "), {"type": "image"}, text(" and "), {"type": "image"}, text("?")])],
        [{"role": "system", "content": [text("Look well.")]}, user([{"type": "image"}, text("How many?")])],
        [user([{"type": "image"}, text("How many?")]), says([text("3")]), user([text("Sure?")])],
    ],
    ids=["one", "between words", "system", "turns"],
)
def test_prompts_are_those_of_the_chat_template(processor, messages):
    images = [RED, BLUE][: sum(part["type"] == "image" for one in messages for part in one["content"])]
    example = Encoder(processor)({"images": images, "prompt": messages, **PAIR})
    assert example.prompt_ids == templated(processor, messages, images)


def test_a_prompt_may_be_what_both_answers_begin_with(processor):
    encoder = Encoder(processor)
    expected = encoder({"images": [RED], "prompt": ASKED, **PAIR})
    whole = {side: [*ASKED, *answer] for side, answer in PAIR.items()}
    for prompt in ({}, {"prompt": None}, {"prompt": "How many?"}):
        example = encoder({"images": [RED], **prompt, **whole})
        assert (example.key, example.completions) == (expected.key, expected.completions)
    texts = encoder({"chosen": "There are 3", "rejected": "There are four"})
    assert processor.tokenizer.decode(texts.prompt_ids) == "There are"
    assert [processor.tokenizer.decode(ids) for ids in texts.completions] == [" 3<|im_end|>", " four<|im_end|>"]


def test_several_turns_are_scored_from_the_first_answer_to_the_last(processor):
    """What the user says between, and what frames the turns, are part of them, as they are TRL's."""
    said = [says("3"), user("Sure?"), says("Yes, four.")]
    row = {"images": [RED], "prompt": ASKED, "chosen": said, "rejected": said[:1]}
    chosen, rejected = Encoder(processor)(row).completions
    written = "3<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\nYes, four.<|im_end|>"
    assert processor.tokenizer.decode(chosen) == written
    assert processor.tokenizer.decode(rejected) == "3<|im_end|>"
    cut = Encoder(processor)({**row, "chosen_ended": False}).completions[0]
    assert cut == chosen[:-1]


def test_a_prompt_that_is_a_text_is_tokenised_as_it_is(processor):
    """With a column of images nothing is added; without, the end token. The picture stands at the model's own mark."""
    tokenizer, encoder = processor.tokenizer, Encoder(processor)
    row = {"prompt": "<IMG_CONTEXT>\nHow many?", "chosen": " 3", "rejected": " four"}
    picture = "<img>" + "<IMG_CONTEXT>" * 16 + "</img>"
    for prompt in (row["prompt"], row["prompt"].replace("<IMG_CONTEXT>", "<image>")):
        shown = encoder({"images": [RED], **row, "prompt": prompt})
        assert tokenizer.decode(shown.prompt_ids) == f"{picture}\nHow many?"
        assert [tokenizer.decode(ids) for ids in shown.completions] == [" 3", " four"]
    told = encoder({"prompt": "How many?", "chosen": " 3", "rejected": " four<|im_end|>"})
    assert tokenizer.decode(told.prompt_ids) == "How many?"
    assert [tokenizer.decode(ids) for ids in told.completions] == [" 3<|im_end|>", " four<|im_end|>"]
    joined = tokenizer("How many?There", add_special_tokens=False)["input_ids"]
    assert [*told.prompt_ids[:-1], *joined[len(told.prompt_ids) - 1 :]] == joined
    ended = encoder({"images": [RED], **row, "chosen_ended": True})
    assert tokenizer.decode(ended.completions[0]) == " 3<|im_end|>"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"prompt": "How many?", "chosen": "3", "rejected": "4"}, "0 places for 1 picture: write <IMG_CONTEXT>"),
        ({"prompt": "<image><image>?", "chosen": "3", "rejected": "4"}, "2 places for 1 picture"),
        ({"prompt": "<image>?", "chosen": "<IMG_CONTEXT>", "rejected": "4"}, "'<IMG_CONTEXT>', which stands for"),
        ({"images": ["https://x.org/a.png"]}, "not fetched from addresses"),
        ({"images": ["lost.png"]}, "lost.png: there is no file"),
        ({"images": [b"no picture"]}, "not an image that Pillow can read"),
        ({"images": [7]}, r"a picture is 7 \(int\)"),
        ({"image": BLUE}, "other pictures in its column images than in image"),
        ({"images": [RED, RED], "prompt": [user([{"type": "image"}, text("?")])]}, "names 1 images and the row has 2"),
        ({"prompt": [user([{"type": "image", "image": BLUE}, text("?")])]}, "a part's picture is"),
        ({"prompt": [user("How many?"), says("Well")]}, "ends with the assistant's turn"),
        ({"prompt": [{"content": "?"}]}, "a mapping with `role` and `content`"),
        ({"prompt": []}, "prompt must be text or a list of messages"),
        ({"prompt": None}, "do not begin alike"),
        ({"prompt": None, "rejected": [says("3")]}, "chosen and rejected are the same"),
        ({"chosen": []}, "chosen has the turns none"),
        ({"chosen": [*ASKED, says("3")]}, "leave out of it what the prompt says already"),
        ({"chosen": [says("3"), user("Sure?")]}, "begins and ends with the assistant's"),
        ({"chosen": [says([{"type": "image"}])]}, "a completion shows a picture"),
        ({"chosen": [says("3"), user([{"type": "image"}]), says("4")]}, "a completion shows a picture"),
        ({"chosen": [{**says(None), "tool_calls": [{"name": "f"}]}]}, "calls tools"),
        ({"chosen": 3}, "chosen must be text or a list of messages"),
        ({"tools": [{"name": "f"}]}, "cannot be trained on: tools; drop the row"),
        ({"videos": ["a.mp4"]}, "a column of videos"),
    ],
)
def test_a_row_that_cannot_be_trained_on_as_it_is_meant_is_a_sentence(processor, change, why):
    row = {"images": [RED], "prompt": ASKED, **PAIR, **change}
    with pytest.raises(DataError, match=rf"^row 1: .*{why}"):
        Collator(Encoder(processor), data_sets=[[{**row, "chosen": "0"}, row]])([row])


def test_a_torn_picture_is_a_sentence():
    torn = Image.open(io.BytesIO(file_of(Image.effect_noise((64, 64), 90))[:-900]))
    with pytest.raises(ImageError, match="cannot be decoded"):
        read({"images": [torn], "prompt": ASKED, **PAIR})


def test_the_row_at_fault_is_named(processor):
    rows = Dataset.from_list([{"prompt": ASKED, "chosen": word, "rejected": "4"} for word in ("3", "", "5", "")])
    sets = [None, {"held out": rows}]
    for row, name in (
        (rows[1], "one of the rows 1, 3"),
        ({**rows[1], "id": "q/1"}, "q/1"),
        ({**rows[1], "id": 7}, "the row with id 7"),
    ):
        with pytest.raises(DataError, match=f"^{name}: a completion is empty"):
            Collator(Encoder(processor), data_sets=sets)([row])


def test_pairs_without_a_preference_are_told_and_counted(processor, caplog):
    same = {"prompt": ASKED, "chosen": "3", "rejected": [says("3<|im_end|>\n")]}
    collator = Collator(Encoder(processor), data_sets=[[same]])
    with caplog.at_level(logging.WARNING):
        collator([{"prompt": ASKED, **PAIR}, *[same] * 12])
    first, tenth = (record.getMessage() for record in caplog.records)
    assert first.startswith("1 pair whose chosen and rejected are the same tokens (row 0)")
    assert tenth.startswith("10 pairs whose")


def test_a_tokenizer_is_no_processor_for_pictures(processor):
    tokenizer = processor.tokenizer
    tokenizer.chat_template = processor.chat_template
    assert Encoder(tokenizer)({"prompt": ASKED, **PAIR}).prompt_ids
    with pytest.raises(UserError, match="is a tokenizer, which cannot read the pictures; give the model's processor"):
        Collator(Encoder(tokenizer))([{"images": [RED], "prompt": ASKED, **PAIR}])


def test_a_row_longer_than_the_context_is_refused(processor):
    encoder = Encoder(processor)
    row = {"images": [RED], "prompt": ASKED, **PAIR}
    example = encoder(row)
    encoder.context = len(example.prompt_ids) + max(map(len, example.completions))
    encoder(row)
    encoder.context -= 1
    with pytest.raises(TooLong, match=f"the model has positions for {encoder.context}: drop the row"):
        encoder(row)


def test_a_processor_of_another_model_is_refused_and_its_own_keeps_to_its_context(processor):
    config = make_model(processor.tokenizer, seed=0).config
    encoder = Encoder(processor)
    encoder.fit(config)
    assert encoder.context == config.text_config.max_position_embeddings == 2048
    config.text_config.rope_parameters = {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024, "rope_theta": 1e4
    }  # fmt: skip
    assert context_of(config) == 4096
    config.image_token_id += 1
    with pytest.raises(UserError, match="the processor is another model's: its image token is"):
        encoder.fit(config)


def test_the_mark_of_a_picture_in_a_text_becomes_all_that_the_template_writes_for_it(qwen):
    """Qwen-VL's image token stands between two others."""
    encoder = Encoder(qwen[1])
    row = {"images": [RED], "chosen": " 3", "rejected": " four"}
    whole = "<|vision_start|><|image_pad|><|vision_end|>"
    framed, marked, bare = (encoder({**row, "prompt": f"{mark}what?"}) for mark in (whole, "<image>", "<|image_pad|>"))
    assert framed.key == marked.key != bare.key
    first, last = qwen[1].tokenizer.convert_tokens_to_ids(["<|vision_start|>", "<|vision_end|>"])
    assert [token for token in framed.prompt_ids if token not in (first, last)] == bare.prompt_ids


MISREAD = {
    "words under another key": ({"prompt": [user([{"type": "text", "content": "How many?"}])]}, "elsewhere than in"),
    "thoughts beside": ({"chosen": [{**says("3"), "reasoning_content": "1, 2, 3"}]}, "thoughts in `reasoning_content`"),
    "another picture": (
        {"prompt": [user([{"type": "image", "image": {"bytes": file_of(BLUE), "path": None}}])]}, "another picture than"
    ),
    "an array": ({"images": np.zeros((8, 8, 3), np.uint8)}, "images is an array"),
    "arrays": ({"images": [np.zeros((8, 8, 3), np.uint8)]}, r"\(ndarray\); give a Pillow image"),
}  # fmt: skip


@pytest.mark.parametrize("given", MISREAD)
def test_what_would_be_read_as_something_else_is_a_sentence(processor, given):
    row, message = MISREAD[given]
    with pytest.raises(DataError, match=message):
        Encoder(processor)({"images": [RED], "prompt": ASKED, **PAIR, **row})


def test_a_part_and_the_column_may_have_the_same_picture(processor):
    encoder = Encoder(processor)
    part = {"type": "image", "image": {"bytes": file_of(RED), "path": None}}
    lost = {"type": "image", "image": {"bytes": None, "path": "not/here.png"}}
    plain = encoder({"images": [RED], "prompt": ASKED, **PAIR})
    for one in (part, lost):
        same = encoder({"images": [RED], "prompt": [user([one, text("How many?")])], **PAIR})
        assert (same.prompt_ids, same.image_key) == (plain.prompt_ids, plain.image_key)


def test_texts_without_chat_template_are_told_of_once(processor, caplog):
    rows = [{"prompt": "How many?", "chosen": " 3", "rejected": " four"}] * 2
    with caplog.at_level(logging.WARNING):
        Collator(Encoder(processor))([{"prompt": ASKED, **PAIR}])
        assert not caplog.records
        Collator(Encoder(processor))(rows)
    assert [one.getMessage().partition(" are tokenised")[0] for one in caplog.records] == ["rows of texts alone"]
