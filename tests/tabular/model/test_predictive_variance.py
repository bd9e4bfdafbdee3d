import numpy as np
import pytest

from thinnet.tabular.model._predictive_variance import PredictiveVariance


@pytest.mark.parametrize(("a", "b"), [(2.0, 0.5), (0.3, 0.05), (5.0, 1.0)])
@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_it_finds_the_variance_that_made_the_errors(a: float, b: float, unit: float) -> None:
    rng = np.random.default_rng(0)
    disagreement = rng.gamma(1.0, 1.0, 20_000) * unit**2
    errors = rng.normal(size=20_000) * np.sqrt(a * disagreement + b * unit**2)
    spread = PredictiveVariance.fit(errors, disagreement)
    assert spread.a == pytest.approx(a, rel=0.08)
    assert spread.b == pytest.approx(b * unit**2, rel=0.15)


def test_no_pair_on_a_grid_is_likelier() -> None:
    rng = np.random.default_rng(1)
    disagreement = rng.gamma(2.0, 0.2, 300)
    errors = rng.standard_t(4, 300) * np.sqrt(0.2 + disagreement)

    def cost(a: float, b: float) -> float:
        return sum(np.log(a * d + b) + e * e / (a * d + b) for e, d in zip(errors, disagreement, strict=True))

    spread = PredictiveVariance.fit(errors, disagreement)
    grid = [cost(a, b) for a in np.linspace(0, 5, 21) for b in np.linspace(0.02, 1.5, 21)]
    assert cost(spread.a, spread.b) <= min(grid) + 1e-6


def test_without_disagreement_it_is_the_mean_square() -> None:
    errors = np.array([3.0, -1.0, 0.5])
    spread = PredictiveVariance.fit(errors, np.zeros(3))
    assert spread == PredictiveVariance(0.0, float(np.mean([9.0, 1.0, 0.25])))
    np.testing.assert_allclose(spread.std(np.zeros(2)), np.sqrt(10.25 / 3))


def test_disagreement_that_says_nothing_about_errors_gets_little_weight() -> None:
    rng = np.random.default_rng(2)
    disagreement = rng.gamma(1.0, 1.0, 20_000)
    spread = PredictiveVariance.fit(rng.normal(size=20_000), disagreement)
    assert spread.a < 0.03
    assert spread.b == pytest.approx(1, rel=0.05)


def test_perfect_predictions_have_a_finite_spread() -> None:
    for disagreement in (np.zeros(4), np.ones(4)):
        std = PredictiveVariance.fit(np.zeros(4), disagreement).std(disagreement)
        assert (np.isfinite(std) & (std >= 0) & (std < 1e-4)).all()


def test_the_deviation_is_the_root_of_the_variance() -> None:
    np.testing.assert_allclose(PredictiveVariance(2.0, 1.0).std(np.array([0.0, 4.0])), [1.0, 3.0])
