import pytest
import torch
from torch import Tensor

from thinnet._random import apply_mask
from thinnet._random._apply_mask import scale_kept

SCALE = 10 / 9


def uniform(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1).to(dtype)


@pytest.mark.parametrize("mask", [torch.bool, torch.uint8], ids=str)
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("shape", [(3, 1, 4), (1, 5, 1), (4,), ()], ids=str)
def test_it_scales_what_is_kept(shape: tuple[int, ...], inplace: bool, mask: torch.dtype) -> None:
    x = uniform(3, 5, 4)
    kept = uniform(*shape) > 1.5
    expected = torch.where(kept, x * SCALE, 0)
    given = x.clone()
    y = scale_kept(given, kept.to(mask), SCALE, inplace=inplace)
    torch.testing.assert_close(y, expected)
    assert (y is given) is inplace and torch.equal(given, x) is not inplace


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_rounding_is_no_bias(dtype: torch.dtype) -> None:
    """In bfloat16 10/9 is 0.16 % too small: multiplied by that, so would be every element."""
    x = uniform(1 << 16, 1, dtype=dtype)
    ratio = scale_kept(x, torch.ones(1, dtype=torch.bool), SCALE).double() / x.double()
    assert abs(float(ratio.mean()) - SCALE) < 5 * float(ratio.std()) / 256 + 1e-7


def test_a_small_mask_goes_with_a_large_input() -> None:
    x = uniform(64, 16, 8, 8)
    kept = uniform(64, 16, 1, 1) > 1.5
    torch.testing.assert_close(apply_mask(x, kept, 32768), torch.where(kept, 2 * x, 0))


def test_a_large_mask_that_is_not_contiguous() -> None:
    x, mask = torch.randn(700, 600, requires_grad=True), torch.rand(600, 700) < 0.5
    y = apply_mask(x, mask.T, 1 << 15)
    torch.testing.assert_close(y, x * mask.T * 2)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], mask.T * 2.0)
