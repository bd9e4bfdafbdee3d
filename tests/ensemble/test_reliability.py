import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

import thinnet as tn
from thinnet.ensemble import Bin

RNG = np.random.default_rng(0)


def of_classes(n: int = 700, classes: int = 4) -> tuple[tn.Predictions, np.ndarray]:
    p = RNG.dirichlet(np.full(classes, 0.7), size=(5, n))
    y = np.array([RNG.choice(classes, p=0.6 * row + 0.4 / classes) for row in p.mean(0)])
    return tn.Predictions(torch.from_numpy(p), "classes"), y


def of_events(n: int = 700) -> tuple[np.ndarray, np.ndarray]:
    p = RNG.uniform(size=n)
    return p, (RNG.uniform(size=n) < p**2).astype(int)


def reliability(*args: object, **settings: object) -> tn.Reliability:
    found = tn.calibration(*args, **settings)  # type: ignore[arg-type]
    assert isinstance(found, tn.Reliability)
    return found


def test_scores_of_classes_are_scikit_learns() -> None:
    pred, y = of_classes()
    found, p = reliability(pred, y), pred.mean.numpy()
    assert found.count == len(y)
    assert found.nll == pytest.approx(log_loss(y, p))
    assert found.brier == pytest.approx(sum(brier_score_loss(y == c, p[:, c]) for c in range(4)))
    assert found.accuracy == pytest.approx((p.argmax(1) == y).mean())
    assert found.confidence == pytest.approx(p.max(1).mean())


def test_scores_of_events_are_scikit_learns() -> None:
    p, y = of_events()
    found = reliability(p, y)
    assert found.nll == pytest.approx(log_loss(y, p))
    assert found.brier == pytest.approx(brier_score_loss(y, p))
    assert found.accuracy == pytest.approx(((p >= 0.5) == y).mean())
    assert found.confidence == pytest.approx(p.mean())


