import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.preprocessing import RobustScaler

from thinnet.tabular.columns._robust_scaler import RobustSmoothScaler, smooth_clip


def fitted_and_encoded(X: NDArray[np.float64]) -> NDArray[np.float32]:
    return RobustSmoothScaler.fit(X).encode(X)


def test_it_is_scikit_learns_robust_scaler_then_the_clip() -> None:
    X = np.random.default_rng(0).standard_cauchy(size=(101, 3))
    z = RobustScaler().fit_transform(X)
    np.testing.assert_allclose(fitted_and_encoded(X), z / np.sqrt(1 + z * z / 9), rtol=1e-5, atol=1e-6)


def test_the_clip_is_the_identity_near_zero_and_bounded_far_out() -> None:
    z = np.array([0.0, 1e-4, 3.0, 1e300, -np.inf])
    np.testing.assert_allclose(smooth_clip(z), [0, 1e-4, 3 / np.sqrt(2), 3, -3], rtol=1e-8)


def test_half_the_range_stands_in_for_equal_quartiles() -> None:
    X = np.array([[0.0]] * 9 + [[4.0]])
    scaler = RobustSmoothScaler.fit(X)
    assert scaler.scale.tolist() == [2.0]


def test_a_constant_becomes_zero() -> None:
    assert fitted_and_encoded(np.array([[5.0], [5.0]])).tolist() == [[0.0], [0.0]]


def test_huge_numbers_stay_finite() -> None:
    big = 1e300
    z = fitted_and_encoded(np.array([[-big], [-big], [0.0], [big], [big]]))
    # quartiles ±big: z = ±1/2
    np.testing.assert_allclose(z[:, 0], [-0.49319696, -0.49319696, 0, 0.49319696, 0.49319696], rtol=1e-6)


def test_missing_values_stay_missing_and_are_not_learnt_from() -> None:
    X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    scaler = RobustSmoothScaler.fit(np.concatenate([X, np.full((20, 1), np.nan)]))
    assert (scaler.center.tolist(), scaler.scale.tolist()) == ([2.0], [2.0])
    assert np.isnan(scaler.encode(np.array([[np.nan]]))).all()


def test_a_column_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="without a single value"):
        RobustSmoothScaler.fit(np.array([[np.nan], [np.nan]]))
