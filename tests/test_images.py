import io
import json

import pytest
from PIL import Image

from mixpo.errors import ImageError
from mixpo.images import ImageRoots, decode, inside


def encoded(image, kind="PNG", **given):
    buffer = io.BytesIO()
    image.save(buffer, kind, **given)
    return buffer.getvalue()


RED = Image.new("RGB", (8, 4), (255, 0, 0))


def test_plain_images():
    assert list(decode(encoded(RED), "x").getdata()) == [(255, 0, 0)] * 32


def test_cmyk_grey_palette_and_transparent_images_become_rgb():
    assert decode(encoded(RED.convert("CMYK"), "JPEG"), "x").mode == "RGB"
    assert decode(encoded(RED.convert("P")), "x").getpixel((0, 0)) == (255, 0, 0)
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert decode(encoded(clear), "x").getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_greys_are_scaled_not_clipped():
    image = Image.new("I;16", (1, 1), 32768)
    assert decode(encoded(image), "x").getpixel((0, 0)) == (128, 128, 128)


def test_animations_give_their_first_frame():
    frames = encoded(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 4), "blue")])
    red, _, blue = decode(frames, "x").getpixel((0, 0))
    assert red > 200
    assert blue < 50


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    assert decode(encoded(RED, "JPEG", exif=exif), "x").size == (4, 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"GIF89", "not an image|cannot|truncated"),
        (b"hello", "not an image"),
        (encoded(RED)[:40], "x: "),
    ],
)
def test_broken_files_give_a_sentence(content, message):
    with pytest.raises(ImageError, match=message):
        decode(content, "x")


def test_every_torn_file_is_refused_or_decoded():
    whole = encoded(Image.effect_noise((40, 40), 50))
    for size in range(0, len(whole) - 60, 37):
        with pytest.raises(ImageError):
            decode(whole[:size], "x")


def test_huge_images_are_refused_before_they_are_decoded():
    with pytest.raises(ImageError, match="above the limit of 16"):
        decode(encoded(RED), "x", max_pixels=16)


@pytest.mark.parametrize(
    "path", ["../secret", "a/../../secret", "/etc/passwd", "http://host/x.png", "file:///x", "a\0b"]
)
def test_paths_out_of_the_root_are_refused(tmp_path, path):
    with pytest.raises(ImageError):
        inside(tmp_path, path)


def test_symlinks_out_of_the_root_are_refused(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.png").write_bytes(encoded(RED))
    (tmp_path / "root" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ImageError, match="outside the image root"):
        inside(tmp_path / "root", "link.png")


def test_image_roots(tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "1.png").write_bytes(encoded(RED))
    (tmp_path / "image_roots.json").write_text(json.dumps({"a": "images/a"}))
    roots = ImageRoots.load(tmp_path / "image_roots.json")
    assert roots.open("a/1.png").size == (8, 4)
    for image, message in [
        ("b/1.png", "no image root named 'b'"),
        ("a/2.png", "cannot be read"),
        ("a", "no image root"),
    ]:
        with pytest.raises(ImageError, match=message):
            roots.open(image)


def test_names_that_cannot_be_followed_are_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for path in ("a/x.png", "\udcff.png"):
        with pytest.raises(ImageError):
            ImageRoots({"r": tmp_path}).open(f"r/{path}")
