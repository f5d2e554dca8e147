"""Limits on the size of pictures, put onto a checkpoint's own processor.

Processors have different words for it, and some have none:

| processor of | pixels | tiles |
| --- | --- | --- |
| Qwen2-VL, 2.5, 3, GLM-4V | `size.shortest_edge`, `size.longest_edge` | none |
| InternVL and others with GOT-OCR2's | the picture itself | `max_patches` |
| LLaVA-NeXT, LLaVA-OneVision | the picture itself | `image_grid_pinpoints` |
| Idefics3, SmolVLM | the picture itself | `size.longest_edge` |
| Mistral 3, LLaVA, Gemma 3 and all others | the picture itself | none |

"The picture itself": it is resized before the processor sees it (`Limits.fitted`), as it is for a server. Processors
that cut pictures into tiles enlarge small ones again; there `max_pixels` also bounds the tiles.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from mixpo.errors import UserError
from mixpo.model_inputs import AS_IS, ImagesConfig

ATTRIBUTE = "picture_limits"
"""Of a processor that `limit` has changed: its `Limits`."""
PINPOINTS = "image_grid_pinpoints"


@dataclass(frozen=True)
class Limits:
    """What is done about the size of pictures."""

    before: ImagesConfig = AS_IS.images
    """What is done to a picture before the processor sees it."""
    frames: ImagesConfig = AS_IS.images
    """The same of a frame of a video: processors have words of their own for a video as a whole."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was set on the image processor, as plain values."""


def limits_of(processor: Any) -> Limits:
    return getattr(processor, ATTRIBUTE, None) or Limits()


def limit(processor: Any, images: ImagesConfig) -> None:
    """Sets the processor's own limits, and notes what must be done to pictures before it.

    Raises UserError for `max_tiles` where pictures are not cut into a number of tiles that can be chosen; everything
    else is set then.
    """
    images = images.limits
    if images == AS_IS.images:
        return
    own = getattr(processor, "image_processor", None)
    if own is None:
        raise UserError(f"images: {type(processor).__name__} takes no pictures; leave it out for this model")
    tiles = _tiles(own, images)
    pixels = replace(images, max_tiles=None)
    if _counts_pixels(own):
        limits = Limits(frames=pixels, settings={"size": _areas(own, images)})
    else:
        limits = Limits(pixels, pixels, tiles or {})
    for name, value in limits.settings.items():
        size = getattr(own, name)
        setattr(own, name, type(size)(**value) if name == "size" else value)
    setattr(processor, ATTRIBUTE, limits)
    if images.max_tiles is not None and tiles is None:
        raise UserError(
            f"images.max_tiles: {type(own).__name__} does not cut pictures into tiles whose number can be chosen; "
            "leave it out for this model, or say max_pixels"
        )


def same_tiles(model: Any, processor: Any) -> None:
    """Tells a loaded model about its processor's tiles, where it has to know them (LLaVA-NeXT, LLaVA-OneVision)."""
    if PINPOINTS in (settings := limits_of(processor).settings):
        model.config.image_grid_pinpoints = settings[PINPOINTS]


def _counts_pixels(own: Any) -> bool:
    """Whether its `size` is an area (Qwen2-VL's kind), which other processors have as the length of a side."""
    size = getattr(own, "size", None) or {}
    return hasattr(own, "merge_size") and {"shortest_edge", "longest_edge"} <= set(dict(size))


def _areas(own: Any, images: ImagesConfig) -> dict[str, int]:
    size = dict(own.size)
    least, most = images.min_pixels or size["shortest_edge"], images.max_pixels or size["longest_edge"]
    # Where one of them is given, it is the checkpoint's other one that gives way.
    if images.max_pixels is None:
        most = max(least, most)
    return {"shortest_edge": min(least, most), "longest_edge": most}


def _tiles(own: Any, images: ImagesConfig) -> dict[str, Any] | None:
    """The settings for at most so many tiles; None for an image processor that has none."""
    if images.max_tiles is None and images.max_pixels is None:
        return {}
    if hasattr(own, "max_patches") and hasattr(own, "crop_to_patches"):
        side = math.sqrt(own.size["height"] * own.size["width"])
        most = _most(images, side, own.max_patches)
        return {"min_patches": min(own.min_patches, most), "max_patches": most}
    if hasattr(own, PINPOINTS):
        side = _side(own)
        most = _most(images, side, math.inf)
        within = [grid for grid in own.image_grid_pinpoints if (grid[0] // side) * (grid[1] // side) <= most]
        return {PINPOINTS: within or [[side, side]]}
    if hasattr(own, "max_image_size") and "longest_edge" in dict(own.size):
        side = own.max_image_size["longest_edge"]
        # As many along the longer side as there may be along both of a square picture.
        along = math.isqrt(_most(images, side, math.inf))
        return {"size": {"longest_edge": min(own.size["longest_edge"], along * side)}}
    return None


def _side(own: Any) -> int:
    """Pixels along a side of LLaVA-NeXT's tiles."""
    crop = dict(getattr(own, "crop_size", None) or {})
    size = dict(own.size)
    return crop.get("height") or size.get("height") or size["shortest_edge"]


def _most(images: ImagesConfig, side: float, usual: float) -> Any:
    """Tiles of `side` x `side`: those asked for, or `usual`, and no more than `max_pixels` has room for."""
    room = math.inf if images.max_pixels is None else max(1, images.max_pixels // int(side * side))
    return min(usual if images.max_tiles is None else images.max_tiles, room)
