"""Image inputs of several prompts as one batch."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def merge_images(images: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Joined along the first dimension, in order.

    Families differ: a list of tiles (InternVL), of patches (Qwen-VL), or one padded block a prompt (LLaVA-NeXT,
    Idefics3); in the last case the other dimensions are zero-padded to the largest, as their processors do.
    """
    merged = {}
    for key in dict.fromkeys(key for one in images for key in one):
        parts = [one[key] for one in images if key in one]
        shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts))]
        merged[key] = torch.cat([_padded(part, shape) for part in parts])
    return merged


def distinct_images(
    images: Sequence[dict[str, Tensor]], keys: Sequence[Hashable | None]
) -> tuple[dict[str, Tensor], Tensor | None]:
    """`merge_images`, with images of the same key once, and which of their tiles stands at each place, (tiles,).

    Only where a tile is all there is: `pixel_values` (tiles, channels, height, width) and nothing beside it, so that
    the vision tower computes each tile by itself. The second item is None where every image is needed.
    """
    plain = all(list(one) == ["pixel_values"] and one["pixel_values"].dim() == 4 for one in images if one)
    pictured = [(key, one) for key, one in zip(keys, images, strict=True) if one]
    if not plain or len({key for key, _ in pictured if key is not None}) == len(pictured):
        return merge_images(images), None
    places: dict[Hashable, Tensor] = {}
    kept, tiles = [], []
    count = 0
    for number, (key, one) in enumerate(pictured):
        place = number if key is None else key
        if place not in places:
            size = len(one["pixel_values"])
            places[place] = torch.arange(count, count + size)
            kept.append(one)
            count += size
        tiles.append(places[place])
    merged = merge_images(kept)
    order = torch.cat(tiles) if tiles else torch.arange(0)
    return merged, order if len(order) > count else None


def _padded(part: Tensor, shape: list[int]) -> Tensor:
    if list(part.shape[1:]) == shape:
        return part
    padded = part.new_zeros(part.shape[0], *shape)
    padded[tuple(slice(0, size) for size in part.shape)] = part
    return padded
