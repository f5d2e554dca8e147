"""Images that a training cannot use are found before it starts."""

from PIL import Image

from mixpo.batches.encode import Encoder
from mixpo.images import ImageRoots
from mixpo.records import DropReason, Origin, PreferencePair
from mixpo.training.selection import usable


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
