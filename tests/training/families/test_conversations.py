"""What sampling sends is what training sees, and what the processor makes of the whole conversation.

Each family in the manner of its published checkpoints (`fixtures.chat_templates`): the token ids of a prompt as they
are sampled from, as they are trained on, and as `apply_chat_template` writes the conversation with its answer.
"""

import io
from base64 import b64decode

import pytest
import torch
from PIL import Image

from fixtures.chat_templates import MANNERS
from mixpo.batches.encode import Encoder
from mixpo.errors import DataError
from mixpo.images import ImageRoots
from mixpo.messages import PICTURE
from mixpo.models.chat import Chat
from mixpo.records import Dropped, Origin, PreferencePair, Role, Turn
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.encode import RequestEncoder, encoded_batches
from mixpo.responses.backends.server.jobs import ServerRequest
from mixpo.responses.backends.vllm import VLLMBackend
from mixpo.training.rows import RowDataset

SIZES = [(60, 80), (90, 40), (50, 50)]
IMAGE = {"type": "image"}
BEFORE = (Turn(role=Role.USER, text="Which is red?"), Turn(role=Role.ASSISTANT, text="The circle."))
SHOWN = (Turn(role=Role.USER, text=f"{PICTURE}\nand {PICTURE}: same?"), Turn(role=Role.ASSISTANT, text="No."))
ANSWER = "Final answer: 3"


def words(text):
    return {"type": "text", "text": text}


def said(*contents, system=None):
    """The messages, written out: user and assistant in turn."""
    chat = [{"role": "system", "content": [words(system)]}] if system else []
    roles = ["user", "assistant"] * 2
    return chat + [{"role": role, "content": parts} for role, parts in zip(roles, contents, strict=False)]


