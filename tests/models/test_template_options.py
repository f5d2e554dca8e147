"""Options of a chat template: the template with other defaults says what the processor says when it is given them."""

import copy

import pytest

from mixpo.batches.encode import Encoder
from mixpo.errors import UserError
from mixpo.model_inputs import InputsOfSeveral, ModelInputs
from mixpo.models.chat import Chat
from mixpo.models.load import apply
from mixpo.models.template_options import known, with_options
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.encode import RequestEncoder

TAIL = (
    "{%- if add_generation_prompt %}{{ '<think>' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{ '</think>' }}{% endif %}"
    "{{ level | default('', true) }}{% endif %}"
)
"""As Qwen3's: open unless it is said otherwise."""


@pytest.fixture
def processor(internvl):
    made = copy.deepcopy(internvl[1])
    made.chat_template += TAIL
    return made


def told(processor, **options):
    changed = copy.deepcopy(processor)
    apply(changed, ModelInputs(chat_template=options), "m")
    return changed


ASKED = [{"role": "user", "content": "How many?"}]


def own(processor, prompt="How many?", **options) -> str:
    messages = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **options)


@pytest.mark.parametrize(
    "options",
    [{"enable_thinking": False}, {"enable_thinking": True}, {"level": 'a "quoted" \\ line\n', "enable_thinking": False},
     {"level": None}, {"level": [1, 2.5, {"a": True}]}],
)  # fmt: skip
def test_what_is_sampled_and_trained_on_is_the_processors_own_text(processor, options, tmp_path):
    changed, wanted = told(processor, **options), own(processor, **options)
    assert Chat(changed).render("How many?") == wanted
    ids = RequestEncoder(changed)([Request(id="a", prompt="How many?")])["input_ids"][0].tolist()
    assert ids == Encoder(changed)({"prompt": ASKED, "chosen": "1", "rejected": "2"}).prompt_ids
    assert ids == processor.tokenizer.encode(wanted, add_special_tokens=False)
    changed.save_pretrained(tmp_path)  # the trained model is asked elsewhere as it was trained
    assert own(type(changed).from_pretrained(tmp_path)) == wanted


def test_whether_a_thought_is_open_follows_the_option(processor):
    assert Chat(processor).opens_thought
    assert not Chat(told(processor, enable_thinking=False)).opens_thought
    assert Chat(told(processor, enable_thinking=False)).closing_token == Chat(processor).closing_token


def test_another_value_can_still_be_asked_for(processor):
    changed = told(processor, enable_thinking=False)
    assert own(changed, enable_thinking=True) == own(processor)
    again = told(changed, enable_thinking=False)  # a model that was trained so, and is trained on
    assert again.chat_template == changed.chat_template
    assert own(told(changed, enable_thinking=True)) == own(processor)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"enable_thinkng": False}, "does not ask for enable_thinkng; did you mean 'enable_thinking'"),
        ({"xyz": 1, "level": 1}, "does not ask for xyz; it asks for enable_thinking, level"),
        ({"add_generation_prompt": False}, "does not ask for add_generation_prompt"),
        ({"messages": []}, "does not ask for messages"),
    ],
)
def test_an_option_that_changes_nothing_is_a_sentence(processor, options, message, caplog):
    with pytest.raises(UserError, match=message):
        told(processor, **options)
    apply(processor, InputsOfSeveral(chat_template={**options, "enable_thinking": False}), "m")
    assert message in caplog.text
    assert own(processor).rstrip("1").endswith("</think>")


def test_a_template_without_options_says_so(internvl):
    with pytest.raises(UserError, match="it has no options"):
        told(internvl[1], enable_thinking=False)


def test_the_first_of_several_templates_is_the_one_that_is_asked(processor):
    processor.chat_template = {"default": processor.chat_template, "tools": "{{ tools }}"}
    changed = told(processor, enable_thinking=False)
    assert own(changed).endswith("</think>")
    assert changed.chat_template["tools"] == "{{ tools }}"


def test_a_template_that_begins_with_a_new_line_keeps_it():
    assert with_options("\nHello{{ a }}", {"a": 1}).endswith("+%}\nHello{{ a }}")


def test_transformers_own_marks_in_a_template_are_no_mistake():
    text = (
        "{% for m in messages %}{% generation %}{{ m.content + eos_token }}{% endgeneration %}{% break %}{% endfor %}"
    )
    assert known(text + "{{ date_string }}{%- set own = 1 %}{{ own }}{{ strftime_now('%d') }}") == ("date_string",)
