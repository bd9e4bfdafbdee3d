import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet.tabular.columns._piecewise_linear import PiecewiseLinearEncoder


def paper(x: float, edges: NDArray[np.float64]) -> list[float]:
    """The paper's definition, case by case, for one number."""
    T = len(edges) - 1
    e = []
    for t in range(1, T + 1):
        if x < edges[t - 1] and t > 1:
            e.append(0.0)
        elif x >= edges[t] and t < T:
            e.append(1.0)
        else:
            e.append((x - edges[t - 1]) / (edges[t] - edges[t - 1]))
    return e


def test_it_is_the_papers_encoding_within_reach() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    encoder = PiecewiseLinearEncoder.fit(x, n_bins=7, reach=100.0)
    (edges,) = encoder.edges
    np.testing.assert_allclose(edges, [np.percentile(x, 100 * i / 7) for i in range(8)])
    new = np.concatenate([rng.normal(scale=2, size=(50, 1)), edges[:, None]])
    expected = [paper(value, edges) for value in new[:, 0]]
    np.testing.assert_allclose(encoder.encode(new), expected, rtol=1e-5, atol=1e-6)


def test_outer_bins_go_on_by_no_more_than_their_reach() -> None:
    encoder = PiecewiseLinearEncoder.fit(np.array([[0.0], [1.0], [2.0]]), reach=0.5)
    assert encoder.encode(np.array([[-1e308], [1e308], [-0.25]])).tolist() == [[-0.5, 0], [1, 1.5], [-0.25, 0]]


def test_huge_numbers_stay_finite() -> None:
    big = 1e300
    encoder = PiecewiseLinearEncoder.fit(np.array([[-big], [0.0], [big]]))
    assert encoder.encode(np.array([[big], [-big / 2]])).tolist() == [[1, 1], [0.5, 0]]


def test_few_distinct_values_are_their_own_edges_and_two_have_no_bins() -> None:
    X = np.array([[0, 0, 5, 1.0], [1, 0, 5, 2.0], [1, 1, 5, 4.0], [0, 1, 5, 2.0]])
    encoder = PiecewiseLinearEncoder.fit(X, n_bins=2)
    assert encoder.widths == [0, 0, 0, 2]
    assert encoder.encode(X).shape == (4, 2)
    assert encoder.edges[3].tolist() == [1, 2, 4]


def test_ties_merge_quantiles() -> None:
    x = np.concatenate([np.zeros(80), np.linspace(1, 2, 20)])[:, None]
    encoder = PiecewiseLinearEncoder.fit(x, n_bins=10)
    (edges,) = encoder.edges
    assert 3 <= len(edges) < 10
    assert (np.diff(edges) > 0).all()


def test_missing_values_are_encoded_as_the_median_and_not_learnt_from() -> None:
    X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    gaps = np.concatenate([X, np.full((20, 1), np.nan)])
    encoder = PiecewiseLinearEncoder.fit(gaps)
    np.testing.assert_array_equal(encoder.edges[0], PiecewiseLinearEncoder.fit(X).edges[0])
    np.testing.assert_array_equal(encoder.encode(np.array([[np.nan]])), encoder.encode(np.array([[2.0]])))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_bins": 1}, "`n_bins` must be >= 2, got 1"), ({"reach": -1.0}, r"`reach` must be >= 0, got -1\.0")],
)
def test_settings_are_checked(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PiecewiseLinearEncoder.fit(np.array([[0.0], [1.0]]), **settings)


def test_a_column_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="without a single value"):
        PiecewiseLinearEncoder.fit(np.array([[np.nan], [np.nan]]))


def test_infinity_goes_no_further_than_the_reach() -> None:
    encoder = PiecewiseLinearEncoder.fit(np.array([[0.0], [1.0], [2.0]]))
    assert encoder.encode(np.array([[np.inf], [-np.inf]])).tolist() == [[1, 2], [-1, 0]]