CASES = {
    "text only": ({"prompt": "How many?"}, 0, said([words("How many?")])),
    "one picture": ({"prompt": "How many?"}, 1, said([IMAGE, words("How many?")])),
    "three between words": (
        {"prompt": f"{PICTURE} here, {PICTURE} there and {PICTURE}: how many?"},
        3,
        said([IMAGE, words(" here, "), IMAGE, words(" there and "), IMAGE, words(": how many?")]),
    ),
    "system and turns": (
        {"prompt": f"And {PICTURE}?", "system": "Look well.", "turns": SHOWN},
        3,
        said(
            [IMAGE, words("\nand "), IMAGE, words(": same?")], [words("No.")], [words("And "), IMAGE, words("?")],
            system="Look well.",
        ),
    ),
    "turns before, picture first": (
        {"prompt": "How many?", "turns": BEFORE},
        1,
        said([IMAGE, words("Which is red?")], [words("The circle.")], [words("How many?")]),
    ),
    "words of a system and turns": (
        {"prompt": "How many?", "system": "Look well.", "turns": BEFORE},
        0,
        said([words("Which is red?")], [words("The circle.")], [words("How many?")], system="Look well."),
    ),
}  # fmt: skip
"""What a question says, its number of pictures, and the messages that it means."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with the pictures of the cases, each of another shape and colour."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (size, colour) in enumerate(zip(SIZES, ("red", "green", "blue"), strict=True)):
        Image.new("RGB", size, colour).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="session", params=[(name, manner) for name, manners in MANNERS.items() for manner in manners],
                ids=lambda given: given[1])  # fmt: skip
def spoken(request, builders):
    """A manner and the processor of its family that writes so."""
    name, manner = request.param
    return MANNERS[name][manner], MANNERS[name][manner].on(builders[name]()[2])


@pytest.fixture(params=CASES)
def case(request, spoken, pictures):
    """A question of a kind: the request for it, the row of its pair, and its messages with their pictures."""
    manner, _ = spoken
    given, number, chat = CASES[request.param]
    if request.param in manner.refuses:
        pytest.skip("the template refuses it: test_what_a_template_refuses_is_said")
    names = tuple(f"pictures/{index}.png" for index in range(number))
    chosen = f"I see 3.\n</think>\n\n{ANSWER}" if manner.thought else manner.opening + ANSWER
    pair = PreferencePair(
        id="1/0>1", question_id="1", chosen=chosen, rejected="4", origin=Origin.CORRECTNESS, images=names, **given
    )
    row = RowDataset([pair], ImageRoots({"pictures": pictures}))[0]
    images = tuple(Image.open(pictures / f"{index}.png") for index in range(number))
    return Request(id="1", images=images, **given), row, _shown(chat, images, manner)


def _shown(chat, images, manner):
    """The messages with the pictures in their parts; words alone as text where the template wants it so."""
    coming = iter(images)
    shown = [
        {**message, "content": [{**part, "image": next(coming)} if part == IMAGE else part for part in
                                message["content"]]}
        for message in chat
    ]  # fmt: skip
    return [_plain(message) if manner.words_alone and message["role"] != "user" else message for message in shown]


def _plain(message):
    return {**message, "content": message["content"][0]["text"]}


def by_template(processor, chat, **options):
    """Token ids, and the rest, as transformers itself writes a conversation."""
    given = processor.apply_chat_template(chat, tokenize=True, return_dict=True, return_tensors="pt", **options)
    return given["input_ids"][0].tolist(), given


def equal(left, right, names):
    for name in names:
        if isinstance(left[name], torch.Tensor):
            torch.testing.assert_close(left[name], right[name], rtol=0, atol=0)


def test_sampling_and_training_have_the_tokens_and_pixels_of_the_template(spoken, case):
    (_, processor), (request, row, chat) = spoken, case
    expected, given = by_template(processor, chat, add_generation_prompt=True)
    sampled = RequestEncoder(processor)([request])
    example = Encoder(processor)(row)
    assert sampled["input_ids"][0].tolist() == expected
    assert example.prompt_ids == expected
    assert set(example.image_inputs) | set(example.token_types) == set(sampled) - {"input_ids", "attention_mask"}
    assert bool(request.images) == bool(example.image_inputs)
    equal(sampled, given, set(sampled) - {"attention_mask"})
    equal(example.image_inputs, given, example.image_inputs)
    for name, types in example.token_types.items():
        assert types == given[name][0].tolist()


def test_vllm_and_servers_are_given_the_same_prompt(spoken, case):
    """vLLM widens the token that stands for a picture as the processor does; a server applies the template."""
    (manner, processor), (request, row, _) = spoken, case
    expected = Encoder(processor)(row).prompt_ids
    chat = Chat(processor)
    written = processor.tokenizer.decode(VLLMBackend(None, chat, frozenset())._prompt_ids(request))
    options = {"add_special_tokens": False, "return_tensors": "pt"}
    shown = {"images": [list(request.images)]} if request.images else {}
    assert processor(text=[written], **shown, **options)["input_ids"][0].tolist() == expected
    assert by_template(processor, served(request, manner), add_generation_prompt=True)[0] == expected


def served(request, manner):
    """The messages as a server has them when it applies the template."""
    chat = [_received(message) for message in ServerRequest(request, "").messages]
    return [_plain(message) if manner.words_alone and message["role"] != "user" else message for message in chat]


def _received(message):
    """A message as a server gives it to its template: texts as parts, pictures opened."""
    if isinstance(message["content"], str):
        return {**message, "content": [words(message["content"])]}
    return {
        **message,
        "content": [
            part if part["type"] == "text" else {**IMAGE, "image": _opened(part["image_url"]["url"])}
            for part in message["content"]
        ],
    }


def _opened(url):
    return Image.open(io.BytesIO(b64decode(url.partition(",")[2])))


def test_prompt_and_completion_are_the_whole_conversation(spoken, case):
    """Up to the end-of-turn token; a line break that some templates write behind it is nobody's."""
    (manner, processor), (_, row, chat) = spoken, case
    answer = {"role": "assistant", "content": [words(manner.thought + row["chosen"].removeprefix(manner.opening))]}
    whole, _ = by_template(processor, [*chat, _plain(answer) if manner.words_alone else answer])
    encoder = Encoder(processor)
    example = encoder(row)

    def ids(text):
        return processor.tokenizer(text, add_special_tokens=False)["input_ids"]

    prompt = example.prompt_ids
    if manner.waiting:
        assert prompt[-len(ids(manner.waiting)) :] == ids(manner.waiting)
        prompt = [*prompt[: -len(ids(manner.waiting))], *ids(manner.begun)]
    end = processor.tokenizer.decode([encoder.end_id])
    assert example.completions[0] == [*ids(row["chosen"]), encoder.end_id]
    assert whole == [*prompt, *ids(row["chosen"]), *ids(manner.closing)]
    assert manner.closing.startswith(end) or manner.closing == " "
    assert encoder.end_id not in ids(row["chosen"])


