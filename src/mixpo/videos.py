"""Videos as frames: read once from a file, shown to a model with the times at which they are seen.

A record names the frames among its images (`mixpo.records.Video`), so that sampling, training and evaluation see the
same ones. Files are read by PyAV; animated GIF, WebP and PNG by Pillow alone.
"""

import io
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixpo.errors import DataError, ImageError, MissingExtra
from mixpo.images import BROKEN, MAX_PIXELS, MAX_SHOWN, ImageRoots, check_size, rgb
from mixpo.records import Video

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 4_000_000_000
"""A video's file above this is not read."""
MAX_ANIMATED, MAX_FILMED = 20_000_000_000, 2_000_000_000_000
"""Pixels of all frames of an animated picture (10,000 of full HD), and of a film (nine hours): more are not decoded."""
LEAST_FRAME = 400_000
"""Pixels that the smallest frame counts for: reading one takes time of its own."""
LEAST = 2
"""Frames of a video that is shorter than a frame's time: models look at two at once (Qwen-VL)."""
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf"
"""Files that hold their pictures themselves: FFmpeg's other formats are lists of further files and addresses."""
EXACT = ("mov", "matroska")
"""Of these, those that say how long they are; the others' length is guessed from their size."""


@dataclass(frozen=True, kw_only=True)
class FramesConfig:
    """Which frames of a video are looked at; a part of `mixpo.model_inputs.ImagesConfig`."""

    fps: float = 2.0
    """Frames a second that are taken of a video."""
    max_frames: int = 32
    """Most frames of one video: of a longer one fewer a second are taken."""

    def __post_init__(self) -> None:
        if not 0 < self.fps < float("inf") or self.max_frames < 1:
            raise ValueError(f"fps must be above 0 and max_frames at least 1, not {self.fps} and {self.max_frames}")

    def times(self, seconds: float) -> tuple[list[float], float]:
        """When frames of a video of so many seconds are taken, evenly from 0, and how many a second these are."""
        wanted = int(seconds * self.fps + 1e-6)
        number = min(max(LEAST, wanted), self.max_frames)
        fps = self.fps if number == wanted or not seconds else float(f"{number / seconds:.6g}")
        return [place / fps for place in range(number)], fps


@dataclass(frozen=True, slots=True)
class Frames:
    """A video as a model is shown it: RGB images of one size."""

    images: tuple["Image", ...]
    fps: float
    """Frames a second; the first is at 0 seconds."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What transformers' video processors ask of frames that were chosen already."""
        number = len(self.images)
        width, height = self.images[0].size
        return {
            "total_num_frames": number, "frames_indices": list(range(number)), "fps": self.fps,
            "duration": number / self.fps, "width": width, "height": height,
        }  # fmt: skip


def opened(images: Sequence[str], videos: Sequence[Video], roots: ImageRoots) -> list[Any]:
    """What a record shows, in order, one for each place in its text: Pillow images, and `Frames` of its videos.

    Raises ImageError for one that cannot be opened safely, and for too many pixels in all (`MAX_SHOWN`).
    """
    pictures: list[Any] = []
    for image in images:
        pictures.append(roots.open(image))
        _check_all(pictures, f"{len(images):,} images")
    for video in reversed(videos):
        end = video.start + video.frames
        frames = tuple(pictures[video.start : end])
        if len(frames) < max(1, video.frames) or len({frame.size for frame in frames}) > 1:
            sizes = ", ".join(sorted({f"{frame.width} x {frame.height}" for frame in frames})) or "none"
            raise ImageError(f"a video of {video.frames} frames must have that many, of one size, not {sizes}")
        pictures[video.start : end] = [Frames(frames, video.fps)]
    return pictures


def pixels(shown: Iterable[Any]) -> int:
    """Pixels of all pictures and frames together."""
    each = (image for one in shown for image in (one.images if isinstance(one, Frames) else (one,)))
    return sum(image.width * image.height for image in each)


def places(images: int, videos: Sequence[Video]) -> tuple[int, tuple[int, ...]]:
    """How many places a text has for what a record with so many images shows, and which of them are its videos'.

    Raises DataError for videos that have more frames than there are images.
    """
    if any(video.start + video.frames > images for video in videos):
        raise DataError(f"the frames of its videos are not among its {images} images")
    before = list(itertools.accumulate((video.frames for video in videos), initial=0))
    numbers = tuple(video.start - before[number] + number for number, video in enumerate(videos))
    return images - before[-1] + len(videos), numbers


def videos_among(shown: Sequence[Any]) -> tuple[int, ...]:
    """Which of the things shown are videos, by their numbers."""
    return tuple(number for number, one in enumerate(shown) if isinstance(one, Frames))


def glimpses(images: Sequence[str], videos: Sequence[Video]) -> list[tuple[str, int]]:
    """What people are shown: a record's pictures, and of each video its first frame with the number of its frames (0
    for a picture)."""
    found = [(image, 0) for image in images]
    for video in reversed(videos):
        found[video.start : video.start + video.frames] = [(image, video.frames) for image in images[video.start :][:1]]
    return found


