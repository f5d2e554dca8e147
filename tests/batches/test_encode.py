import copy

import pytest
import torch
from PIL import Image
from tokenizers.processors import TemplateProcessing

from mixpo.batches.encode import REMEMBERED, Encoder, digest_images
from mixpo.errors import DataError
from mixpo.models.as_messages import as_messages
from mixpo.models.base_model import make_processor, make_tokenizer

PICTURE = Image.new("RGB", (64, 64), "red")
ASKED = [{"role": "user", "content": "How many?"}]


@pytest.fixture(scope="module")
def processor():
    return make_processor(make_tokenizer(["How many red circles?", "There are 3."] * 9, vocab_size=290))


def decode(processor, ids):
    return processor.tokenizer.decode(ids)


def test_prompt_and_completions(processor):
    example = Encoder(processor)({"images": [PICTURE], "prompt": ASKED, "chosen": "3", "rejected": "four"})
    image = "<img>" + "<IMG_CONTEXT>" * 16 + "</img>\n"
    assert (
        decode(processor, example.prompt_ids)
        == f"<|im_start|>user\n{image}How many?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [decode(processor, ids) for ids in example.completions] == ["3<|im_end|>", "four<|im_end|>"]
    assert example.image_inputs["pixel_values"].shape == (1, 3, 64, 64)
    assert example.length == len(example.prompt_ids) + sum(map(len, example.completions))


def test_trl_conversations_are_the_same_as_plain_text(processor):
    text = {"images": [PICTURE], "prompt": ASKED, "chosen": "3", "rejected": "4"}
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "How many?"}]
    turns = {
        "images": [PICTURE],
        "prompt": [{"role": "user", "content": parts}],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "3"}]}],
        "rejected": [{"role": "assistant", "content": "4"}],
    }
    left, right = Encoder(processor)(text), Encoder(processor)(turns)
    turns["chosen"][0]["content"].append({"type": "text", "text": None})  # `datasets` fills keys that a part lacks
    assert Encoder(processor)(turns).completions == right.completions
    assert (left.prompt_ids, left.completions) == (right.prompt_ids, right.completions)


def test_text_only_rows_have_no_image_inputs(processor):
    assert Encoder(processor, needs_rejected=False)({"prompt": ASKED, "chosen": "3"}).image_inputs == {}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("see <IMG_CONTEXT> there", "see < IMG_CONTEXT> there<|im_end|>"),
        ("done<|im_end|> more", "done< |im_end|> more<|im_end|>"),
        ("done<|im_end|>", "done<|im_end|>"),
        ("done <|im_end|>\n<|im_end|>\n", "done<|im_end|>"),
        ("a <image> of <end_of_turn>", "a <image> of <end_of_turn><|im_end|>"),
    ],
)
def test_a_completion_that_imitates_an_image_or_an_end_of_turn_is_words(processor, text, read):
    encoder = Encoder(processor)
    ids = encoder.completion_ids(text)
    assert decode(processor, ids) == read
    assert not encoder.chat.reserved.intersection(ids[:-1])


def test_an_end_of_turn_that_is_no_mark_to_break_is_refused(processor):
    named = copy.deepcopy(processor)
    named.tokenizer.add_special_tokens({"eos_token": "FIN"})
    with pytest.raises(DataError, match="'FIN', which stands for an image or ends a turn"):
        Encoder(named).completion_ids("FIN or not")


def test_supervised_training_does_not_encode_rejected_completions(processor):
    row = {"prompt": ASKED, "chosen": "3", "rejected": "4"}
    assert len(Encoder(processor, needs_rejected=False)(row).completions) == 1
    with pytest.raises(DataError, match="no 'rejected'"):
        Encoder(processor)({"prompt": ASKED, "chosen": "3"})


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
    for empty in ("", "<|im_end|>\n"):
        with pytest.raises(DataError, match="no token to train on"):
            Encoder(processor)({"prompt": ASKED, "chosen": empty, "rejected": "b"})


