import base64
import contextlib
import io
import json
import os
import random
import struct
import warnings
import zlib

import pytest
from PIL import Image

from mixpo import images
from mixpo.errors import ImageError
from mixpo.images import ImageRoots, data_url, decode, inside
from mixpo.pictures import content


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


def test_a_data_url_holds_the_same_pixels():
    image = Image.frombytes("RGB", (16, 16), random.Random(0).randbytes(768))
    head, _, content = data_url(image).partition(",")
    assert head == "data:image/png;base64"
    assert decode(base64.b64decode(content), "x").tobytes() == image.tobytes()


def test_only_pillow_s_warning_about_large_images_is_silenced():
    images._formats.cache_clear()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decode(encoded(RED), "x")
        warnings.warn("another", stacklevel=1)
    images._formats.cache_clear()  # the filter ends with the block
    assert [str(warning.message) for warning in seen] == ["another"]


def test_the_limit_of_bytes_itself_is_allowed(tmp_path, monkeypatch):
    content = encoded(RED)
    (tmp_path / "1.png").write_bytes(content)
    roots = ImageRoots({"s": tmp_path})
    monkeypatch.setattr(images, "MAX_BYTES", len(content))
    assert roots.open("s/1.png").size == (8, 4)
    monkeypatch.setattr(images, "MAX_BYTES", len(content) - 1)
    with pytest.raises(ImageError, match="above the limit"):
        roots.open("s/1.png")


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


def png(width, height):
    """A file that says so, and holds no pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((1, 49_999_999), "above the limit of 65,535 for a side"),
        ((65_536, 700), "above the limit of 65,535 for a side"),
        ((65_535, 65), "no side may be more than 1,000 times the other; cut it into parts"),
        ((1, 1001), "no side may be more than 1,000 times the other"),
        ((10_000, 10_000), "above the limit of 50,000,000"),
    ],
)
def test_a_picture_is_neither_too_long_nor_too_narrow(size, message):
    """One of 1 x 49,999,999 pixels took gigabytes to decode; a JPEG's longest side is allowed."""
    with pytest.raises(ImageError, match=message):
        decode(png(*size), "x")
    with pytest.raises(ImageError, match=message):
        images.size_of(png(*size), "x")
    images.check_size(65_535, 700, "a panorama")
    images.check_size(1, 1000, "a line")


def test_an_icon_that_holds_a_larger_picture_than_it_says_is_refused():
    inside = encoded(Image.new("RGB", (1, 1001)))
    icon = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 24, len(inside), 22) + inside
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImageError, match="no side may be more"):
            decode(icon, "x")


def test_what_pillow_has_opened_elsewhere_is_decoded_under_the_same_limits(tmp_path):
    """A data set's images, which Pillow decodes on use: PostScript, which it gives to Ghostscript, is not."""
    (tmp_path / "a.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    )
    with pytest.raises(ImageError, match="files of the format EPS are not decoded; save it as PNG"):
        content(Image.open(tmp_path / "a.eps"))
    with pytest.raises(ImageError, match="no side may be more"):
        images.loaded(Image.open(io.BytesIO(png(1, 1001))), "x")
    with pytest.raises(ImageError, match="x: cannot be decoded"):
        images.loaded(Image.open(io.BytesIO(png(1, 10))), "x")
    assert images.loaded(RED, "x") is RED


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
        ("a/2.png", r"a/2.png: the file is not there; put it back, or say with `image_root`"),
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


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_forged_files_are_an_image_or_a_sentence(kind):
    """Sixty files of each format, with bytes changed at random."""
    whole = encoded(Image.effect_noise((24, 24), 50).convert("P" if kind == "GIF" else "RGB"), kind)
    rng = random.Random(kind)
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.randrange(1, 9)):
            content[rng.randrange(min(len(content), rng.choice([32, 10**6])))] = rng.randrange(256)
        with contextlib.suppress(ImageError):
            assert decode(bytes(content), "x").mode == "RGB"


def test_big_endian_sixteen_bit_greys():
    assert decode(encoded(Image.new("I;16B", (1, 1), 32768), "TIFF"), "x").getpixel((0, 0)) == (128, 128, 128)


def test_files_that_are_programs_are_not_run():
    """Pillow would hand PostScript to Ghostscript."""
    with pytest.raises(ImageError, match="not an image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "x")


def test_only_files_of_a_sane_size_are_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(encoded(RED))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    roots = ImageRoots({"r": tmp_path})
    for name in ("folder", "pipe"):
        with pytest.raises(ImageError, match="it is no file"):
            roots.open(f"r/{name}")
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    with pytest.raises(ImageError, match="above the limit of 10 bytes"):
        roots.open("r/a.png")


@pytest.mark.parametrize(
    ("size", "least", "most", "wanted"),
    [
        ((400, 300), None, None, (400, 300)),
        ((400, 300), 100, 120_000, (400, 300)),
        ((400, 300), None, 30_000, (200, 150)),
        ((20, 15), 30_000, None, (200, 150)),
        ((1, 300), None, 100, (1, 100)),
        ((300, 1), None, 100, (100, 1)),
        ((300, 1), None, 1, (1, 1)),
        ((3, 7), 1000, 1000, (20, 49)),
        ((1, 1), 1000, 1000, (31, 32)),
    ],
)
def test_a_picture_is_brought_within_limits_on_its_pixels(size, least, most, wanted):
    image = Image.new("RGB", size, "red")
    made = images.resized(image, least, most)
    assert made.size == wanted
    assert made.getpixel((0, 0)) == (255, 0, 0)
    assert (made is image) == (size == wanted)


@pytest.mark.parametrize("seed", range(20))
def test_limits_on_pixels_are_never_crossed(seed):
    rng = random.Random(seed)
    image = Image.new("L", (rng.randint(1, 300), rng.randint(1, 300)))
    least = rng.randint(1, 5000)
    most = least + rng.choice([0, 1, 50, 5000])
    wide, high = images.resized(image, None, most).size
    assert wide * high <= most
    wide, high = images.resized(image, least, None).size
    assert wide * high >= least
    wide, high = images.resized(image, least, most).size
    assert wide * high <= most
