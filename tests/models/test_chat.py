"""What a chat makes of prompts, for architectures with different image tokens, one of which writes the first token."""

import copy

import pytest
from PIL import Image
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, GenerationConfig

from mixpo.batches.encode import Encoder
from mixpo.errors import DataError, UserError
from mixpo.models.as_messages import as_messages, text_of
from mixpo.models.chat import Chat
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.encode import RequestEncoder

PICTURE = Image.new("RGB", (64, 64), "red")


def with_template(processor, change):
    """A copy whose chat template is changed, and its chat."""
    processor = copy.copy(processor)
    processor.chat_template = change(processor.chat_template)
    return Chat(processor)


def test_a_prompt_is_rendered_up_to_where_the_answer_begins(internvl):
    chat = Chat(internvl[1])
    image = "<IMG_CONTEXT>\n"
    assert chat.render("How many?", 2) == f"<|im_start|>user\n{image * 2}How many?<|im_end|>\n<|im_start|>assistant\n"
    assert chat.render("How many?", 2) == chat.render([{"role": "user", "content": "How many?"}], 2)


def test_prompts_encode_alike_one_by_one_and_together(family):
    """Padding and nothing else: the tokens of a row are those that it has alone, and the images are the same."""
    chat = Chat(copy.deepcopy(family[1]))
    chat.tokenizer.padding_side = "left"
    texts = [chat.render("How many?", 1), chat.render("What is the colour of the circle?", 1)]
    together = chat.inputs(texts, [[PICTURE], [PICTURE]], padding=True)
    for number, text in enumerate(texts):
        alone = chat.inputs([text], [[PICTURE]])
        ids = together["input_ids"][number][together["attention_mask"][number].bool()]
        assert ids.tolist() == alone["input_ids"][0].tolist()
        assert chat.image_tokens & set(ids.tolist())
    assert "pixel_values" not in chat.inputs([chat.render("How many?")], [[]])


def test_the_first_token_is_written_once(family):
    """Gemma's and Llama's templates write it; a template that does not leaves it to the tokenizer."""
    chat = Chat(family[1])
    text = chat.render("How many?")
    first = chat.tokenizer.convert_tokens_to_ids(chat.tokenizer.bos_token or "<|im_start|>")
    for ids in (chat.prompt_ids(text), chat.inputs([text], [[]])["input_ids"][0].tolist()):
        assert (ids[0] == first, ids[1] == first) == (True, False)


@pytest.mark.parametrize(
    "frame", ["<end_of_image> $A", "<end_of_image> $A <|im_end|>", "$A <|im_end|>", "<|im_start|> $A <|im_end|>"]
)
def test_what_a_tokenizer_adds_stands_once_before_a_prompt_and_never_behind_it(gemma, frame):
    """In training and sampling alike, one by one and together, with pictures and without; vLLM is given `prompt_ids`.
    The template begins with <|im_start|>."""
    processor = copy.deepcopy(gemma[1])
    tokenizer = processor.tokenizer
    tokens = [(token, tokenizer.convert_tokens_to_ids(token)) for token in frame.split() if token != "$A"]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=frame, special_tokens=tokens)
    assert len(tokenizer.encode("")) == len(tokens)
    begin = ["<end_of_image>", "<|im_start|>"] if frame.startswith("<end_of_image>") else ["<|im_start|>"]
    chat = Chat(processor)
    row = {"prompt": [{"role": "user", "content": "How many?"}], "chosen": "3", "rejected": "4"}
    for shown in ([], [PICTURE]):
        request = Request(id="a", prompt="How many?", images=tuple(shown))
        sampled = RequestEncoder(copy.deepcopy(processor))([request, request])["input_ids"].tolist()
        trained = Encoder(processor)({**row, "images": shown})
        alone = chat.prompt_ids(chat.render("How many?", len(shown)))
        for ids in (trained.prompt_ids, *sampled, alone):
            read = tokenizer.convert_ids_to_tokens(ids)
            assert read[: len(begin)] == begin != read[1 : len(begin) + 1]
            assert read.count("<|im_end|>") == 1  # the user's turn's
        assert [ids.count(chat.end_of_turn) for ids in trained.completions] == [1, 1]


def test_a_turn_ends_as_the_template_ends_it(family):
    chat = Chat(family[1])
    assert chat.end_of_turn == chat.closing_token == chat.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_turn_ends_with_the_tokenizers_end_where_the_template_writes_none(internvl):
    chat = with_template(internvl[1], lambda template: template.replace("<|im_end|>", ""))
    assert (chat.closing_token, chat.end_of_turn) == (None, chat.tokenizer.eos_token_id)


def test_stop_tokens_are_the_generation_configs_and_the_tokenizers(internvl):
    model, processor = internvl
    chat, own = Chat(processor), processor.tokenizer.eos_token_id
    assert chat.stop_tokens(GenerationConfig(eos_token_id=[5, 6])) == {5, 6, own}
    assert chat.stop_tokens(model.generation_config) == {own}


def test_a_processor_without_a_template_is_refused(internvl):
    with pytest.raises(UserError, match="no chat template"):
        with_template(internvl[1], lambda template: None)


@pytest.mark.parametrize(("ending", "opened"), [("", False), ("<think>\n", True), ("<think>\n\n</think>\n\n", False)])
def test_whether_the_template_opens_a_thought(internvl, ending, opened):
    assert with_template(internvl[1], lambda template: template + ending).opens_thought is opened


def test_images_and_placeholders_must_agree():
    assert as_messages("hi", images=2)[0]["content"] == [
        {"type": "image"},
        {"type": "image"},
        {"type": "text", "text": "hi"},
    ]
    named = [{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "hi"}]}]
    assert as_messages(named, images=1)[0]["content"][0] == {"type": "image"}
    with pytest.raises(DataError, match="names 1 images and the row has 2"):
        as_messages(named, images=2)


