import torch

from mixpo.batches.pixels import merge_images


def test_image_inputs_of_other_sizes_are_zero_padded():
    merged = merge_images([{"x": torch.ones(1, 1, 2)}, {}, {"x": torch.full((1, 2, 1), 2.0), "y": torch.tensor([[5]])}])
    assert merged["x"].tolist() == [[[1, 1], [0, 0]], [[2, 0], [2, 0]]]
    assert merged["y"].tolist() == [[5]]
