import pytest
import torch

from thinnet._weight_groups import group_norms, group_view, roots


def test_groups_and_their_norms() -> None:
    w = torch.arange(2 * 3 * 4.0).reshape(2, 3, 2, 2)
    rows, inside = group_view(w, "outputs", 0)
    assert rows.shape == (2, 12)
    torch.testing.assert_close(group_norms(rows, inside).flatten(), w.flatten(1).norm(dim=1))
    columns, inside = group_view(w, "inputs", 0)
    torch.testing.assert_close(group_norms(columns, inside).flatten(), w.transpose(0, 1).flatten(1).norm(dim=1))
    members, inside = group_view(w, "outputs", 1)
    torch.testing.assert_close(group_norms(members, inside).squeeze(-1), w.flatten(2).norm(dim=2))
    assert group_view(torch.ones(5), "outputs", 0)[0].shape == (5, 1)
    with pytest.raises(ValueError, match=r"by outputs needs weights of at least 1 dimensions, got shape \(\)"):
        group_view(torch.tensor(1.0), "outputs", 0)


def test_the_slope_of_a_root_at_zero_is_zero() -> None:
    squares = torch.tensor([0.0, 4.0], requires_grad=True)
    (slope,) = torch.autograd.grad(roots(squares).sum(), squares)
    assert slope.tolist() == [0.0, 0.25]
    assert roots(torch.tensor([0.0, 4.0])).tolist() == [0.0, 2.0]
