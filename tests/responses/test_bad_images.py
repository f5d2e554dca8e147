"""A question file with images of every bad and every odd sort, from the file to the responses."""

import json
import struct
import zlib

import pytest
import yaml
from PIL import Image

from mixpo.pipeline import run_recipe
from mixpo.recipe import load_recipe
from mixpo.records import DropReason


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.fixture
def images(tmp_path):
    """A folder of pictures, and one outside it."""
    root = tmp_path / "data"
    root.mkdir()
    red = Image.effect_noise((48, 32), 60).convert("RGB")
    red.save(tmp_path / "secret.png")
    red.save(root / "good.png")
    red.convert("CMYK").save(root / "cmyk.jpg")
    Image.new("I;16", (40, 40), 40000).save(root / "deep.png")
    red.save(root / "moving.gif", save_all=True, append_images=[Image.new("RGB", (48, 32), "blue")])
    exif = Image.Exif()
    exif[0x0112] = 6
    red.save(root / "turned.jpg", exif=exif)
    (root / "torn.png").write_bytes((root / "good.png").read_bytes()[:300])
    (root / "torn.jpg").write_bytes((root / "cmyk.jpg").read_bytes()[:300])
    (root / "empty.png").write_bytes(b"")
    (root / "words.png").write_text("no picture")
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (root / "huge.png").write_bytes(huge)
    (root / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    return root


SAMPLED = ["good.png", "cmyk.jpg", "deep.png", "moving.gif", "turned.jpg"]
DROPPED_WHEN_ASKED = {
    "torn.png": "truncated",
    "torn.jpg": "truncated",
    "empty.png": "the file is empty",
    "words.png": "not an image",
    "huge.png": "10000 x 10000 pixels is above the limit",
    "drawing.eps": "not an image",
}
DROPPED_WHEN_READ = {
    "link.png": "outside the image root",
    "../secret.png": "outside the image root",
    "http://127.0.0.1:9/a.png": "fetch_images",
    "absent.png": "no such file",
}


def test_each_bad_image_is_a_record_with_its_reason_and_the_rest_is_sampled(images):
    names = [name for group in (SAMPLED, DROPPED_WHEN_ASKED, DROPPED_WHEN_READ) for name in group]
    names.sort(key=len)
    rows = [{"id": name, "text": "How many?", "answer": "3", "image": name} for name in names]
    (images / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    steps = {
        "questions": {"sources": {"mine": {"loader": "jsonl", "path": str(images / "rows.jsonl")}}},
        "sample": {"n": 2, "max_new_tokens": 3, "style": "direct", "backend": {"canaries": False}},
    }
    recipe = images.parent / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"run": str(images.parent / "run"), "steps": steps}))
    files = run_recipe(load_recipe(recipe))

    asked = {response.id for response in files.responses("sample")}
    assert asked == {f"mine-{name}/{sample}" for name in SAMPLED for sample in (0, 1)}
    dropped = {record.id.removeprefix("mine-"): record for record in files.dropped("sample")}
    assert dropped.keys() == DROPPED_WHEN_ASKED.keys()
    read = {names[int(record.id.rpartition(":")[2]) - 1]: record for record in files.dropped("questions")}
    assert read.keys() == DROPPED_WHEN_READ.keys()
    for name, words in {**DROPPED_WHEN_ASKED, **DROPPED_WHEN_READ}.items():
        record = (dropped | read)[name]
        assert record.reason is DropReason.BAD_IMAGE
        assert words in record.detail.lower(), (name, record.detail)
