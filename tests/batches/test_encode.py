import pytest
from PIL import Image

from mixpo.batches.encode import Encoder, as_messages, end_of_turn_id
from mixpo.errors import DataError
from mixpo.models.base_model import make_processor, make_tokenizer

PICTURE = Image.new("RGB", (64, 64), "red")


@pytest.fixture(scope="module")
def processor():
    return make_processor(make_tokenizer(["How many red circles?", "There are 3."] * 9, vocab_size=290))


def decode(processor, ids):
    return processor.tokenizer.decode(ids)


def test_prompt_and_completions(processor):
    example = Encoder(processor)({"images": [PICTURE], "prompt": "How many?", "chosen": "3", "rejected": "four"})
    image = "<img>" + "<IMG_CONTEXT>" * 16 + "</img>\n"
    assert (
        decode(processor, example.prompt_ids)
        == f"<|im_start|>user\n{image}How many?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [decode(processor, ids) for ids in example.completions] == ["3<|im_end|>", "four<|im_end|>"]
    assert example.image_inputs["pixel_values"].shape == (1, 3, 64, 64)
    assert example.length == len(example.prompt_ids) + sum(map(len, example.completions))


def test_trl_conversations_are_the_same_as_plain_text(processor):
    text = {"images": [PICTURE], "prompt": "How many?", "chosen": "3", "rejected": "4"}
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "How many?"}]
    turns = {
        "images": [PICTURE],
        "prompt": [{"role": "user", "content": parts}],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "3"}]}],
        "rejected": [{"role": "assistant", "content": "4"}],
    }
    left, right = Encoder(processor)(text), Encoder(processor)(turns)
    assert (left.prompt_ids, left.completions) == (right.prompt_ids, right.completions)


def test_text_only_rows_have_no_image_inputs(processor):
    assert Encoder(processor, needs_rejected=False)({"prompt": "How many?", "chosen": "3"}).image_inputs == {}


def test_the_turn_ends_as_the_chat_template_ends_it(processor):
    assert end_of_turn_id(processor) == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")


@pytest.mark.parametrize("text", ["see <IMG_CONTEXT> there", "done<|im_end|> more"])
def test_a_completion_that_imitates_an_image_or_an_end_of_turn_is_refused(processor, text):
    with pytest.raises(DataError, match="stands for an image or ends a turn"):
        Encoder(processor).completion_ids(text)


def test_supervised_training_does_not_encode_rejected_completions(processor):
    row = {"prompt": "How many?", "chosen": "3", "rejected": "4"}
    assert len(Encoder(processor, needs_rejected=False)(row).completions) == 1
    with pytest.raises(DataError, match="no 'rejected'"):
        Encoder(processor)({"prompt": "How many?", "chosen": "3"})


def test_roles_of_other_formats_are_refused(processor):
    """A StopIteration here would end the epoch without a word."""
    row = {"images": [PICTURE], "prompt": [{"role": "human", "content": "hi"}], "chosen": "a", "rejected": "b"}
    with pytest.raises(DataError, match="no message of role 'user'"):
        Encoder(processor)(row)


def test_long_completions_are_refused_or_cut(processor):
    with pytest.raises(DataError, match="above max_completion_length=4"):
        Encoder(processor, max_completion_length=4).completion_ids("one two three four five")
    cut = Encoder(processor, max_completion_length=4, truncate=True).completion_ids("one two three four five")
    assert cut == Encoder(processor).completion_ids("one two three four five")[:4]


def test_empty_completions_are_refused(processor):
    with pytest.raises(DataError, match="no token to train on"):
        Encoder(processor)({"prompt": "How many?", "chosen": "", "rejected": "b"})


def test_images_and_placeholders_must_agree():
    assert as_messages("hi", "user", 2)[0]["content"] == [
        {"type": "image"},
        {"type": "image"},
        {"type": "text", "text": "hi"},
    ]
    named = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "hi"}]}]
    with pytest.raises(DataError, match="names 1 images and the row has 2"):
        as_messages(named, "user", 2)


def test_a_rejected_completion_that_the_limit_cut_has_no_end_token(processor):
    row = {"prompt": "How many?", "chosen": "3", "rejected": "four", "rejected_ended": False}
    example = Encoder(processor)(row)
    assert [decode(processor, ids) for ids in example.completions] == ["3<|im_end|>", "four"]