def test_tokens_of_the_template_are_words_in_texts(internvl):
    """Those that no other family has, too: what the template writes is asked of it."""
    processor = copy.deepcopy(internvl[1])
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<turn_is_over>", "<other>"]})
    chat = with_template(processor, lambda template: template.replace("<|im_end|>", "<turn_is_over>"))
    text = chat.render("Is <turn_is_over> or <other> here?")
    assert text == "<|im_start|>user\nIs < turn_is_over> or <other> here?<turn_is_over>\n<|im_start|>assistant\n"


def test_a_template_that_leaves_out_what_is_said_is_refused(internvl):
    chat = with_template(internvl[1], lambda template: template.replace("message['content']", "message['content'][:1]"))
    parts = [{"type": "text", "text": "Is "}, {"type": "image"}, {"type": "text", "text": "red?"}]
    assert "red?" in Chat(internvl[1]).render([{"role": "user", "content": parts}], 1)
    with pytest.raises(DataError, match="leaves out what the user turn says"):
        chat.render([{"role": "user", "content": parts}], 1)


def test_a_turn_that_is_left_out_is_missed_though_another_has_its_words(internvl):
    chat = with_template(internvl[1], lambda template: "{% set messages = messages[-1:] %}" + template)
    turns = [("user", "Sure?"), ("assistant", "Red."), ("user", "Are you? Sure?")]
    prompt = [{"role": role, "content": words} for role, words in turns]
    assert Chat(internvl[1]).render(prompt).count("Sure?") == 2
    with pytest.raises(DataError, match="leaves out what the assistant turn says"):
        chat.render(prompt)


@pytest.mark.parametrize("words", ["message['content']", "message['content'] ~ ''"])
def test_templates_that_take_words_as_text(internvl, words):
    """One refuses a list, the other writes it out."""
    template = "{% for message in messages %}{{ '<|im_start|>' + " + words + " + '<|im_end|>' }}{% endfor %}"
    chat = with_template(internvl[1], lambda _: template)
    assert chat.text_roles == {"user", "assistant", "system"}
    assert chat.render("How many?") == "<|im_start|>How many?<|im_end|>"
    with pytest.raises(DataError, match="takes no pictures in the user turn"):
        chat.render("How many?", 1)
    assert chat.closing_token == chat.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_template_that_takes_only_answers_as_text(internvl):
    """Reasoning models' templates take the thought out of earlier answers, which a list of parts has no method for."""
    chat = with_template(
        internvl[1],
        lambda template: template.replace(
            "{% if message['content'] is string %}",
            "{% if message['role'] == 'assistant' %}{{ message['content'].split('</think>')[-1] }}"
            "{% elif message['content'] is string %}",
        ),
    )
    assert chat.text_roles == {"assistant"}
    assert chat.closing_token == chat.tokenizer.convert_tokens_to_ids("<|im_end|>")
    turns = [("user", "Is it red?"), ("assistant", "<think>Hm.</think>Yes."), ("user", "Sure?")]
    text = chat.render([{"role": role, "content": words} for role, words in turns], 1)
    assert text.count("Hm.") == 0
    assert "<IMG_CONTEXT>\nIs it red?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>" in text


def test_a_tokenizer_alone_is_a_chat(qwen, tmp_path):
    """It may know the picture's token by name; it says one number where a processor has a list."""
    qwen[1].tokenizer.save_pretrained(tmp_path)
    names = {"image_token": "<|image_pad|>"}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, extra_special_tokens=names)
    chat = Chat(tokenizer)
    assert isinstance(tokenizer.image_token_ids, int)
    assert tokenizer.image_token_id in chat.image_tokens
    assert chat.completion_tokens("red") == tokenizer.encode("red")


def test_prompts_that_lack_something_are_a_sentence():
    """`datasets` writes None for what a part or a message does not have."""
    empty = [{"type": "image", "text": None}, {"type": "text", "text": None}]
    assert as_messages([{"role": "user", "content": empty}], images=1)[0]["content"][1] == {"type": "text", "text": ""}
    with pytest.raises(DataError, match="user message has no content"):
        as_messages([{"role": "user", "content": None}])
    for part in ({"words": "hi"}, {"type": "audio"}):
        with pytest.raises(DataError, match="none of `image`, `video` and `text`"):
            as_messages([{"role": "user", "content": [part]}])


def test_a_completion_is_one_message_of_words():
    assert text_of([{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"text": "b"}]}]) == "ab"
    with pytest.raises(DataError, match="must be one assistant message, not 2"):
        text_of([{"role": "assistant", "content": "a"}] * 2)
    with pytest.raises(DataError, match="a completion shows a picture"):
        text_of([{"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": "a"}]}])


def test_an_answer_that_is_left_out_is_missed_and_its_thoughts_are_not(internvl):
    turns = [("user", "Red?"), ("assistant", "<think>\nLet me see.\n</think>\n\nIt is."), ("user", "Sure?")]
    prompt = [{"role": role, "content": words} for role, words in turns]
    brief = "(part['text'].split('</think>')|last if message['role'] == 'assistant' else part['text'])"
    thoughtless = with_template(internvl[1], lambda template: template.replace("part['text']", brief))
    assert "Let me see." not in thoughtless.render(prompt)
    without = "{% set messages = messages|rejectattr('role', 'equalto', 'assistant')|list %}"
    with pytest.raises(DataError, match="leaves out what the assistant turn says"):
        with_template(internvl[1], lambda template: without + template).render(prompt)