def error_by_hand(said: Sequence[float], right: Sequence[float], groups: Sequence[Sequence[int]]) -> float:
    total = 0.0
    for group in groups:
        if group:
            said_here = sum(said[i] for i in group) / len(group)
            right_here = sum(right[i] for i in group) / len(group)
            total += len(group) / len(said) * abs(said_here - right_here)
    return total


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("kind", ["classes", "events"])
def test_calibration_errors_by_hand(bins: int, kind: str) -> None:
    if kind == "classes":
        pred, y = of_classes()
        p = pred.mean.numpy()
        said, right = p.max(1).tolist(), (p.argmax(1) == y).astype(float).tolist()
        found = reliability(pred, y, bins=bins)
    else:
        p, y = of_events()
        said, right = p.tolist(), y.tolist()
        found = reliability(p, y, bins=bins)
    width = [[i for i, s in enumerate(said) if k / bins < s <= (k + 1) / bins] for k in range(bins)]
    assert found.ece_equal_width == pytest.approx(error_by_hand(said, right, width))
    order = sorted(range(len(said)), key=said.__getitem__)
    mass = [[i for rank, i in enumerate(order) if rank * bins // len(said) == k] for k in range(bins)]
    assert found.ece_equal_mass == pytest.approx(error_by_hand(said, right, mass))
    assert max(b.count for b in found.bins) - min(b.count for b in found.bins) <= 1


def test_bins_of_equal_width_are_those_of_scikit_learn() -> None:
    p, y = of_events()
    observed, said = calibration_curve(y, p, n_bins=15, strategy="uniform")
    counts = np.histogram(p, np.linspace(0, 1, 16))[0]
    expected = (counts / len(p) * np.abs(observed - said)).sum()
    assert reliability(p, y).ece_equal_width == pytest.approx(expected)


def test_bins_of_equal_mass_are_those_of_scikit_learn() -> None:
    p, y = of_events(750)
    observed, said = calibration_curve(y, p, n_bins=15, strategy="quantile")
    bins = reliability(p, y).bins
    np.testing.assert_allclose([b.observed for b in bins], observed, atol=0.03)
    np.testing.assert_allclose([b.predicted for b in bins], said, atol=0.01)


def test_equal_probabilities_are_in_one_bin() -> None:
    p = torch.tensor([0.2] * 50 + [0.7] * 50)
    y = torch.tensor([1, 0, 0, 0, 0] * 10 + [1, 1, 1, 0, 0] * 10)
    for rows in (torch.arange(100), torch.randperm(100, generator=torch.Generator().manual_seed(0))):
        bins = reliability(p[rows], y[rows]).bins
        assert [(b.count, round(b.predicted, 6), round(b.observed, 6)) for b in bins] == [
            (50, 0.2, 0.2),
            (50, 0.7, 0.6),
        ]


@pytest.mark.parametrize("kind", ["classes", "events"])
def test_the_brier_score_is_split_exactly(kind: str) -> None:
    pred, y = of_classes() if kind == "classes" else of_events()
    found = reliability(pred, y)
    assert found.brier == pytest.approx(found.miscalibration - found.discrimination + found.uncertainty, abs=1e-12)
    assert found.miscalibration > 0 and found.discrimination > 0
    shares = np.bincount(y) / len(y)
    expected = sum(q * (1 - q) for q in shares) if kind == "classes" else shares[1] * (1 - shares[1])
    assert found.uncertainty == pytest.approx(expected)


def test_base_rates_are_calibrated_and_discriminate_nothing() -> None:
    y = torch.tensor([0, 1, 1, 2] * 25)
    found = reliability(torch.tensor([[0.25, 0.5, 0.25]]).expand(100, -1), y)
    assert (found.miscalibration, found.discrimination) == (pytest.approx(0), pytest.approx(0))
    assert found.brier == pytest.approx(found.uncertainty)
    assert found.ece_equal_mass == found.ece_equal_width == pytest.approx(0)


def test_certainty_that_is_right_and_wrong() -> None:
    y = torch.tensor([0, 1, 0, 1])
    right, wrong = torch.eye(2)[y], torch.eye(2)[1 - y]
    perfect = reliability(right, y)
    assert (perfect.brier, perfect.ece_equal_mass, perfect.nll, perfect.accuracy) == (0, 0, 0, 1)
    assert perfect.discrimination == perfect.uncertainty
    failed = reliability(wrong, y)
    assert (failed.brier, failed.ece_equal_mass, failed.nll, failed.accuracy) == (2, 1, math.inf, 0)


def test_calibrated_probabilities_have_no_error_but_chance() -> None:
    n = 60_000
    p = RNG.uniform(size=n)
    y = (RNG.uniform(size=n) < p).astype(int)
    found = reliability(p, y)
    # each of 15 bins is off by its binomial deviation, of mean at most sqrt(2/π · 1/4 · 15/n)
    assert found.ece_equal_mass < 2 * math.sqrt(2 / math.pi / 4 * 15 / n)
    assert found.miscalibration < 0.002


def test_samples_are_judged_by_their_mean() -> None:
    pred, y = of_classes()
    assert reliability(pred, y) == reliability(pred.mean, y)


def test_places_of_a_row_are_predictions_each() -> None:
    pred, y = of_classes()
    square = tn.Predictions(pred.samples.reshape(5, 70, 10, 4), "classes")
    assert reliability(square, y.reshape(70, 10)) == reliability(pred, y)


def test_half_precision_is_judged() -> None:
    pred, y = of_classes()
    assert reliability(pred.mean.half(), y).brier == pytest.approx(reliability(pred, y).brier, abs=1e-3)


def test_a_reliability_diagram_shows_the_bins() -> None:
    found = reliability(*of_classes())
    calibrated, observed = found.figure().data
    assert list(calibrated.x) == list(calibrated.y) == [0, 1]
    assert [Bin(*bin_) for bin_ in zip(observed.customdata, observed.x, observed.y, strict=True)] == list(found.bins)


def test_it_prints() -> None:
    found = reliability(*of_classes())
    assert str(found).startswith("700 predictions, accuracy 0.")
    assert f"Brier score {found.brier:.4f} = miscalibration {found.miscalibration:.4f} - " in str(found)
