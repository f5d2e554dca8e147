"""Rows with videos: every form in which they are written, what is stored of them, and what is left out."""

import base64
import io
import json

import pytest
from PIL import Image

from mixpo.config import build
from mixpo.evaluation.benchmarks import source
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.model_inputs import ImagesConfig
from mixpo.questions.collect import Config, run
from mixpo.questions.file import Config as FileConfig
from mixpo.questions.file import load
from mixpo.records import DropReason, Video
from mixpo.videos import opened

P = "\ufffc"
PIXELS = (6, 4)


def gif(frames=10, milliseconds=200):
    first, *others = (Image.new("RGB", PIXELS, (number * 8, 0, 0)) for number in range(frames))
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=milliseconds)
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path, write_lines, png):
    """Questions and dropped records of rows beside `a.gif` (2 s), `b.png` and frames `f0.png` … `f5.png`."""
    (tmp_path / "a.gif").write_bytes(gif())
    (tmp_path / "b.png").write_bytes(png("blue", PIXELS))
    for number in range(6):
        (tmp_path / f"f{number}.png").write_bytes(png((number, 0, 0), PIXELS))

    def rows(*given, **config):
        path = write_lines(tmp_path / "q.jsonl", [{"text": "What happens?", **row} for row in given])
        return list(load(build(FileConfig, {"path": str(path), **config}, "mine"), "mine", 0))

    return rows


F = [f"f{number}.png" for number in range(6)]
FOUR = (Video(start=0, frames=4, fps=2.0),)


@pytest.mark.parametrize(
    ("row", "videos"),
    [
        ({"video": "a.gif"}, FOUR),
        ({"videos": ["a.gif"]}, FOUR),
        ({"video_path": "a.gif"}, FOUR),
        ({"videos": json.dumps(["a.gif"])}, FOUR),
        ({"video": {"path": "a.gif", "bytes": None}}, FOUR),
        ({"video": {"bytes": base64.b64encode(gif()).decode()}}, FOUR),
        ({"video": {"bytes": list(gif()), "path": "gone.gif"}}, FOUR),
        ({"video": {"video": "a.gif", "fps": 1}}, (Video(start=0, frames=2, fps=1.0),)),
        ({"videos": ["a.gif", "a.gif"]}, (*FOUR, Video(start=4, frames=4, fps=2.0))),
        ({"video": F}, (Video(start=0, frames=6, fps=2.0),)),
        ({"videos": [F[:2], F[2:]]}, (Video(start=0, frames=2, fps=2.0), Video(start=2, frames=4, fps=2.0))),
        ({"video": {"frames": F, "sample_fps": "0.5"}}, (Video(start=0, frames=6, fps=0.5),)),
    ],
)
def test_videos_in_every_form(read, row, videos):
    (item,) = read(row)
    assert item.question.videos == videos
    assert len(item.question.images) == sum(video.frames for video in videos)
    assert item.question.meta == {}
    stored = {path for path in item.question.images if path.startswith("mine.stored/")}
    assert stored == item.pictures.keys()
    assert not stored or all(Image.open(io.BytesIO(content)).size == PIXELS for content in item.pictures.values())


def test_frames_that_are_pictures_stay_in_place(read):
    (item,) = read({"video": F})
    assert item.question.images == tuple(f"mine/{name}" for name in F)
    assert item.pictures == {}


@pytest.mark.parametrize(
    ("config", "frames", "fps"),
    [({"fps": 1}, 2, 1.0), ({"max_frames": 3}, 3, 1.5), ({"fps": 0.5, "max_frames": 1}, 1, 0.5)],
)
def test_how_many_frames_are_taken_is_said(read, config, frames, fps):
    (item,) = read({"video": "a.gif"}, images=config)
    assert item.question.videos == (Video(start=0, frames=frames, fps=fps),)


def test_of_a_long_list_frames_are_taken_evenly(read):
    (item,) = read({"video": {"frames": F, "fps": 6}}, images={"max_frames": 3})
    assert item.question.images == ("mine/f0.png", "mine/f2.png", "mine/f4.png")
    assert item.question.videos == (Video(start=0, frames=3, fps=3.0),)