def test_a_rejected_completion_that_the_limit_cut_has_no_end_token(processor):
    row = {"prompt": ASKED, "chosen": "3", "rejected": "four", "rejected_ended": False}
    example = Encoder(processor)(row)
    assert [decode(processor, ids) for ids in example.completions] == ["3<|im_end|>", "four"]


def test_a_chosen_completion_may_say_that_the_limit_cut_it(processor):
    """`datasets` has None for rows that do not say it."""
    row = {"prompt": ASKED, "chosen": "3", "rejected": "four", "chosen_ended": False, "rejected_ended": None}
    example = Encoder(processor)(row)
    assert [decode(processor, ids) for ids in example.completions] == ["3", "four<|im_end|>"]


def test_sampled_tokens_are_taken_where_they_say_the_text(processor):
    letters = [processor.tokenizer.encode(letter, add_special_tokens=False)[0] for letter in "There"]
    row = {"prompt": ASKED, "chosen": "There", "rejected": "There", "rejected_token_ids": tuple(letters)}
    encoder = Encoder(processor)
    chosen, rejected = encoder(row).completions
    assert rejected == [*letters, encoder.end_id]
    assert len(chosen) < len(rejected)
    assert encoder({**row, "rejected": "Three"}).completions[1] == encoder.completion_ids("Three")


def described(colour, **more):
    """Rows of "Describe the picture." differ by nothing but the picture."""
    image = Image.new("RGB", (64, 64), colour)
    return {
        "images": [image],
        "prompt": [{"role": "user", "content": "Describe the picture."}],
        "chosen": "It is.",
        "rejected": "No.",
        **more,
    }


def test_questions_of_the_same_words_keep_their_own_pictures(processor):
    """What an encoder remembers of a prompt belongs to its text and its pictures, not to either alone."""
    encoder = Encoder(processor)
    red, blue = encoder(described("red")), encoder(described("blue"))
    other = encoder(described("red", prompt=[{"role": "user", "content": "What is it?"}]))
    assert red.prompt_ids == blue.prompt_ids
    assert len({red.key, blue.key, other.key}) == 3
    assert red.image_key == other.image_key != blue.image_key
    for example, colour in ((red, "red"), (blue, "blue"), (encoder(described("red")), "red"), (other, "red")):
        alone = Encoder(processor)(described(colour)).image_inputs["pixel_values"]
        assert torch.equal(example.image_inputs["pixel_values"], alone)
    assert not torch.equal(red.image_inputs["pixel_values"], blue.image_inputs["pixel_values"])


def test_images_are_told_apart_by_size_and_order_as_well_as_by_their_bytes():
    wide, high = Image.new("L", (6, 2)), Image.new("L", (2, 6))
    assert len({digest_images(images) for images in ([], [wide], [high], [wide, high], [high, wide])}) == 5
    assert digest_images([wide.convert("RGB")]) != digest_images([wide])


def test_the_memory_of_prompts_is_bounded(processor):
    encoder = Encoder(processor)
    for number in range(REMEMBERED + 3):
        encoder(described((number, 0, 0)))
    assert len(encoder._prompts) == REMEMBERED
    assert encoder(described((REMEMBERED + 2, 0, 0))).key in encoder._prompts


def test_a_tokenizer_s_first_token_stands_once_before_the_prompt_and_never_before_a_completion():
    processor = make_processor(make_tokenizer(["How many red circles?", "There are 3."] * 9, vocab_size=290))
    tokenizer = processor.tokenizer
    first = tokenizer.convert_tokens_to_ids("<|im_start|>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", first)]
    )
    row = {"prompt": ASKED, "chosen": "3", "rejected": "four"}
    example = Encoder(processor)(row)
    assert example.prompt_ids[0] == first != example.prompt_ids[1]
    assert [decode(processor, ids) for ids in example.completions] == ["3<|im_end|>", "four<|im_end|>"]


def test_a_prompt_without_pictures_needs_no_user():
    assert as_messages([{"role": "system", "content": "hi"}], "user", 0)[0]["content"] == [
        {"type": "text", "text": "hi"}
    ]
