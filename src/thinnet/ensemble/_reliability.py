"""Reliability of predicted probabilities: calibration errors and the decomposition of the Brier score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thinnet.ensemble._figure import OURS, figure_of
from thinnet.ensemble._isotonic import isotonic

if TYPE_CHECKING:
    from thinnet.ensemble._predictions import Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Bin of predictions of about the same probability.

    Args:
        count: how many.
        predicted: their mean probability.
        observed: how often they were right.
    """

    count: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    r"""Calibration error, log loss and decomposed Brier score of probabilities; it prints as text.

    The Brier score is split exactly, without bins (Dimitriadis et al. 2021): with the best order-keeping recalibration
    of each class against the rest,

    brier = miscalibration − discrimination + uncertainty.

    Attributes:
        count: predictions judged.
        accuracy: part whose most probable class (or side of 1/2) was right.
        confidence: mean probability of the most probable class (of the event), the sharpness of the predictions.
        ece_equal_mass: Σ_b (n_b/n) |observed_b − predicted_b| over bins of equal counts; equal probabilities stay
            together. It is the steadier one.
        ece_equal_width: the same over bins of equal width, (0, 1/M], (1/M, 2/M], ..., as Guo et al. have it.
        nll: mean negative log likelihood, in nats.
        brier: mean over predictions of Σ_c (p_c − [y = c])², or of (p − y)² for events.
        miscalibration: what the best recalibration would take off the Brier score; 0 is calibrated.
        discrimination: what the recalibrated probabilities gain over always saying the base rates.
        uncertainty: the Brier score of the base rates.
        bins: those of equal mass.
    """

    count: int
    accuracy: float
    confidence: float
    ece_equal_mass: float
    ece_equal_width: float
    nll: float
    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    bins: tuple[Bin, ...] = field(repr=False)

    def figure(self) -> Any:
        """Plot a reliability diagram: observed frequency against predicted probability.

        Returns:
            A plotly figure; `.show()` opens it, `.write_html("calibration.html")` keeps it.

        Raises:
            ModuleNotFoundError: without plotly, with the command that installs it.
        """
        figure = figure_of(
            f"calibration error {self.ece_equal_mass:.3f}, log loss {self.nll:.3f}",
            "predicted probability",
            "observed frequency",
        )
        figure.add_scatter(
            x=[b.predicted for b in self.bins],
            y=[b.observed for b in self.bins],
            customdata=[b.count for b in self.bins],
            mode="lines+markers",
            line={"color": OURS, "width": 2.5},
            marker={"size": 8},
            name="observed",
            hovertemplate="said %{x:.3f}, was %{y:.3f}, %{customdata} predictions<extra></extra>",
        )
        return figure

    def __str__(self) -> str:
        return (
            f"{self.count} predictions, accuracy {self.accuracy:.4f}, mean confidence {self.confidence:.4f}\n"
            f"calibration error {self.ece_equal_mass:.4f} in bins of equal mass, {self.ece_equal_width:.4f} of equal "
            f"width\nlog loss {self.nll:.4f}\n"
            f"Brier score {self.brier:.4f} = miscalibration {self.miscalibration:.4f} - discrimination "
            f"{self.discrimination:.4f} + uncertainty {self.uncertainty:.4f}"
        )


def reliability(pred: Predictions, target: NDArray[np.generic], nll: float, bins: int) -> Reliability:
    """Compute the reliability of the mean of predictions; targets are checked already, flat like the predictions."""
    p = pred.mean.detach().double().cpu().numpy()
    if pred.probabilities == "classes":
        p = p.reshape(-1, p.shape[-1])
        happened = np.eye(p.shape[-1])[target]
        said, right = p.max(-1), (p.argmax(-1) == target).astype(np.float64)
        accuracy = right
    else:
        p, happened = p.reshape(-1, 1), target.reshape(-1, 1).astype(np.float64)
        said, right = p[:, 0], happened[:, 0]
        accuracy = (said >= 0.5) == right
    best = np.stack([isotonic(p[:, c], happened[:, c]) for c in range(p.shape[1])], 1)
    brier, calibrated, uncertainty = (
        float(np.square(q - happened).sum(1).mean()) for q in (p, best, happened.mean(0, keepdims=True))
    )
    table = _bins(said, right, _of_equal_mass(said, bins))
    return Reliability(
        count=len(said),
        accuracy=float(accuracy.mean()),
        confidence=float(said.mean()),
        ece_equal_mass=_error(table),
        ece_equal_width=_error(_bins(said, right, _of_equal_width(said, bins))),
        nll=nll,
        brier=brier,
        miscalibration=brier - calibrated,
        discrimination=uncertainty - calibrated,
        uncertainty=uncertainty,
        bins=table,
    )


def _of_equal_mass(said: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each prediction by its rank; of equals, by the first's."""
    ordered = np.sort(said)
    return np.searchsorted(ordered, said, side="left") * bins // len(said)


def _of_equal_width(said: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each prediction, closed above."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], said, side="left")


def _bins(said: Floats, right: Floats, which: NDArray[np.int64]) -> tuple[Bin, ...]:
    """The bins that are not empty."""
    counts, predicted, observed = (np.bincount(which, weights=w) for w in (np.ones_like(said), said, right))
    return tuple(
        Bin(int(n), float(a / n), float(b / n)) for n, a, b in zip(counts, predicted, observed, strict=True) if n
    )


def _error(table: tuple[Bin, ...]) -> float:
    """Expected calibration error."""
    total = sum(b.count for b in table)
    return sum(b.count / total * abs(b.observed - b.predicted) for b in table)