@pytest.mark.parametrize(
    ("text", "expected", "starts"),
    [
        ("What happens?", "What happens?", ["b.png", "f0.png"]),
        ("<image>\n<video>\nWhat happens?", "What happens?", ["b.png", "f0.png"]),
        ("<video>\n<image>\nWhat happens?", "What happens?", ["f0.png", "b.png"]),
        ("Is <video> like <image>?", f"Is {P} like {P}?", ["f0.png", "b.png"]),
        ("<|vision_start|><|video_pad|><|vision_end|> or <|image_pad|>?", f"{P} or {P}?", ["f0.png", "b.png"]),
    ],
)
def test_marks_are_the_places_of_pictures_and_videos(read, text, expected, starts):
    (item,) = read({"text": text, "image": "b.png", "video": F[:2]})
    question = item.question
    assert question.text == expected
    filmed = question.videos[0].start
    assert [name for name in question.images if name != "mine/f1.png"] == [f"mine/{name}" for name in starts]
    assert question.images[filmed : filmed + 2] == ("mine/f0.png", "mine/f1.png")


def test_parts_of_a_conversation(read, tmp_path):
    parts = [
        {"type": "text", "text": "Compare "}, {"type": "video", "video": F[:3], "fps": 4.0},
        {"type": "text", "text": " with "}, {"type": "image", "image": "b.png"}, {"type": "text", "text": " and "},
        {"type": "video_url", "video_url": {"url": "a.gif"}}, {"type": "text", "text": "."},
    ]  # fmt: skip
    (item,) = read({"text": [{"role": "user", "content": parts}]})
    question = item.question
    assert question.text == f"Compare {P} with {P} and {P}."
    assert question.videos == (Video(start=0, frames=3, fps=4.0), Video(start=4, frames=4, fps=2.0))
    assert question.images[3] == "mine/b.png"


def test_beside_parts_that_name_them_marks_are_words(read):
    parts = [{"type": "video", "video": F[:2]}, {"type": "text", "text": " <video> or <image>: what is shorter?"}]
    (item,) = read({"text": [{"role": "user", "content": parts}]})
    assert item.question.text == "<video> or <image>: what is shorter?"
    assert item.question.videos == (Video(start=0, frames=2, fps=2.0),)


def test_parts_that_are_videos_and_pictures_keep_their_order(read):
    shown = [{"type": "video", "video": F[:2]}, {"type": "image", "image": "b.png"}, {"type": "video", "video": F[2:]}]
    said = [{"role": "user", "content": [*shown, {"type": "text", "text": "?"}]}]
    (item,) = read({"text": said})
    assert item.question.videos == (Video(start=0, frames=2, fps=2.0), Video(start=3, frames=4, fps=2.0))
    (dropped,) = read({"text": [*said, {"role": "assistant", "content": shown[:1]}]})
    assert (dropped.reason, dropped.detail) == (DropReason.UNSUPPORTED, "a video in a turn of the assistant")


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"video": "no.mp4"}, DropReason.BAD_IMAGE, "no.mp4: there is no such file"),
        ({"video": "../a.gif"}, DropReason.BAD_IMAGE, "outside the image root"),
        ({"video": "b.png"}, DropReason.BAD_IMAGE, "is a single picture, not a video"),
        ({"video": "https://example.org/a.mp4"}, DropReason.BAD_IMAGE, "only with `fetch_images: true`"),
        ({"videos": [[]]}, DropReason.BAD_ROW, "a video has no frames"),
        ({"video": 17}, DropReason.BAD_ROW, "must be a path or bytes, not 17"),
        ({"video": {"start": 3}}, DropReason.BAD_ROW, "a mapping of these"),
        ({"video": {"video": "a.gif", "video_start": 3}}, DropReason.UNSUPPORTED, "a video with 'video_start'"),
        ({"video": {"video": "a.gif", "fps": -1}}, DropReason.BAD_ROW, "above 0, not -1"),
        ({"video": {"video": "a.gif", "fps": "fast"}}, DropReason.BAD_ROW, "must be a number, not 'fast'"),
        ({"text": "<video> or <video>?", "video": "a.gif"}, DropReason.BAD_ROW, "0 pictures and 2 videos, and there"),
        ({"text": "<video>?", "video": "a.gif", "image": "b.png"}, DropReason.BAD_ROW, "0 pictures and 1 video, and"),
        ({"text": [{"role": "user", "content": [{"type": "video"}]}]}, DropReason.BAD_ROW, "1 video, of which"),
    ],
)  # fmt: skip
def test_what_is_left_out_says_why(read, row, reason, detail):
    (dropped,) = read(row)
    assert (dropped.reason, detail in dropped.detail) == (reason, True), dropped


