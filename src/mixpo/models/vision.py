"""The vision tower sees each distinct image of a batch once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


@contextmanager
def each_image_once(model: Any, tiles: Tensor | None) -> Iterator[None]:
    """Within it, the tower's outputs for the distinct tiles are repeated as `tiles` (`Batch.tiles`) says.

    `model` is a transformers model; everything after its tower (projector, language model) is computed as ever.
    """
    if tiles is None:
        yield
        return
    count = int(tiles.max()) + 1

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
