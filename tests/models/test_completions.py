"""Completion tokens to text and back, for tokenizers that lose something on the way."""

import copy

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mixpo.models.completions import CompletionTokenizer


@pytest.fixture
def marked(internvl):
    """Byte-level, with marks that eat the white space beside them and one that does not."""
    tokenizer = copy.deepcopy(internvl[1].tokenizer)
    marks = [
        AddedToken("<ref>", special=True),
        AddedToken("<box>", special=True, lstrip=True),
        AddedToken("</box>", special=True, rstrip=True),
        AddedToken("<think>", special=False),
    ]
    tokenizer.add_tokens(marks[3:])
    tokenizer.add_special_tokens({"additional_special_tokens": marks[:3]})
    tokenizer.bos_token = "<|im_start|>"
    return CompletionTokenizer(tokenizer)


@pytest.fixture
def sentencepiece():
    """As Llama's: the first word of a text gets the blank in front that words within it have."""
    pieces = ["<unk>", "<s>", "</s>", "<ref>", "▁", "▁red", "red", "▁circle", "circle", "s"]
    pieces += sorted(set("redcilk"))
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    backend = Tokenizer(models.Unigram([(piece, -float(len(piece) < 2)) for piece in vocabulary], unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        additional_special_tokens=["<ref>"],
    )  # fmt: skip
    return CompletionTokenizer(tokenizer)


def ids_of(completions, *tokens):
    return completions.tokenizer.convert_tokens_to_ids(list(tokens))


@pytest.mark.parametrize(
    ("tokens", "text", "back"),
    [
        (("<ref>", "r", "<think>"), "<ref>r<think>", True),
        (("r", "Ġ", "<box>", "Ġ", "r", "</box>", "Ġ"), "r <box> r</box> ", False),
        (("r", "<|im_start|>", "<|endoftext|>", "<|im_end|>", "q"), "rq", False),
        (("r", "e", "d"), "red", False),
        (("Ã",), "\N{REPLACEMENT CHARACTER}", False),
        (("<|im_start|>", "<ref>"), "<ref>", False),
        ((), "", True),
    ],
)
def test_special_tokens_are_text_but_for_those_that_frame_a_turn(marked, tokens, text, back):
    ids = ids_of(marked, *tokens)
    assert None not in ids
    assert marked.decode(ids) == text
    assert marked.gives_back(ids, text) is back
    assert marked.are_of(ids, text)


@pytest.mark.parametrize(
    ("tokens", "text", "back"),
    [
        (("▁red", "▁circle", "s"), "red circles", True),
        (("red", "▁circle"), "red circle", False),
    ],
)
def test_a_blank_in_front_of_the_first_word(sentencepiece, tokens, text, back):
    ids = ids_of(sentencepiece, *tokens)
    assert sentencepiece.decode(ids) == text
    assert sentencepiece.gives_back(ids, text) is back
    assert sentencepiece.gives_back(sentencepiece.encode(text), text)


def test_tokens_of_another_model_are_not_taken(marked, sentencepiece):
    ids = ids_of(sentencepiece, "▁red", "▁circle")
    assert sentencepiece.are_of(ids, "red circle")
    assert not marked.are_of(ids, "red circle")
    assert not sentencepiece.are_of([10**6], "red circle")
