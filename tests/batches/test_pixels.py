import pytest
import torch

from mixpo.batches.pixels import distinct_images, merge_images


def test_image_inputs_of_other_sizes_are_zero_padded():
    merged = merge_images([{"x": torch.ones(1, 1, 2)}, {}, {"x": torch.full((1, 2, 1), 2.0), "y": torch.tensor([[5]])}])
    assert merged["x"].tolist() == [[[1, 1], [0, 0]], [[2, 0], [2, 0]]]
    assert merged["y"].tolist() == [[5]]


TILES = [{"pixel_values": torch.full((count, 1, 1, 1), float(value))} for value, count in ((1, 2), (2, 1), (1, 2))]


def test_the_same_picture_stands_once():
    merged, tiles = distinct_images([TILES[0], {}, *TILES[1:]], [b"a", b"a", b"b", b"a"])
    assert merged["pixel_values"].flatten().tolist() == [1, 1, 2]
    assert tiles.tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("keys", [[b"a", b"b", b"c"], [None, None, None], [b"a", b"b", None]])
def test_pictures_that_nothing_says_are_the_same_all_stand(keys):
    merged, tiles = distinct_images(TILES, keys)
    assert merged["pixel_values"].flatten().tolist() == [1, 1, 2, 1, 1]
    assert tiles is None


def test_pictures_that_a_processor_describes_by_more_than_tiles_all_stand():
    """Grids and sizes count patches of the whole list: a patch that stood once would belong to one grid alone."""
    images = [{**one, "grid": torch.tensor([[1]])} for one in TILES]
    merged, tiles = distinct_images(images, [b"a", b"b", b"a"])
    assert merged["pixel_values"].flatten().tolist() == [1, 1, 2, 1, 1]
    assert tiles is None
