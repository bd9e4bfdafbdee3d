import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

import thinnet as tn


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("noise_std", [0.3, torch.tensor(2.0), torch.tensor([0.5, 2.0])])
def test_densities_are_the_mixtures(noise_std: float | torch.Tensor) -> None:
    samples, y = random(7, 5, 2), random(5, 2, seed=1)
    ours = tn.Predictions(samples).log_likelihood(y, noise_std=noise_std)
    density = norm.pdf(y.numpy(), loc=samples.numpy(), scale=np.asarray(noise_std)).mean(0)
    torch.testing.assert_close(ours, torch.from_numpy(np.log(density)))


def test_each_row_and_each_sample_may_have_its_noise() -> None:
    samples, y = random(7, 5, 1), random(5, seed=1)
    for shape in ((5, 1), (7, 5, 1), (7, 1, 1)):
        noise_std = 0.5 + random(*shape, seed=2).abs()
        ours = tn.Predictions(samples).log_likelihood(y, noise_std=noise_std)
        density = norm.pdf(y[:, None].numpy(), loc=samples.numpy(), scale=noise_std.numpy()).mean(0)
        torch.testing.assert_close(ours, torch.from_numpy(np.log(density)))


def test_gal_and_ghahramanis_form_with_a_precision() -> None:
    samples, y, tau = random(9, 4, 1), random(4, seed=1), 3.0
    ours = tn.Predictions(samples).log_likelihood(y, noise_std=tau**-0.5)
    for b in range(4):
        terms = [-0.5 * tau * (y[b].item() - samples[s, b, 0].item()) ** 2 for s in range(9)]
        expected = math.log(sum(map(math.exp, terms))) - math.log(9) - 0.5 * math.log(2 * math.pi) + 0.5 * math.log(tau)
        assert ours[b, 0].item() == pytest.approx(expected)


def test_far_targets_underflow_nothing() -> None:
    far = tn.Predictions(torch.zeros(3, 1)).log_likelihood([1e4], noise_std=1.0)
    assert far.item() == pytest.approx(-0.5e8, rel=1e-6)


def test_a_distribution_integrates_to_one() -> None:
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    samples = random(6, 1).expand(6, len(grid))
    density = tn.Predictions(samples).log_likelihood(grid, noise_std=0.7).exp()
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1, abs=1e-9)


def test_probabilities_are_averaged_before_the_logarithm() -> None:
    p = random(6, 5, 3).softmax(-1)
    y = torch.tensor([0, 2, 1, 1, 0])
    ours = tn.Predictions(p, "classes").log_likelihood(y)
    expected = [math.log(sum(p[s, b, y[b]].item() for s in range(6)) / 6) for b in range(5)]
    assert ours.tolist() == pytest.approx(expected)
    events = tn.Predictions(p[..., 0], "independent")
    happened = torch.tensor([1, 0, 0, 1, 1])
    mean = [sum(p[s, b, 0].item() for s in range(6)) / 6 for b in range(5)]
    expected = [math.log(m if h else 1 - m) for m, h in zip(mean, happened.tolist(), strict=True)]
    assert events.log_likelihood(happened).tolist() == pytest.approx(expected)


def test_classes_at_each_place_of_a_row() -> None:
    p = random(4, 2, 3, 5).softmax(-1)
    y = torch.tensor([[0, 1, 2], [3, 4, 0]])
    ours = tn.Predictions(p, "classes").log_likelihood(y)
    assert ours.shape == (2, 3)
    assert ours[1, 1].item() == pytest.approx(math.log(p[:, 1, 1, 4].mean().item()))


def test_what_was_said_to_be_impossible_is_minus_infinity() -> None:
    pred = tn.Predictions(torch.tensor([[[1.0, 0.0]]]), "classes")
    assert pred.log_likelihood([1]).item() == -math.inf
    assert pred.log_likelihood([0]).item() == 0
    assert tn.Predictions(torch.tensor([[1.0]]), "independent").log_likelihood([0]).item() == -math.inf


@pytest.mark.parametrize(
    ("noise_std", "message"),
    [
        (None, "need `noise_std`, the standard deviation"),
        (0.0, "`noise_std` must be > 0, got 0.0"),
        (-1.0, "`noise_std` must be >= 0 and finite, got -1.0"),
        (math.nan, "`noise_std` must be >= 0 and finite, got nan"),
        (torch.ones(4), r"`noise_std` of shape \(4,\) does not broadcast to samples of shape \(2, 3, 1\)"),
        (torch.ones(2, 2, 3, 1), r"does not broadcast"),
    ],
)
def test_bad_noise_is_named(noise_std: float | torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tn.Predictions(torch.zeros(2, 3, 1)).log_likelihood(torch.zeros(3), noise_std=noise_std)


def test_probabilities_have_no_noise() -> None:
    with pytest.raises(ValueError, match="`noise_std` is for outputs that are no probabilities"):
        tn.Predictions(torch.ones(1, 2), "independent").log_likelihood([1, 1], noise_std=1.0)
