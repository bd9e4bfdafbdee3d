"""Coverage of central prediction intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from thinnet.ensemble._figure import OURS, figure_of
from thinnet.ensemble._likelihood import mixture_log_density, noise_for


@dataclass(frozen=True)
class Coverage:
    r"""Coverage, log likelihood and sharpness of predictive distributions of numbers; it prints as text.

    The predictive distribution of a target is the mixture of S normal distributions about the samples, with the
    standard deviation σ of the noise. Its central interval of level q holds y where |2 F(y) − 1| <= q, with F its
    distribution function.

    Attributes:
        count: targets.
        levels: q, the nominal levels of central intervals.
        coverage: the part of the targets inside, for each level.
        error: mean over the levels of |coverage − q|.
        nll: mean negative log likelihood, in nats; infinite without noise.
        rmse: root mean squared error of the mean.
        sharpness: root mean variance of the predictive distributions, noise and disagreement together: of two
            calibrated predictions, the smaller is the better one.
        pit: F(y) of each target, uniform on [0, 1] if calibrated.
    """

    count: int
    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    error: float
    nll: float
    rmse: float
    sharpness: float
    pit: Tensor = field(repr=False, compare=False)

    def figure(self) -> Any:
        """Plot the share of the targets inside of central intervals against the level.

        Returns:
            A plotly figure; `.show()` opens it, `.write_html("calibration.html")` keeps it.

        Raises:
            ModuleNotFoundError: without plotly, with the command that installs it.
        """
        figure = figure_of(
            f"mean coverage error {self.error:.3f}, negative log likelihood {self.nll:.3f}",
            "level of the interval",
            "targets inside",
        )
        grid = [k / 100 for k in range(101)]
        figure.add_scatter(
            x=grid,
            y=list(_coverage(self.pit, grid)),
            mode="lines",
            line={"color": OURS, "width": 2.5},
            name="observed",
            hovertemplate="level %{x:.2f} holds %{y:.3f}<extra></extra>",
        )
        figure.add_scatter(
            x=list(self.levels),
            y=list(self.coverage),
            mode="markers",
            marker={"color": OURS, "size": 9},
            showlegend=False,
            hovertemplate="level %{x:.2f} holds %{y:.3f}<extra></extra>",
        )
        return figure

    def __str__(self) -> str:
        intervals = "   ".join(f"{q:.0%}: {c:.1%}" for q, c in zip(self.levels, self.coverage, strict=True))
        return (
            f"{self.count} targets\n"
            f"inside intervals  {intervals}   (mean error {self.error:.4f})\n"
            f"negative log likelihood {self.nll:.4f}, RMSE {self.rmse:.4g}, sharpness {self.sharpness:.4g}"
        )


def coverage_of(samples: Tensor, y: Tensor, noise_std: float | Tensor, levels: Sequence[float]) -> Coverage:
    """Compute the coverage of samples (S, B, ...) for targets (B, ...), which are checked already."""
    samples, y = samples.detach().double(), y.detach().double()
    sigma = noise_for(samples, noise_std, "calibration").broadcast_to(samples.shape)
    error = y - samples
    # without noise a distribution function is made of steps: half of one at its place
    steps = 0.5 * (1 + error.sign())
    pit = torch.where(sigma > 0, torch.special.ndtr(error / sigma.clamp(min=1e-300)), steps).mean(0).flatten()
    silent = not bool((sigma > 0).all())
    variance = samples.var(0, correction=0) + sigma.square().mean(0)
    coverage = _coverage(pit, levels)
    return Coverage(
        count=y.numel(),
        levels=tuple(map(float, levels)),
        coverage=coverage,
        error=sum(abs(c - q) for c, q in zip(coverage, levels, strict=True)) / len(levels),
        nll=math.inf if silent else -float(mixture_log_density(samples, y, sigma).mean()),
        rmse=float((y - samples.mean(0)).square().mean().sqrt()),
        sharpness=float(variance.mean().sqrt()),
        pit=pit,
    )


def _coverage(pit: Tensor, levels: Sequence[float]) -> tuple[float, ...]:
    """Compute the share of the targets in central intervals of these levels."""
    depth = (2 * pit - 1).abs()
    # to rounding: a level that only just holds a target holds it
    return tuple(float((depth <= q + 1e-12).double().mean()) for q in levels)
