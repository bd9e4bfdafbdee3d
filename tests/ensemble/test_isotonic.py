import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.isotonic import IsotonicRegression

from thinnet.ensemble._isotonic import isotonic

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 2, 10, 500])
@pytest.mark.parametrize("digits", [0, 1, 8])
@pytest.mark.parametrize("events", [True, False])
def test_it_is_scikit_learns(n: int, digits: int, events: bool) -> None:
    """With ties among the probabilities, and without."""
    p = RNG.uniform(size=n).round(digits)
    y = (RNG.uniform(size=n) < p).astype(float) if events else RNG.normal(size=n)
    expected = IsotonicRegression().fit(p, y).predict(p)
    assert_allclose(isotonic(p, y), expected, atol=1e-12)


def test_the_order_of_rows_does_not_matter() -> None:
    p, y = RNG.uniform(size=60).round(1), RNG.integers(2, size=60).astype(float)
    order = RNG.permutation(60)
    assert_allclose(isotonic(p, y)[order], isotonic(p[order], y[order]))