def frames_of(file: Path | bytes, name: str, config: FramesConfig) -> Frames:
    """The frames of a video's file, or of its bytes; `name` is what a message calls it.

    Raises ImageError for a file that is no video or is torn, MissingExtra without PyAV.
    """
    if isinstance(file, Path):
        try:
            if file.stat().st_size > MAX_BYTES:
                raise ImageError(f"{name}: the file is above the limit of {MAX_BYTES:,} bytes")
            with file.open("rb") as opened_file:
                start = opened_file.read(16)
        except OSError as error:
            raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
    else:
        start = file[:16]
    animated = start.startswith((b"GIF8", b"\x89PNG")) or start[8:12] == b"WEBP"
    try:
        return _animation(_source(file), config) if animated else _film(file, config)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except BROKEN as error:
        raise ImageError(f"{name}: no video that can be read ({error or type(error).__name__})") from error


def _source(file: Path | bytes) -> Any:
    return str(file) if isinstance(file, Path) else io.BytesIO(file)


def _animation(source: Any, config: FramesConfig) -> Frames:
    """Of an animated picture, by Pillow."""
    from PIL import Image, ImageSequence

    with Image.open(source, formats=["GIF", "WEBP", "PNG"]) as file:
        durations: list[float] = []
        for frame in ImageSequence.Iterator(file):
            check_size(*frame.size, "a frame")  # of a GIF it may grow
            if len(durations) == _most(frame.size, MAX_ANIMATED):
                raise ImageError(f"has more than {len(durations):,} frames of {frame.width} x {frame.height} pixels")
            frame.load()  # WebP says how long a frame is shown when it is read
            durations.append(frame.info.get("duration", 0) / 1000 or 0.1)  # browsers show a frame of no time so long
        if len(durations) < 2:
            raise ImageError("is a single picture, not a video")
        begins = itertools.accumulate(durations[:-1], initial=0.0)
        shown = zip(begins, (frame.copy() for frame in ImageSequence.Iterator(file)))
        return _taken(shown, sum(durations), config)


def _film(file: Path | bytes, config: FramesConfig) -> Frames:
    """Of a video's file, by PyAV."""
    try:
        import av
    except ImportError as error:
        raise MissingExtra("av", "video") from error

    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        # Read twice, since no header need say how long it is: packets alone, then the frames up to the last wanted one.
        with av.open(_source(file), options=options) as found:
            first, end = _span(found)
        with av.open(_source(file), options=options) as found:
            # What the frames themselves say of their size, not the file's header.
            found.streams.video[0].codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            frames = (frame for frame in found.decode(video=0) if frame.pts is not None)
            shown = ((float(frame.pts * frame.time_base) - first, frame) for frame in frames)
            return _taken(shown, end - first, config, upright)
    except av.FFmpegError as error:
        raise ImageError(f"no video that can be read ({error.strerror})") from error


def _span(file: Any) -> tuple[float, float]:
    """When the first frame is shown, and when the last one's time is over, in seconds."""
    if not file.streams.video:
        raise ImageError("has no video in it")
    stream = file.streams.video[0]
    size = stream.codec_context.width, stream.codec_context.height
    check_size(*size, "a frame")
    most = _most(size, MAX_FILMED)
    usual = 1 / float(stream.average_rate) if stream.average_rate else 0.0
    shown: list[tuple[float, float]] = []
    there = 0.0
    for number, packet in enumerate(file.demux()):
        if max(len(shown), number // 4) == most:  # there may be sound between
            raise ImageError(f"has more than {most:,} frames of {size[0]} x {size[1]} pixels")
        begin = packet.pts if packet.pts is not None else packet.dts
        if begin is None:
            continue
        base = float(packet.time_base)
        end = begin * base + (packet.duration * base if packet.duration else usual)
        there = max(there, end)
        if packet.stream.index == stream.index and not packet.is_discard:  # a cut file has what came before the cut
            shown.append((begin * base, end))
    if not shown:
        raise ImageError("has no frames")
    said = (file.duration or 0) / 1e6 if file.format.name.startswith(EXACT) else 0.0
    if there + max(1.0, said / 20) < said:
        raise ImageError(f"is torn: it ends after {there:.1f} of {said:.1f} seconds")
    return min(begin for begin, _ in shown), max(end for _, end in shown)


def upright(frame: Any) -> "Image":
    """A frame of PyAV as an RGB image, turned as its file says."""
    image = frame.to_image()
    turn = getattr(frame, "rotation", 0)
    return image.rotate(turn, expand=True) if turn else image


def _taken(
    shown: Iterable[tuple[float, Any]], seconds: float, config: FramesConfig, image: Callable[[Any], "Image"] = rgb
) -> Frames:
    """Of frames with the times from which they are shown, the `image` of those seen at the times that are wanted."""
    times, fps = config.times(seconds)
    taken: list[Image] = []
    for (_, frame), (end, _) in itertools.pairwise(itertools.chain(shown, [(float("inf"), None)])):
        seen = sum(time < end - 1e-6 for time in times) - len(taken)
        if seen > 0:
            check_size(frame.width, frame.height, "a frame")
            taken += [image(frame)] * seen
            _check_all(taken, f"{len(times):,} frames")
        if len(taken) == len(times):
            break
    if not taken:
        raise ImageError("has no frames")
    return Frames(tuple(taken), fps)


def _most(size: tuple[int, int], pixels: int) -> int:
    """Most frames of a size that have no more pixels together."""
    return pixels // max(size[0] * size[1], LEAST_FRAME)


def _check_all(pictures: Sequence["Image"], what: str) -> None:
    """Raises ImageError where pictures have more pixels together than a record may show."""
    if pixels(pictures) > MAX_SHOWN:
        raise ImageError(f"{what} have more than {MAX_SHOWN:,} pixels together; take fewer, or smaller ones")
