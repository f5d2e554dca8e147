"""The videos that a row names or carries: files, addresses, bytes, lists of frames, and mappings of these.

Each becomes the pictures of its frames (`mixpo.videos`), which are stored, or stay in place, as other pictures do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from mixpo.addresses import fetch
from mixpo.errors import BadRow, ImageError, Unsupported
from mixpo.images import is_url
from mixpo.pictures import EXTENSIONS, NOT_FETCHED, Place, find, images_of
from mixpo.pictures import content as content_of
from mixpo.records import Video
from mixpo.values import parsed, short
from mixpo.videos import frames_of

STILL = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".avif", ".jp2")
"""Endings of files that are one frame: a list of them is one video."""
NAMED = ("bytes", "frames", "video", "video_url", "input_video", "path", "url", "file")
"""Keys under which a mapping has its video."""
RATES = ("fps", "sample_fps")
"""Keys that say how many frames a second are to be taken of a file, or are in a list."""


@dataclass(frozen=True, slots=True)
class Clip:
    """The frames of a video, as `images_of` takes pictures."""

    frames: Sequence[Any]
    fps: float


def videos_in(given: Any) -> list[Any]:
    """The videos of a row's column one by one; a list of pictures is one video. A table has lists as JSON text."""
    found = parsed(given)
    if not isinstance(found, list | tuple):
        return [] if found is None else [found]
    return [list(found)] if found and all(map(_is_still, found)) else list(found)


def _is_still(entry: Any) -> bool:
    if isinstance(entry, Mapping) and (content := entry.get("bytes")) is not None:
        start = bytes(content[:4]) if isinstance(content, bytes) else b""
        return start != b"RIFF" and start != b"GIF8" and start.startswith(tuple(EXTENSIONS))
    if isinstance(entry, Mapping):
        entry = next((entry[key] for key in ("image", "path", "url") if entry.get(key) is not None), None)
    if isinstance(entry, str):
        return PurePath(entry).suffix.lower() in STILL or entry.startswith("data:image/")
    return hasattr(entry, "convert")


def clip(given: Any, place: Place) -> Clip:
    """The frames of one video: of a list as they are, of a file at the rate that is wanted (`Place.frames`).

    Raises ImageError for a video that cannot be had, BadRow for what is none, MissingExtra without PyAV.
    """
    config, fps = place.frames, None
    if isinstance(given, Mapping):
        given, fps = _named(given)
        config = config if fps is None else replace(config, fps=fps)
    if isinstance(given, list | tuple):
        return _evenly(Clip(list(given), config.fps), config.max_frames)
    content, name = content_of(given)
    if content is None and is_url(str(name)):
        if not place.fetch:
            raise ImageError(f"{name}: {NOT_FETCHED}")
        content = fetch(str(name), place.private)
    found = frames_of(find(name, place)[0] if content is None else content, short(name or "a video"), config)
    return Clip(found.images, found.fps)


def _named(given: Mapping[str, Any]) -> tuple[Any, float | None]:
    """The video that a mapping has, and the rate that it says."""
    key = next((key for key in NAMED if given.get(key) is not None), None)
    rate = next((given[key] for key in RATES if given.get(key) is not None), None)
    others = [name for name, value in given.items() if name not in (*NAMED, *RATES, "type") and value is not None]
    if key is None:
        raise BadRow(f"a video is a path, a list of frames or a mapping of these, not {short(dict(given))}")
    if others:
        raise Unsupported(f"a video with {', '.join(map(repr, others))}")
    try:
        fps = None if rate is None else float(rate)
    except (TypeError, ValueError, OverflowError):
        raise BadRow(f"the fps of a video must be a number, not {short(rate)}") from None
    if fps is not None and not 0 < fps < float("inf"):
        raise BadRow(f"the fps of a video must be above 0, not {short(rate)}")
    inner = given[key]
    if key == "bytes":  # in JSON they are base64, or a list of numbers
        return {"bytes": inner}, fps
    if isinstance(inner, Mapping):  # OpenAI's parts: {"video_url": {"url": …}}
        return inner.get("url"), fps
    return inner, fps


def _evenly(video: Clip, most: int) -> Clip:
    """At most so many frames of a list, evenly over its time."""
    number = len(video.frames)
    if not number:
        raise BadRow("a video has no frames")
    if number <= most:
        return video
    return Clip([video.frames[place * number // most] for place in range(most)], video.fps * most / number)


def shown_of(
    pictures: Sequence[Any], videos: Sequence[Any], kinds: Sequence[str], place: Place
) -> tuple[dict[str, Any], dict[str, bytes | str]]:
    """`images` and `videos` of a record that shows these in the order of `kinds`, and the bytes that are to be stored.

    Raises as `clip` and `images_of` do.
    """
    still, moving = iter(pictures), iter(videos)
    frames: list[Any] = []
    found: list[Video] = []
    for kind in kinds:
        if kind == "image":
            frames.append(next(still))
            continue
        one = clip(next(moving), place)
        found.append(Video(start=len(frames), frames=len(one.frames), fps=one.fps))
        frames += one.frames
    images, stored = images_of(frames, place)
    return {"images": images, "videos": tuple(found)}, stored
