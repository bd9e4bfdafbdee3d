"""Labels along the dimensions of a tensor."""

import torch

from thinnet.compaction.analyze._axes import Axis, compressed


def test_labels_along_a_dimension() -> None:
    axis = Axis.along(1, torch.tensor([4, 5, 6]), 3)
    assert axis.labels.shape == (1, 3, 1)
    assert axis.dims == (1,)


def test_compressed_keeps_what_differs() -> None:
    full = torch.tensor([7, 8, 9])[None, :, None].expand(2, 3, 4)
    torch.testing.assert_close(compressed(full), torch.tensor([7, 8, 9]).reshape(1, 3, 1))
    torch.testing.assert_close(compressed(torch.full((2, 3), 5)), torch.tensor([[5]]))
    matrix = torch.arange(6).reshape(2, 3)
    torch.testing.assert_close(compressed(matrix), matrix)


def test_compressed_is_a_tensor_of_its_own() -> None:
    full = torch.arange(3)
    compressed(full).add_(1)
    assert full.tolist() == [0, 1, 2]


def test_moved_as_the_tensor_is() -> None:
    axis = Axis.along(1, torch.arange(1, 7), 2)
    split = axis.moved(torch.Size([5, 6]), lambda x: x.reshape(5, 2, 3))
    assert split.dims == (1, 2)
    torch.testing.assert_close(split.labels, torch.arange(1, 7).reshape(1, 2, 3))
    back = split.moved(torch.Size([5, 2, 3]), lambda x: x.flatten(1).flip(1))
    torch.testing.assert_close(back.labels, torch.arange(6, 0, -1).reshape(1, 6))
    turned = axis.moved(torch.Size([5, 6]), lambda x: x.T)
    assert turned.dims == (0,)


def test_moved_keeps_what_it_is() -> None:
    axis = Axis(torch.arange(1, 5).reshape(2, 2), balanced=True, alike=True)
    moved = axis.moved(torch.Size([2, 2]), lambda x: x.T)
    assert moved.balanced
    assert moved.alike
