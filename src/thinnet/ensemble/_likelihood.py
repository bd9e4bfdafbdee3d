"""Likelihoods of targets under mixtures of predictions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mixture_log_density(samples: Tensor, y: Tensor, noise_std: float | Tensor) -> Tensor:
    r"""Compute the log density of targets under the mixture of a normal distribution about each sample.

    $$\log \frac 1 S \sum_s \mathcal N(y \mid f_s, \sigma^2)
      = \operatorname{logsumexp}_s \Bigl(-\frac{(y - f_s)^2}{2 \sigma^2} - \log \sigma\Bigr) - \log S
      - \frac{\log 2\pi}{2}$$

    Args:
        samples: f, of shape (S, B, ...).
        y: of shape (B, ...).
        noise_std: σ > 0, of a shape that broadcasts to the samples.

    Returns:
        Of shape (B, ...).

    Example:
        >>> import math, torch
        >>> density = mixture_log_density(torch.tensor([[0.0], [0.0]]), torch.tensor([1.0]), 1.0).exp()
        >>> torch.testing.assert_close(density, torch.tensor([math.exp(-0.5) / math.sqrt(2 * math.pi)]))
    """
    sigma = noise_for(samples, noise_std, "log_likelihood").to(y.dtype)
    if not bool((sigma > 0).all()):
        raise ValueError(f"log_likelihood: `noise_std` must be > 0, got {float(sigma.min())}.")
    exponents = -0.5 * ((y - samples.to(y.dtype)) / sigma).square() - sigma.log()
    return exponents.logsumexp(0) - math.log(len(samples)) - 0.5 * math.log(2 * math.pi)


def noise_for(samples: Tensor, noise_std: float | Tensor, who: str) -> Tensor:
    """Check the standard deviations of the noise: >= 0, in a shape that broadcasts to the samples."""
    sigma = torch.as_tensor(noise_std, dtype=torch.float64, device=samples.device)
    if not bool((sigma >= 0).all()) or not bool(sigma.isfinite().all()):
        worst = sigma[~((sigma >= 0) & sigma.isfinite())].flatten()[0]
        raise ValueError(f"{who}: `noise_std` must be >= 0 and finite, got {float(worst)}.")
    fits = sigma.ndim <= samples.ndim
    for ours, theirs in zip(reversed(sigma.shape), reversed(samples.shape), strict=False):
        fits = fits and ours in (1, theirs)
    if not fits:
        raise ValueError(
            f"{who}: `noise_std` of shape {tuple(sigma.shape)} does not broadcast to samples of shape "
            f"{tuple(samples.shape)}."
        )
    return sigma


def mixture_log_probability(p: Tensor, y: Tensor, *, classes: bool) -> Tensor:
    r"""Compute the log of the mean probability of the targets: log (1/S) Σ_s p_s(y).

    Args:
        p: samples of probabilities, (S, B, ..., C) of classes or (S, B, ...) of events.
        y: class numbers (B, ...), or 0 and 1.
        classes: which of both.

    Returns:
        Of the shape of y; minus infinity where no sample gave it any probability.
    """
    mean = p.to(torch.promote_types(p.dtype, torch.float32)).mean(0)
    if classes:
        return mean.gather(-1, y.unsqueeze(-1)).squeeze(-1).clamp(0, 1).log()
    return torch.where(y == 1, mean, 1 - mean).clamp(0, 1).log()
