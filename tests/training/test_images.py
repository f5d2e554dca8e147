"""Images and prompts that a training cannot use are found before it starts."""

import copy

import pytest
from PIL import Image
from torch.utils.data import DataLoader

from mixpo.batches.encode import Encoder
from mixpo.errors import UserError
from mixpo.images import ImageRoots
from mixpo.model_inputs import ImagesConfig
from mixpo.models.picture_limits import ATTRIBUTE, Limits
from mixpo.records import Demonstration, DropReason, Origin, PreferencePair, Role, Turn
from mixpo.training.config import MPOConfig
from mixpo.training.rows import RowDataset
from mixpo.training.selection import Trial, usable
from mixpo.training.trainer import MPOTrainer


def test_an_image_that_the_processor_refuses_is_dropped(qwen, tmp_path):
    """Qwen's processor takes no picture whose sides are more than 200 to 1."""
    for name, size in {"good": (64, 64), "strip": (600, 2), "also": (64, 64)}.items():
        Image.new("RGB", size, "red").save(tmp_path / f"{name}.png")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    pairs = [
        PreferencePair(
            id=name, question_id=name, prompt="what?", chosen="red", rejected="blue", origin=Origin.CORRECTNESS,
            images=(f"own/{name}.png",),
        )
        for name in ("good", "strip", "torn", "also")
    ]  # fmt: skip
    dropped = []
    kept = usable(pairs, Encoder(qwen[1]), ImageRoots({"own": tmp_path}), "train", dropped)
    assert [pair.id for pair in kept] == ["good", "also"]
    assert [(record.id, record.reason) for record in dropped] == [
        ("strip", DropReason.BAD_IMAGE),
        ("torn", DropReason.BAD_IMAGE),
    ]
    assert "aspect ratio" in dropped[0].detail


def test_a_prompt_that_the_template_refuses_is_dropped(qwen):
    processor = copy.deepcopy(qwen[1])
    refusal = "{% if 'secret' in messages[0]['content'][0]['text'] %}{{ raise_exception('no secrets') }}{% endif %}"
    processor.chat_template = refusal + (processor.chat_template or processor.tokenizer.chat_template)
    demonstrations = [
        Demonstration(id=prompt, question_id=prompt, prompt=prompt, text="red") for prompt in ("what?", "a secret", "?")
    ]
    dropped = []
    kept = usable(demonstrations, Encoder(processor), ImageRoots({}), "train", dropped)
    assert [one.id for one in kept] == ["what?", "?"]
    assert [(record.id, record.reason) for record in dropped] == [("a secret", DropReason.UNSUPPORTED)]
    assert dropped[0].detail == "the model's chat template refuses the prompt: no secrets"


def test_pictures_that_the_template_leaves_out_are_found_before_the_start(qwen, tmp_path):
    """A template that shows only the last turn's: another conversation with as many pictures says nothing of it."""
    processor = copy.deepcopy(qwen[1])
    shown = "message == messages[-1] and part['type'] == 'image'"
    processor.chat_template = processor.chat_template.replace("part['type'] == 'image'", shown)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    turns = (Turn(role=Role.USER, text="\N{OBJECT REPLACEMENT CHARACTER}See?"), Turn(role=Role.ASSISTANT, text="Yes."))
    demonstrations = [
        Demonstration(id=own, question_id=own, prompt="what?", text="red", images=("own/red.png",), turns=before)
        for own, before in (("one", ()), ("several", turns))
    ]
    dropped = []
    kept = usable(demonstrations, Encoder(processor), ImageRoots({"own": tmp_path}), "train", dropped)
    assert [one.id for one in kept] == ["one"]
    assert [(record.id, record.reason) for record in dropped] == [("several", DropReason.UNSUPPORTED)]


def test_a_picture_is_tried_as_large_as_the_model_has_it(qwen):
    processor = copy.deepcopy(qwen[1])
    large, small = Image.new("RGB", (112, 112)), Image.new("RGB", (28, 28))
    whole, one = (Trial(Encoder(processor), ImageRoots({}))._size(image, "own/red.png") for image in (large, small))
    setattr(processor, ATTRIBUTE, Limits(ImagesConfig(max_pixels=28 * 28)))
    assert whole > one == Trial(Encoder(processor), ImageRoots({}))._size(large, "own/red.png")


def test_a_processor_of_another_checkpoint_is_a_sentence(internvl, tmp_path):
    """It writes other tokens for a picture than the model has features of it."""
    model, processor = copy.deepcopy(internvl)
    processor.image_seq_length -= 1
    row = {
        "images": [Image.new("RGB", (64, 64))],
        "prompt": [{"role": "user", "content": "what?"}],
        "chosen": "red",
        "rejected": "blue",
    }
    config = MPOConfig(output_dir=str(tmp_path), use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True)
    with pytest.raises(UserError, match=r"InternVLForConditionalGeneration does not take .* this checkpoint's own"):
        MPOTrainer(model, args=config, train_dataset=[row], processing_class=processor).train()


def test_the_row_at_fault_is_named_in_a_training(internvl, tmp_path):
    model, processor = copy.deepcopy(internvl)
    prompt = [{"role": "user", "content": "what?"}]
    rows = [{"images": [], "prompt": prompt, "chosen": word, "rejected": "blue"} for word in ("red", "")]
    args = MPOConfig(
        str(tmp_path),
        per_device_train_batch_size=2,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    with pytest.raises(UserError, match="^row 1: a completion is empty"):
        MPOTrainer(model, args=args, train_dataset=rows, processing_class=processor).train()


def test_of_a_micro_batch_the_images_of_one_row_are_decoded_at_a_time(monkeypatch):
    """A micro-batch of 64 rows was 64 decoded pictures, and as many again for each that a worker prepares ahead."""
    decoded = []
    monkeypatch.setattr(ImageRoots, "open", lambda roots, image: decoded.append(image) or Image.new("RGB", (8, 8)))
    texts = {"prompt": "?", "text": "!", "ended": True}
    records = [Demonstration(id=str(n), question_id="q", images=(f"s/{n}.png",), **texts) for n in range(4)]

    def collate(rows):
        return [(row["id"], len(decoded)) for row in rows]

    loader = DataLoader(RowDataset(records, ImageRoots({})), batch_size=4, collate_fn=collate)
    assert list(loader) == [[("0", 1), ("1", 2), ("2", 3), ("3", 4)]]
