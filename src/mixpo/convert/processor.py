"""The processor of an original InternVL chat checkpoint: tiles, image tokens and the conversation's template.

Templates: `conversation.py` of github.com/OpenGVLab/InternVL (separator style MPT: system message and separator, then
role, message and separator of each turn). Tiles: `dynamic_preprocess` and `build_transform` of its `train/dataset.py`.
"""

import json
from dataclasses import dataclass
from typing import Any

from transformers import (
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
)

from mixpo.convert.config import image_tokens_a_tile, tile_size
from mixpo.errors import UserError

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
END_OF_TURN = "<|im_end|>"


@dataclass(frozen=True)
class ConversationTemplate:
    """A conversation template: ChatML with a system message of its own."""

    system: str
    """Said when the messages have none."""
    separator: str
    """After every message."""


INTERNVL2_SYSTEM = (
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
)
INTERNVL2_5_SYSTEM = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)
CONVERSATIONS = {
    "Hermes-2": ConversationTemplate(INTERNVL2_SYSTEM, END_OF_TURN),
    "internlm2-chat": ConversationTemplate(INTERNVL2_SYSTEM, END_OF_TURN),
    "internvl2_5": ConversationTemplate(INTERNVL2_5_SYSTEM, END_OF_TURN + "\n"),
}


def chat_template(name: str | None) -> str:
    """The Jinja template of a conversation; an image stands where it is said, followed by a line break, as in `chat`.

    Raises UserError for a template that is not known.
    """
    if name not in CONVERSATIONS:
        raise UserError(f"config.json: template {name!r} is not known; known are {', '.join(CONVERSATIONS)}")
    conversation = CONVERSATIONS[name]
    separator = json.dumps(conversation.separator)
    system = json.dumps(f"<|im_start|>system\n{conversation.system}{conversation.separator}", ensure_ascii=False)
    return (
        "{% if messages[0]['role'] != 'system' %}{{ " + system + " }}{% endif %}"
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% if message['content'] is string %}{{ message['content'] }}"
        "{% else %}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
        "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
        "{{ " + separator + " }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )


def make_processor(chat: dict[str, Any], tokenizer: PreTrainedTokenizerFast) -> InternVLProcessor:
    """Tiles of the checkpoint's size and number, ImageNet's mean and deviation, a thumbnail when there are several."""
    template = chat_template(chat["template"])
    tokenizer.chat_template = template
    size = {"height": tile_size(chat), "width": tile_size(chat)}
    several = chat["dynamic_image_size"]
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(
            size=size,
            crop_to_patches=True,
            min_patches=chat["min_dynamic_patch"] if several else 1,
            max_patches=chat["max_dynamic_patch"] if several else 1,
            image_mean=IMAGENET_MEAN,
            image_std=IMAGENET_STD,
        ),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD),
        image_seq_length=image_tokens_a_tile(chat),
        chat_template=template,
    )


def stopping_at_turns(tokenizer: PreTrainedTokenizerFast) -> GenerationConfig:
    """Stops at the end of a turn, as the publisher's `chat` does. Raises UserError when there is no token for that."""
    if END_OF_TURN not in tokenizer.get_vocab():
        raise UserError(f"the tokenizer has no token {END_OF_TURN!r}, which ends a turn of the conversation")
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(END_OF_TURN),
        pad_token_id=tokenizer.pad_token_id,
    )
