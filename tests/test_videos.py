"""Frames of a video: which are taken, from what kinds of files, and what is no video."""

import io
import pickle
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from mixpo import videos
from mixpo.errors import ImageError, MissingExtra
from mixpo.images import ImageRoots
from mixpo.records import Video
from mixpo.videos import Frames, FramesConfig, frames_of, glimpses, opened, videos_among


def greys(number, size=(8, 8)):
    """Frames that are told apart by their brightness: 8 times their number."""
    return [Image.new("RGB", size, (number * 8,) * 3) for number in range(number)]


def seen(frames: Frames) -> list[int]:
    return [round(np.asarray(image).mean() / 8) for image in frames.images]


def animation(number, milliseconds, kind="GIF", **options):
    first, *others = greys(number)
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others, duration=milliseconds, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animated_picture_is_a_video(kind):
    """Ten frames of 0.2 s: two a second are those seen at 0, 0.5, 1 and 1.5 s."""
    frames = frames_of(animation(10, 200, kind, **({"lossless": True} if kind == "WEBP" else {})), "a", FramesConfig())
    assert (seen(frames), frames.fps) == ([0, 2, 5, 7], 2.0)


@pytest.mark.parametrize(
    ("config", "expected", "fps"),
    [
        (FramesConfig(fps=1), [0, 5], 1.0),
        (FramesConfig(fps=5), list(range(10)), 5.0),
        (FramesConfig(max_frames=3), [0, 3, 6], 1.5),  # of all its time, not of its beginning
        (FramesConfig(max_frames=1), [0], 0.5),
        (FramesConfig(fps=0.1), [0, 5], 1.0),  # two at least
        (FramesConfig(fps=10), [place // 2 for place in range(20)], 10.0),  # a frame stays until the next
    ],
)
def test_frames_are_taken_evenly_over_the_whole_time(config, expected, fps):
    frames = frames_of(animation(10, 200), "a", config)
    assert (seen(frames), frames.fps) == (expected, fps)


def test_frames_of_different_length_are_seen_when_they_are_shown():
    frames = frames_of(animation(4, [1000, 100, 100, 1000]), "a", FramesConfig())
    assert seen(frames) == [0, 0, 1, 3]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (animation(1, 100), "a: is a single picture, not a video"),
        (animation(10, 200)[:60], "a: "),
    ],
)
def test_what_is_no_video_is_a_sentence(content, why):
    with pytest.raises(ImageError, match=why):
        frames_of(content, "a", FramesConfig())


def test_what_frames_are_asked_for_must_be_sensible():
    for wrong in ({"fps": 0}, {"fps": float("inf")}, {"max_frames": 0}):
        with pytest.raises(ValueError, match="fps must be above 0 and max_frames at least 1"):
            FramesConfig(**wrong)


def test_without_pyav_a_film_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mixpo\[video\]'"):
        frames_of(b"\0\0\0\x18ftypmp42", "a.mp4", FramesConfig())


def test_a_record_is_opened_with_its_videos(tmp_path):
    for number, image in enumerate([*greys(5), Image.new("RGB", (4, 9))]):
        image.save(tmp_path / f"{number}.png")
    roots = ImageRoots({"a": tmp_path})
    names = [f"a/{number}.png" for number in range(5)]
    shown = opened(names, (Video(start=0, frames=2, fps=1.0), Video(start=3, frames=2, fps=3.0)), roots)
    assert [seen(one) if isinstance(one, Frames) else one.getpixel((0, 0))[0] // 8 for one in shown] == [
        [0, 1],
        2,
        [3, 4],
    ]
    assert [shown[number].fps for number in videos_among(shown)] == [1.0, 3.0]
    assert glimpses(names, (Video(start=0, frames=2, fps=1.0),)) == [("a/0.png", 2), *((name, 0) for name in names[2:])]
    for wrong in (Video(start=4, frames=2, fps=1.0), Video(start=5, frames=0, fps=1.0)):
        with pytest.raises(ImageError, match="must have that many"):
            opened(names, (wrong,), roots)
    again = pickle.loads(pickle.dumps(shown[0]))  # as processes hand it on
    assert (seen(again), again.fps) == (seen(shown[0]), 1.0)
    with pytest.raises(ImageError, match="of one size, not 4 x 9, 8 x 8"):
        opened(["a/4.png", "a/5.png"], (Video(start=0, frames=2, fps=1.0),), roots)


