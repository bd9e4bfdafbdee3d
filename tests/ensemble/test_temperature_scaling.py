import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import thinnet as tn
from thinnet.ensemble import sharpened, temperature

RNG = np.random.default_rng(0)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def drawn(p: torch.Tensor, seed: int = 5) -> torch.Tensor:
    return torch.multinomial(p, 1, generator=torch.Generator().manual_seed(seed))[:, 0]


@pytest.mark.parametrize("spoiled", [0.3, 0.7, 1.0, 2.5, 6.0])
def test_of_one_sample_it_is_guos(spoiled: float) -> None:
    logits = random(3000, 4)
    y = drawn(logits.softmax(-1))
    p = (logits * spoiled).softmax(-1)
    t = tn.Predictions(p[None], "classes").temperature(y)
    assert t == pytest.approx(temperature(p.numpy(), y.numpy()), rel=1e-4)
    assert t == pytest.approx(spoiled, rel=0.1)


@pytest.mark.parametrize("kind", ["classes", "independent"])
@pytest.mark.parametrize("sharper", [0.5, 2.0, 4.0])
def test_held_out_rows_are_predicted_better(kind: str, sharper: float) -> None:
    """Fitted on one half, tried on the other: a lower log loss and a lower calibration error."""
    logits = random(6000, 3)
    noisy = sharper * (logits + 0.3 * random(8, 6000, 3, seed=1))
    if kind == "classes":
        y, p = drawn(logits.softmax(-1)), noisy.softmax(-1)
    else:
        y, p = (
            (torch.rand(6000, 3, generator=torch.Generator().manual_seed(5)) < logits.sigmoid()).long(),
            noisy.sigmoid(),
        )
    fitted, tried = (tn.Predictions(part, kind) for part in p.chunk(2, 1))  # type: ignore[arg-type]
    y_fitted, y_tried = y.chunk(2)
    t = fitted.temperature(y_fitted)
    before, after = tn.calibration(tried, y_tried), tn.calibration(tried.tempered(t), y_tried)
    assert isinstance(before, tn.Reliability) and isinstance(after, tn.Reliability)
    assert (t > 1) == (sharper > 1)
    assert after.nll < before.nll - 0.01
    assert after.ece_equal_mass < 0.5 * before.ece_equal_mass
    assert after.miscalibration < before.miscalibration


def test_the_found_temperature_beats_all_others() -> None:
    p = (3 * random(5, 400, 3)).softmax(-1)
    y = drawn(p.mean(0) * 0.7 + 0.1)
    pred = tn.Predictions(p, "classes")
    t = pred.temperature(y)

    def loss(t: float) -> float:
        return -pred.tempered(t).log_likelihood(y).mean().item()

    assert all(loss(t) <= loss(other) + 1e-9 for other in np.geomspace(0.1, 10, 200))


@pytest.mark.parametrize(("right", "end"), [(True, 0.1), (False, 10.0)])
def test_it_ends_where_the_search_does(right: bool, end: float) -> None:
    pred = tn.Predictions(torch.tensor([[[0.6, 0.4]] * 3]), "classes")
    assert pred.temperature([0 if right else 1] * 3) == pytest.approx(end, rel=1e-4)


def test_tempered_is_softmax_of_divided_logits() -> None:
    logits = random(2, 7, 3)
    pred = tn.Predictions(logits.softmax(-1), "classes")
    for t in (0.5, 1.0, 3.0):
        torch.testing.assert_close(pred.tempered(t).samples, (logits / t).softmax(-1))
        events = tn.Predictions(logits.sigmoid(), "independent").tempered(t)
        torch.testing.assert_close(events.samples, (logits / t).sigmoid())
        assert events.probabilities == "independent"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_certainty_stays_finite(dtype: torch.dtype) -> None:
    p = torch.tensor([[[1.0, 0.0, 0.0]]], dtype=dtype)
    soft = tn.Predictions(p, "classes").tempered(10.0).samples
    assert soft.dtype == dtype and bool((soft > 0).all()) and float(soft.sum()) == pytest.approx(1, abs=1e-3)
    events = tn.Predictions(p[..., :2], "independent").tempered(10.0).samples
    assert bool(((events > 0) & (events < 1)).all())
    assert math.isfinite(tn.Predictions(p, "classes").temperature([2]))


def test_bad_arguments_are_named() -> None:
    pred = tn.Predictions(torch.ones(2, 3))
    for call in (lambda: pred.tempered(2.0), lambda: pred.temperature([1, 1, 1])):
        with pytest.raises(ValueError, match="not known to be probabilities; give `activation`"):
            call()
    for t in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="`t` must be > 0 and finite, got"):
            tn.Predictions(torch.ones(2, 3), "independent").tempered(t)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_finds_the_temperature_that_spoiled_the_probabilities(true: float) -> None:
    logits = torch.from_numpy(RNG.normal(size=(40_000, 3)) * 2)
    honest = torch.softmax(logits, 1).numpy()
    targets = np.array([RNG.choice(3, p=p) for p in honest])
    spoiled = torch.softmax(logits * true, 1).numpy()
    assert temperature(spoiled, targets) == pytest.approx(true, rel=0.05)


def test_sharpened_is_softmax_of_divided_logits() -> None:
    logits = RNG.normal(size=(2, 7, 3))
    t = np.array([0.5, 3.0])[:, None, None]
    p = torch.softmax(torch.from_numpy(logits), -1).numpy()
    assert_allclose(sharpened(p, t), torch.softmax(torch.from_numpy(logits / t), -1).numpy(), atol=1e-12)


def test_guos_temperature_beats_its_neighbours() -> None:
    p = RNG.dirichlet([1, 1, 1], size=500)
    y = np.array([RNG.choice(3, p=0.7 * row + 0.1) for row in p])
    best = temperature(p, y)

    def loss(t: float) -> float:
        return float(-np.log(sharpened(p, t)[np.arange(500), y]).mean())

    assert loss(best) <= min(loss(best * 1.05), loss(best / 1.05), loss(1.0))
