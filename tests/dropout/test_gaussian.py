import math

import pytest
import torch
from scipy.stats import kstest

import thinnet as tn


def layer(p: float) -> tn.GaussianDropout:
    return tn.GaussianDropout(p, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_factor_is_normal_with_the_variance_of_dropouts(p: float) -> None:
    x = torch.full((100_000,), -3.0, dtype=torch.float64)
    assert kstest((layer(p)(x) / x).numpy(), "norm", (1, math.sqrt(p / (1 - p)))).pvalue > 1e-6


def test_zeros_stay_and_nothing_else_becomes_zero() -> None:
    x = torch.tensor([0.0, 1.0]).repeat(500)
    assert torch.equal(layer(0.5)(x) == 0, x == 0)


def test_complex_numbers_keep_their_phase() -> None:
    x = torch.full((100,), 1 + 2j)
    ratio = layer(0.5)(x) / x
    torch.testing.assert_close(ratio.imag, torch.zeros(100), atol=1e-6, rtol=0)
    assert float(ratio.real.std()) > 0.5


def test_rate_one_is_refused() -> None:
    with pytest.raises(ValueError, match="GaussianDropout: `p` must be less than 1, got 1: its variance"):
        tn.GaussianDropout(1.0)
