"""Calibration of predicted probabilities and predictive distributions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from thinnet.ensemble._check_targets import targets_of
from thinnet.ensemble._coverage import Coverage, coverage_of
from thinnet.ensemble._predictions import Predictions
from thinnet.ensemble._reliability import Reliability, reliability


def calibration(
    pred: Predictions | Tensor | ArrayLike,
    y: Tensor | ArrayLike,
    *,
    noise_std: float | Tensor | None = None,
    bins: int = 15,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
) -> Reliability | Coverage:
    r"""Measure calibration: a `Reliability` for probabilities, a `Coverage` for predictive distributions of numbers.

    Probabilities are judged by their mean over the samples, and give a `Reliability`; numbers are judged by their
    predictive distributions, and give a `Coverage`. Both have a `figure()`. `Predictions.temperature` and `tempered`
    repair probabilities that are too sure; a larger noise_std does it for numbers.

    Args:
        pred: predictions; or probabilities alone, of classes (B, ..., C) or of events (B, ...), told apart by the
            targets' dimensions.
        y: class numbers (B, ...), 0 and 1 for each event, or numbers.
        noise_std: σ >= 0 for numbers: the standard deviation of the targets about a network's output, in their unit, of
            a shape that broadcasts to the samples; 0 takes the samples alone for the prediction, which leaves out what
            no network can know.
        bins: M, of the calibration errors of probabilities.
        levels: of central intervals, in (0, 1), for numbers.

    Returns:
        A `Reliability` or a `Coverage`.

    Raises:
        ValueError: if the targets do not fit the predictions, there are none, noise_std is missing for numbers or given
            for probabilities, or a setting is out of its range.

    Example:
        Always 0.8, right in 6 of 10: 0.2 too sure. The Brier score is 0.2² more than that of saying 0.6, for each of
        two classes.

        >>> import torch, thinnet as tn
        >>> y = torch.tensor([0] * 6 + [1] * 4)
        >>> found = tn.calibration(torch.tensor([[0.8, 0.2]] * 10), y)
        >>> round(found.ece_equal_mass, 4), round(found.miscalibration, 4), round(found.uncertainty, 4)
        (0.2, 0.08, 0.48)

        One network, noise 1, targets one standard deviation away: inside of intervals above 68 %.

        >>> found = tn.calibration(tn.Predictions(torch.zeros(1, 4)), [1.0, -1.0, 1.0, -1.0], noise_std=1.0)
        >>> found.coverage, found.rmse, found.sharpness
        ((0.0, 1.0, 1.0, 1.0, 1.0), 1.0, 1.0)

    References:
        Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017. Nixon, Dusenberry, Zhang,
        Jerfel, Tran, "Measuring Calibration in Deep Learning", 2019 (bins of equal mass). Dimitriadis, Gneiting,
        Jordan, "Stable reliability diagrams for probabilistic classifiers", 2021 (the exact decomposition). Gneiting,
        Balabdaoui, Raftery, "Probabilistic forecasts, calibration and sharpness", 2007.
    """
    if not isinstance(pred, Predictions):
        pred = _of_probabilities(pred, y)
    if bins < 1:
        raise ValueError(f"calibration: `bins` must be >= 1, got {bins}.")
    if not levels or not all(0 < q < 1 for q in levels):
        raise ValueError(f"calibration: `levels` must be in (0, 1), and one at least, got {tuple(levels)}.")
    target = targets_of(pred.samples, pred.probabilities, y, "calibration")
    if not target.numel():
        raise ValueError("calibration: there are no targets.")
    if pred.probabilities is None:
        if noise_std is None:
            raise ValueError(
                "calibration: samples that are no probabilities need `noise_std`, the standard deviation of the "
                "targets about a network's output (0 takes the samples alone); for probabilities give `activation` to "
                "mc_predict."
            )
        return coverage_of(pred.samples, target, noise_std, levels)
    if noise_std is not None:
        raise ValueError("calibration: `noise_std` is for outputs that are no probabilities; leave it out.")
    nll = -float(pred.log_likelihood(target).double().mean())
    return reliability(pred, target.flatten().cpu().numpy(), nll, bins)


def _of_probabilities(p: Tensor | ArrayLike, y: Tensor | ArrayLike) -> Predictions:
    """One sample of the kind that the targets say."""
    samples = torch.as_tensor(p)[None]
    samples = samples if samples.is_floating_point() else samples.float()
    dimensions = torch.as_tensor(y).ndim
    return Predictions(samples, "classes" if samples.ndim - 1 == dimensions + 1 else "independent")