def test_without_videos_a_mark_is_text(read):
    (item,) = read({"text": "What does <video> do in HTML?", "image": "b.png"})
    assert item.question.text == "What does <video> do in HTML?"
    assert item.question.videos == ()


def test_the_step_stores_the_frames(tmp_path, write_lines):
    """`images` of the section counts for sources that do not say it themselves; records are opened as they are."""
    (tmp_path / "a.gif").write_bytes(gif())
    path = str(write_lines(tmp_path / "q.jsonl", [{"text": "What?", "video": "a.gif"}, {"text": "What else?"}]))
    sources = {"one": {"loader": "file", "path": path}, "two": {"loader": "jsonl", "path": path, "images": {"fps": 4}}}
    files = RunFiles(tmp_path / "run")
    run(build(Config, {"sources": sources, "images": {"fps": 1}}, "questions"), files)
    found = {question.id: question for question in files.questions("questions")}
    assert {id: question.videos for id, question in found.items()} == {
        "one-0": (Video(start=0, frames=2, fps=1.0),), "one-1": (),
        "two-0": (Video(start=0, frames=8, fps=4.0),), "two-1": (),
    }  # fmt: skip
    roots = ImageRoots.load(files.image_roots_file("questions"))
    (frames,) = opened(found["one-0"].images, found["one-0"].videos, roots)
    assert [image.getpixel((0, 0)) for image in frames.images] == [(0, 0, 0), (40, 0, 0)]
    assert b"videos" not in files.questions("questions").paths()[0].read_bytes().splitlines()[1]


def test_an_evaluation_of_a_file_takes_the_frames_that_the_section_says(tmp_path, write_lines):
    (tmp_path / "a.gif").write_bytes(gif())
    values = {"loader": "file", "path": str(write_lines(tmp_path / "q.jsonl", [{"text": "?", "video": "a.gif"}]))}
    files = RunFiles(tmp_path / "run")
    for name, own in (("as", {}), ("own", {"images": {"max_frames": 3}})):
        source.check(name, {**values, **own}, "benchmarks")
        source.collect_into(name, {**values, **own}, 0, files, ImagesConfig(fps=4, max_pixels=100))
        (question,) = files.questions(name)
        assert question.videos == ((Video(start=0, frames=3, fps=1.5) if own else Video(start=0, frames=8, fps=4.0)),)


def test_where_no_pictures_are_looked_for_videos_are_not_either(tmp_path, write_lines):
    path = write_lines(tmp_path / "q.jsonl", [{"text": "Where is <video>?", "video": "no.mp4", "answer": "3"}])
    (item,) = load(FileConfig(path=str(path)), "mine", 0, pictures=False)
    assert (item.question.text, item.question.images, item.question.videos) == ("Where is <video>?", (), ())


@pytest.mark.parametrize("nothing", ["", [], None])
def test_an_empty_video_beside_a_picture_is_none(read, nothing):
    """Rows of data sets that have both kinds say so which one it is."""
    (found,) = read({"image": "b.png", "video": nothing})
    assert (len(found.question.images), found.question.videos) == (1, ())
