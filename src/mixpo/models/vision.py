"""The vision tower sees each distinct image of a batch once, nobody waits to learn where images belong, and an image
may be a single token."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from mixpo.models.upload import upload

PLACES = "get_placeholder_mask"
MERGING_PROJECTOR = "multi_modal_projector"


def take_single_tokens(model: Any) -> None:
    """Has a transformers model take a batch whose images are one token in all: Mistral 3 on one picture of 28 pixels.

    It squeezes the first dimension of what its projector makes of all images, (tokens, width), which is no dimension of
    images and goes away when it is 1 (transformers 5.23, `Mistral3Model.get_image_features`).
    """
    for module in model.modules():
        merges = hasattr(getattr(module, MERGING_PROJECTOR, None), "patch_merger")
        if merges and _keep_tokens not in getattr(module, MERGING_PROJECTOR)._forward_hooks.values():
            getattr(module, MERGING_PROJECTOR).register_forward_hook(_keep_tokens)


def _keep_tokens(_projector: Any, _inputs: Any, output: Tensor) -> Tensor:
    return output[None] if output.dim() == 2 and len(output) == 1 else output


@contextmanager
def each_image_once(model: Any, tiles: Tensor | None, count: int) -> Iterator[None]:
    """Within it, the tower's outputs for the `count` distinct tiles are repeated as `tiles` (`Batch.tiles`) says.

    `model` is a transformers model; everything after its tower (projector, language model) is computed as ever.
    """
    if tiles is None:
        yield
        return

    def repeated(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[tiles] if len(value) == count else value
        return tuple(repeated(item) for item in value) if isinstance(value, tuple) else value

    def hook(_tower: Any, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return repeated(output)
        return type(output)(**{key: repeated(value) for key, value in output.items()})

    handle = model.get_encoder(modality="image").register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def placed_on_host(model: Any, ids: Tensor | None) -> Iterator[None]:
    """Within it, the model looks for the places of its images in `ids`, the row as it is on the host.

    Models compare the number of image tokens with that of the tower's outputs before the language model begins: on a
    GPU the host would wait for all that came before. Without `ids` all is as ever.
    """
    owners = [module for module in model.modules() if hasattr(type(module), PLACES)] if ids is not None else []

    def on_host(places: Any, *given: Any, **named: Any) -> Any:
        device = next(value.device for value in (*given, *named.values()) if isinstance(value, Tensor))

        def here(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return torch.empty((), dtype=value.dtype).expand(value.shape) if value.is_floating_point() else ids

        found = places(*map(here, given), **{name: here(value) for name, value in named.items()})
        return tree_map_only(Tensor, lambda mask: upload(mask, device), found)

    for owner in owners:
        setattr(owner, PLACES, partial(on_host, getattr(owner, PLACES)))
    try:
        yield
    finally:
        for owner in owners:
            delattr(owner, PLACES)