def film(path, frames=30, rate=10, codec="mpeg4", options=None):
    """A film of so many frames, ever brighter; each twelfth can be seen without the ones before it."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w", options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options={"sc_threshold": "1000000000"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for image in greys(frames, (64, 48)):
            out.mux(stream.encode(av.VideoFrame.from_image(image)))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "mpeg4"), ("mkv", "mpeg4"), ("avi", "mpeg4"), ("ts", "mpeg2video")]
)
def test_a_film_is_read_by_pyav(tmp_path, ending, codec):
    """Three seconds of ten frames: those at every half second; nothing but the packets says how long it is (ts)."""
    path = film(tmp_path / f"a.{ending}", codec=codec)
    for given in (path, path.read_bytes()):
        frames = frames_of(given, path.name, FramesConfig())
        assert seen(frames) == [0, 5, 10, 15, 20, 25]
        assert frames.fps == pytest.approx(2.0)
    few = frames_of(path, path.name, FramesConfig(max_frames=4))
    assert seen(few) == [0, 7, 15, 22]
    assert few.fps == pytest.approx(4 / 3, rel=1e-5)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_torn_film_is_not_taken_for_a_shorter_one(tmp_path, ending):
    """Its index or its header says how long it should be."""
    path = film(tmp_path / f"a.{ending}", options={"movflags": "faststart"} if ending == "mp4" else {})
    content = path.read_bytes()
    with pytest.raises(ImageError, match=r"a: is torn: it ends after [01]\.\d of 3\.0 seconds"):
        frames_of(content[: len(content) // 2], "a", FramesConfig())


def test_of_a_film_cut_without_encoding_only_what_is_shown_counts(tmp_path):
    """Such a file begins with the key frame before the cut, and says from when on it is shown."""
    av = pytest.importorskip("av")
    whole, cut = film(tmp_path / "whole.mp4"), tmp_path / "cut.mp4"
    with av.open(str(whole)) as read, av.open(str(cut), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                before = round(2 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - before, packet.dts - before, stream
                out.mux(packet)
    frames = frames_of(cut, cut.name, FramesConfig())
    assert (seen(frames), frames.fps) == ([20, 25], 2.0)


def test_no_list_of_other_files_is_followed(tmp_path):
    pytest.importorskip("av")
    path = film(tmp_path / "a.ts", codec="mpeg2video")
    lists = [f"#EXTM3U\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n", f"ffconcat version 1.0\nfile {path}\n"]
    for content in [*(text.encode() for text in lists), path.read_bytes()[:100], b"", b"words" * 100]:
        with pytest.raises(ImageError, match="a: no video that can be read"):
            frames_of(content, "a", FramesConfig())


def gif(frames, width=1, height=1):
    frame = b"!\xf9\x04\x00\x01\x00\x00\x00,\0\0\0\0" + struct.pack("<HH", width, height) + b"\0\x02\x02L\x01\x00"
    head = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff"
    return head + frame * frames + b";"


def test_a_video_of_too_many_frames_is_refused_before_all_are_read(monkeypatch):
    """A GIF of a million frames, 19 MB, took four minutes."""
    assert videos._most((1920, 1080), videos.MAX_ANIMATED) > 9_000
    monkeypatch.setattr(videos, "MAX_ANIMATED", 20 * videos.LEAST_FRAME)
    assert len(frames_of(gif(20), "x", FramesConfig()).images) == 2
    with pytest.raises(ImageError, match="x: has more than 20 frames of 1 x 1 pixels"):
        frames_of(gif(21), "x", FramesConfig())


def test_a_film_of_too_many_frames_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", frames=30)
    monkeypatch.setattr(videos, "MAX_FILMED", 29 * videos.LEAST_FRAME)
    monkeypatch.setattr(videos, "_taken", None)
    with pytest.raises(ImageError, match="has more than 29 frames"):
        frames_of(path, "x", FramesConfig())


def test_what_a_record_shows_has_a_limit_in_all(tmp_path, monkeypatch):
    for number in range(3):
        Image.new("RGB", (10, 10)).save(tmp_path / f"{number}.png")
    images, roots = [f"s/{number}.png" for number in range(3)], ImageRoots({"s": tmp_path})
    monkeypatch.setattr(videos, "MAX_SHOWN", 300)
    assert len(opened(images, (), roots)) == 3
    monkeypatch.setattr(videos, "MAX_SHOWN", 299)
    with pytest.raises(ImageError, match="3 images have more than 299 pixels together; take fewer, or smaller ones"):
        opened(images, (), roots)
    monkeypatch.setattr(videos, "MAX_SHOWN", 255)
    with pytest.raises(ImageError, match="4 frames have more than 255 pixels together"):
        frames_of(animation(4, 500), "x", FramesConfig())