def test_what_a_template_refuses_is_said(spoken):
    manner, processor = spoken
    for name in manner.refuses:
        given, number, _ = CASES[name]
        request = Request(id="1", images=(Image.new("RGB", (60, 60)),) * number, **given)
        with pytest.raises(DataError, match="the model's chat template refuses the prompt: "):
            RequestEncoder(processor)([request])
    if "alternate" in manner.template:
        with pytest.raises(DataError, match="refuses the prompt: .* alternate"):
            RequestEncoder(processor)([Request(id="1", prompt="B?", turns=(Turn(role=Role.USER, text="A?"),))])


MARKS = (
    *("<image>", "<video>", "<|image_pad|>", "<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>"),
    *("<image_soft_token>",),
    *("<start_of_image>", "[IMG]", "<|video_pad|>", "<|im_start|>", "<|im_end|>", "<end_of_turn>", "<eos>", "<s>"),
    *("</s>", "<end_of_utterance>", "<fake_token_around_image>", "[/INST]", "<|eot_id|>", "<|endoftext|>"),
)
"""What stands for pictures, or frames a turn, in one family or another."""


@pytest.mark.parametrize("shown", [0, 1])
@pytest.mark.parametrize("place", ["question", "earlier turn", "earlier answer", "system"])
def test_marks_in_texts_are_words(spoken, pictures, place, shown):
    """No picture is seen, and no turn ended, that was not there before; nothing stops."""
    manner, processor = spoken
    if place == "system" and manner.refuses and shown:
        pytest.skip("the template takes no system prompt with pictures")
    sampler, encoder = RequestEncoder(processor), Encoder(processor)
    special = set(processor.tokenizer.all_special_ids)

    def ids(word):
        texts = dict.fromkeys(("question", "earlier turn", "earlier answer", "system"), "Is it here?")
        if place != "system":
            texts["system"] = ""
        texts[place] = f"Is {word} here?"
        turns = (Turn(role=Role.USER, text=texts["earlier turn"]),
                 Turn(role=Role.ASSISTANT, text=texts["earlier answer"]))  # fmt: skip
        given = {"prompt": texts["question"], "system": texts["system"], "turns": turns}
        names = ("pictures/0.png",) * shown
        pair = PreferencePair(
            id="1/0>1", question_id="1", chosen=f"a {word}", rejected=f"{word} b", origin=Origin.FORMAT, images=names,
            **given,
        )  # fmt: skip
        example = encoder(RowDataset([pair], ImageRoots({"pictures": pictures}))[0])
        images = tuple(Image.open(pictures / "0.png") for _ in range(shown))
        request = Request(id="1", images=images, **given)
        assert sampler([request])["input_ids"][0].tolist() == example.prompt_ids
        assert by_template(processor, served(request, manner), add_generation_prompt=True)[0] == example.prompt_ids
        for completion in example.completions:
            assert not encoder.chat.reserved.intersection(completion[:-1])
        return [token for token in example.prompt_ids if token in special]

    expected = ids("what")
    for mark in MARKS:
        assert ids(mark) == expected, mark


def test_rows_with_and_without_pictures_follow_each_other(spoken):
    """A batch of requests is encoded as each alone, whatever stands beside it."""
    _, processor = spoken
    picture = Image.new("RGB", (60, 60), "red")
    asked = [
        Request(id=str(number), prompt="Is <image> or <|image_pad|> here?", images=(picture,) * (number % 2))
        for number in range(6)
    ]
    encoder = RequestEncoder(processor)
    found = [one for one in encoded_batches(asked, encoder, 10_000) if not isinstance(one, Dropped)]
    assert [request.id for one in found for request in one.requests] == ["0", "1", "2", "3", "4", "5"]
    for one in found:
        for row, request in enumerate(one.requests):
            ids = one.inputs["input_ids"][row][one.inputs["attention_mask"][row].bool()]
            assert ids.tolist() == encoder([request])["input_ids"][0].tolist()
            assert ("pixel_values" in one.inputs) == bool(request.images)
