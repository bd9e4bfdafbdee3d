"""Groups of one weight against loops over rows, columns and blocks of columns."""

import pytest
import torch

from thinnet.penalties._grouping import Grouping

W = torch.arange(24.0, dtype=torch.float64).reshape(2, 3, 4)


def test_rows_and_columns_with_their_kernels() -> None:
    view, rows = Grouping.of(W, "outputs", None, 0)
    assert rows.sum(view).flatten().tolist() == W.sum((1, 2)).tolist()
    view, columns = Grouping.of(W, "inputs", None, 0)
    assert columns.sum(view).flatten().tolist() == W.sum((0, 2)).tolist()
    assert columns.scaled(3.0, view) == pytest.approx(3 * 8**0.5)


def test_behind_a_stack_each_member_has_its_own_groups() -> None:
    view, columns = Grouping.of(W, "inputs", None, 1)
    torch.testing.assert_close(columns.sum(view).flatten(1), W.sum(1))


def test_blocks_of_columns() -> None:
    view, blocks = Grouping.of(W, "inputs", [1, -1, 0], 0)
    assert blocks.sum(view).flatten().tolist() == [float(W[:, 2].sum()), float(W[:, 0].sum())]
    each = blocks.each(torch.tensor([5.0, 6.0]).reshape(1, 2, 1), otherwise=9.0)
    assert each.flatten().tolist() == [6.0, 9.0, 5.0]
    assert (each + view).shape == view.shape
    torch.testing.assert_close(blocks.scaled(2.0, view).flatten(), torch.full((2,), 2 * 8**0.5, dtype=torch.float64))


def test_blocks_are_of_inputs_and_as_many() -> None:
    with pytest.raises(ValueError, match='`blocks` are groups of inputs: they need by="inputs"'):
        Grouping.of(W, "outputs", [0, 0, 1], 0)
    with pytest.raises(ValueError, match=r"`blocks` has 2 numbers, one for each input, but a weight of shape"):
        Grouping.of(W, "inputs", [0, 0], 0)
