import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from thinnet.ensemble import sharpened, temperature

RNG = np.random.default_rng(0)


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


def test_the_found_temperature_beats_its_neighbours() -> None:
    p = RNG.dirichlet([1, 1, 1], size=500)
    y = np.array([RNG.choice(3, p=0.7 * row + 0.1) for row in p])
    best = temperature(p, y)

    def loss(t: float) -> float:
        return float(-np.log(sharpened(p, t)[np.arange(500), y]).mean())

    assert loss(best) <= min(loss(best * 1.05), loss(best / 1.05), loss(1.0))
