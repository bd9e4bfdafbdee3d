import math

import pytest
import torch

from thinnet.constraints import MaxNorm


def test_golden_projection() -> None:
    w = torch.tensor([[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]])
    torch.testing.assert_close(MaxNorm(2.5).project(w), torch.tensor([[1.5, 2.0], [1.0, 2.0], [0.0, 0.0]]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_rows_inside_keep_every_bit(dtype: torch.dtype) -> None:
    w = torch.randn(200, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    limit = float(w.double().norm(dim=1).median())
    inside = w.double().norm(dim=1) <= limit * (1 - 1e-6)
    projected = MaxNorm(limit).project(w)
    assert torch.equal(projected[inside], w[inside])
    assert 50 < inside.sum() < 150


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000, 30_000])
def test_no_row_comes_out_above_the_limit(dtype: torch.dtype, size: int) -> None:
    """In exact arithmetic on the rounded weights, so also where a user asserts `norm <= limit`."""
    w = torch.randn(max(4, 20_000 // size), size, generator=torch.Generator().manual_seed(size)).to(dtype) + 0.5
    limit = 0.7 * float(w.double().norm(dim=1).min())
    projected = MaxNorm(limit).project(w).double()
    assert projected.norm(dim=1).max() <= limit
    assert projected.norm(dim=1).min() > limit * (1 - 4e-6)
    nearest = w.double() * (limit / w.double().norm(dim=1, keepdim=True))
    torch.testing.assert_close(projected, nearest, rtol=4e-6, atol=0)


def test_an_infinite_limit_has_no_effect() -> None:
    w = torch.tensor([[3.0, 4.0], [1e30, 1e30]])  # whose squares overflow
    assert torch.equal(MaxNorm(math.inf).project(w), w)


def test_each_member_has_its_own_limit() -> None:
    w = torch.tensor([[3.0, 4.0]]).expand(4, 1, 2)
    projected = MaxNorm(torch.tensor([0.0, 2.5, 5.0, math.inf])).project(w)
    torch.testing.assert_close(projected[:, 0, 0], torch.tensor([0.0, 1.5, 3.0, 3.0]))


def test_a_kernel_is_one_row() -> None:
    w = torch.ones(2, 3, 2, 2)
    w[1] *= 0.1
    projected = MaxNorm(1.0).project(w)
    torch.testing.assert_close(projected.flatten(1).norm(dim=1), torch.tensor([1.0, 0.1 * math.sqrt(12)]))


def test_it_couples_the_weights_of_an_output() -> None:
    assert MaxNorm(1.0).grouping == "outputs"


@pytest.mark.parametrize("limit", [-1.0, math.nan])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=r"^MaxNorm: `limit` must be >= 0, got (-1\.0|nan)\.$"):
        MaxNorm(limit)
