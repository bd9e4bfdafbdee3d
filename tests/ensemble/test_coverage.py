import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

import thinnet as tn


def coverage(*args: object, **settings: object) -> tn.Coverage:
    found = tn.calibration(*args, **settings)  # type: ignore[arg-type]
    assert isinstance(found, tn.Coverage)
    return found


LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def gaussian(n: int, spread: float, samples: int = 60) -> tuple[tn.Predictions, torch.Tensor]:
    """Networks about the truth, and targets with noise of deviation 1 about one of them."""
    g = torch.Generator().manual_seed(3)
    truth = torch.randn(n, generator=g, dtype=torch.float64)
    f = truth + spread * torch.randn(samples + 1, n, generator=g, dtype=torch.float64)
    return tn.Predictions(f[1:]), f[0] + torch.randn(n, generator=g, dtype=torch.float64)


def test_calibrated_intervals_hold_what_they_say() -> None:
    pred, y = gaussian(20_000, spread=0.5)
    found = coverage(pred, y, noise_std=1.0)
    assert found.levels == LEVELS
    for level, held in zip(LEVELS, found.coverage, strict=True):
        assert abs(held - level) < 5 * math.sqrt(level * (1 - level) / 20_000) + 0.002
    assert found.sharpness == pytest.approx(math.sqrt(1.25), rel=0.01)
    assert found.rmse == pytest.approx(math.sqrt(1.25), rel=0.03)
    assert found.nll == pytest.approx(-norm.logpdf(0, scale=math.sqrt(1.25)) + 0.5, rel=0.02)


def test_intervals_that_are_too_narrow_hold_less() -> None:
    pred, y = gaussian(5000, spread=0.5)
    found = [coverage(pred, y, noise_std=s) for s in (0.3, 1.0, 3.0)]
    assert found[0].coverage[2] < 0.75 < 0.88 < found[1].coverage[2] < 0.92 < 0.99 < found[2].coverage[2]
    assert found[1].error < min(found[0].error, found[2].error)
    assert found[1].nll < min(found[0].nll, found[2].nll)
    assert found[0].sharpness < found[1].sharpness < found[2].sharpness


def test_intervals_by_their_ends() -> None:
    """The quantiles of the mixture, found by bisection, hold the same targets."""
    pred, y = gaussian(200, spread=1.0, samples=9)
    samples = pred.samples.numpy()
    found = coverage(pred, y, noise_std=0.6, levels=(0.3, 0.8))
    for level, held in zip((0.3, 0.8), found.coverage, strict=True):
        inside = 0
        for b in range(200):
            ends = []
            for q in ((1 - level) / 2, (1 + level) / 2):
                low, high = -20.0, 20.0
                for _ in range(80):
                    middle = (low + high) / 2
                    below = norm.cdf(middle, loc=samples[:, b], scale=0.6).mean() < q
                    low, high = (middle, high) if below else (low, middle)
                ends.append(low)
            inside += ends[0] <= y[b].item() <= ends[1]
        assert held == pytest.approx(inside / 200, abs=1e-9)


def test_the_integral_transform_is_the_distribution_function() -> None:
    pred, y = gaussian(50, spread=1.0, samples=7)
    noise_std = 0.5 + torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = coverage(pred, y, noise_std=noise_std)
    expected = norm.cdf(y.numpy(), loc=pred.samples.numpy(), scale=noise_std.numpy()).mean(0)
    np.testing.assert_allclose(found.pit.numpy(), expected, atol=1e-12)
    assert found.nll == pytest.approx(-pred.log_likelihood(y, noise_std=noise_std).mean().item())
    variance = pred.samples.var(0, correction=0) + noise_std**2
    assert found.sharpness == pytest.approx(variance.mean().sqrt().item())


def test_samples_alone_may_be_the_prediction() -> None:
    pred = tn.Predictions(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    found = coverage(pred, [1.5, 3.0], noise_std=0.0, levels=(0.5, 0.8))
    assert found.pit.tolist() == [0.5, 0.875]
    assert found.coverage == (0.5, 1.0)
    assert found.nll == math.inf


def test_targets_may_lack_the_last_dimension_of_one() -> None:
    pred, y = gaussian(50, spread=1.0)
    assert coverage(tn.Predictions(pred.samples[..., None]), y, noise_std=1.0) == coverage(pred, y, noise_std=1.0)


def test_a_coverage_plot_shows_the_levels() -> None:
    pred, y = gaussian(500, spread=1.0)
    found = coverage(pred, y, noise_std=1.0)
    _, curve, marks = found.figure().data
    assert list(marks.x) == list(found.levels) and list(marks.y) == list(found.coverage)
    assert all(curve.y[round(100 * q)] == c for q, c in zip(found.levels, found.coverage, strict=True))
    assert list(curve.y) == sorted(curve.y) and curve.y[100] == 1


def test_it_prints() -> None:
    pred, y = gaussian(50, spread=1.0)
    assert "inside intervals  50%: " in str(coverage(pred, y, noise_std=1.0))
