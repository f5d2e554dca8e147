"""Limits on the size of pictures, for every family: sampling and training see the same, and less of it."""

import copy
import random

import pytest
import torch
from PIL import Image

from mixpo.batches.encode import Encoder
from mixpo.errors import UserError
from mixpo.model_inputs import AS_IS, ImagesConfig, InputsOfSeveral, ModelInputs
from mixpo.models.load import apply
from mixpo.models.picture_limits import limits_of, same_tiles
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.encode import RequestEncoder

PICTURE = Image.frombytes("RGB", (120, 80), random.Random(0).randbytes(120 * 80 * 3))
FIXED = {"llava", "gemma3", "paligemma", "mllama"}
"""Families that make every picture the same number of tokens."""
TILED = {"internvl", "llava_next", "llava_onevision", "idefics3", "smolvlm"}


def limited(family, **images):
    """A copy of the family's processor with limits; Idefics' cuts pictures into tiles as the published ones do."""
    processor = copy.deepcopy(family.processor)
    if hasattr(processor.image_processor, "do_image_splitting"):
        processor.image_processor.do_image_splitting = True
    apply(processor, ModelInputs(images=ImagesConfig(**images)), family.name)
    return processor


def sampled(processor):
    return RequestEncoder(processor)([Request(id="a", prompt="how many", images=(PICTURE,))])


def image_tokens(processor) -> int:
    ids = sampled(processor)["input_ids"][0].tolist()
    return sum(ids.count(token) for token in RequestEncoder(processor).chat.image_tokens)


def refuses_to_be_different(family, processor):
    """Sampling's ids and pixels are training's, and the model takes them."""
    inputs = sampled(processor)
    trained = Encoder(processor)(
        {"images": [PICTURE], "prompt": [{"role": "user", "content": "how many"}], "chosen": "one", "rejected": "two"}
    )
    assert inputs["input_ids"][0].tolist() == trained.prompt_ids
    assert "pixel_values" in trained.image_inputs
    for name, value in trained.image_inputs.items():
        assert torch.equal(inputs[name], value), name
    model = copy.deepcopy(family.model)
    same_tiles(model, processor)
    with torch.no_grad():
        model(**inputs)


def test_max_pixels_makes_fewer_tokens_for_sampling_and_training_alike(family, tmp_path):
    processor, as_it_is = limited(family, max_pixels=800), limited(family)
    refuses_to_be_different(family, processor)
    if family.name in FIXED:
        assert image_tokens(processor) == image_tokens(as_it_is)
        assert not torch.equal(sampled(processor)["pixel_values"], sampled(as_it_is)["pixel_values"])
    else:
        assert image_tokens(processor) < image_tokens(as_it_is)
    if family.name not in FIXED | {"mistral3"}:  # whoever loads the trained model elsewhere has its limits
        processor.save_pretrained(tmp_path)
        assert image_tokens(type(processor).from_pretrained(tmp_path)) == image_tokens(processor)


def test_min_pixels_enlarges_small_pictures(family):
    small = Image.new("RGB", (12, 10), "red")
    processor = limited(family, min_pixels=40_000)
    (fitted,) = RequestEncoder(processor).chat.pictures([small])
    if family.name.startswith("qwen"):  # its processor does it
        assert fitted is small
        patches = processor(images=[small], text=["<|image_pad|>"])["image_grid_thw"].prod()
        assert patches * processor.image_processor.patch_size**2 >= 40_000
    else:
        assert fitted.size == (220, 183)
    refuses_to_be_different(family, processor)


@pytest.mark.parametrize("tiles", [1, 2])
def test_max_tiles_bounds_the_tiles_or_is_a_sentence(family, tiles, caplog):
    if family.name not in TILED:
        with pytest.raises(UserError, match=rf"model '{family.name}': images.max_tiles: .* does not cut .* max_pixels"):
            limited(family, max_tiles=tiles)
        # Beside models that have tiles it is said, and the rest is done.
        processor = copy.deepcopy(family.processor)
        apply(processor, InputsOfSeveral(images=ImagesConfig(max_tiles=tiles, max_pixels=800)), family.name)
        assert "it is asked without" in caplog.text
        assert limits_of(processor) == limits_of(limited(family, max_pixels=800))
        return
    processor = limited(family, max_tiles=tiles)
    refuses_to_be_different(family, processor)
    shape = sampled(processor)["pixel_values"].shape
    made = shape[0] if family.name == "internvl" else shape[1]
    # With the small copy of the whole picture; LLaVA's is there beside a single tile, too.
    assert made == (2 if "llava" in family.name else 1) if tiles == 1 else made <= tiles + 1
    if tiles == 1:
        assert image_tokens(processor) < image_tokens(limited(family))


def test_without_limits_nothing_is_touched(family):
    processor = copy.deepcopy(family.processor)
    before = processor.image_processor.to_json_string(), processor.chat_template, set(vars(processor))
    apply(processor, AS_IS, family.name)
    assert (processor.image_processor.to_json_string(), processor.chat_template, set(vars(processor))) == before
    assert RequestEncoder(processor).chat.pictures([PICTURE])[0] is PICTURE
