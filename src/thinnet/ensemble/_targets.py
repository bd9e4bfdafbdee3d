"""Targets that predictions are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike
from torch import Tensor

if TYPE_CHECKING:
    from thinnet.ensemble._predictions import Predictions


def targets_of(pred: Predictions, y: Tensor | ArrayLike, who: str) -> Tensor:
    """The targets on the predictions' device: class numbers (B, ...), or numbers of the shape of the mean.

    Args:
        pred: the predictions.
        y: what came. A last dimension of 1 that only the predictions have is added.
        who: asks, for errors.

    Raises:
        ValueError: if they are of another shape, no classes, no events, or not finite.
    """
    y = torch.as_tensor(y, device=pred.samples.device)
    shape = pred.samples.shape[1:-1] if pred.probabilities == "classes" else pred.samples.shape[1:]
    if pred.probabilities != "classes" and (*y.shape, 1) == tuple(shape):
        y = y.unsqueeze(-1)
    if y.shape != shape:
        if pred.probabilities is None and y.shape == shape[:-1] and not y.is_floating_point():
            raise ValueError(
                f"{who}: `y` looks like classes, and the samples are not known to be probabilities; give "
                'activation="softmax" to mc_predict.'
            )
        raise ValueError(
            f"{who}: `y` must be of shape {tuple(shape)} for samples of shape {tuple(pred.samples.shape)}"
            f"{' of class probabilities' if pred.probabilities == 'classes' else ''}, got {tuple(y.shape)}."
        )
    if pred.probabilities == "classes":
        classes = pred.samples.shape[-1]
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(f"{who}: `y` must hold class numbers, got {y.dtype}; convert them with .long().")
        if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < classes:
            raise ValueError(
                f"{who}: `y` must hold class numbers in [0, {classes}), got {int(y.min())} to {int(y.max())}."
            )
        return y.long()
    if pred.probabilities == "independent":
        if not bool(((y == 0) | (y == 1)).all()):
            raise ValueError(f"{who}: `y` must be 0 or 1 for each event, got {y[(y != 0) & (y != 1)][0].item()}.")
    elif not bool(y.isfinite().all()):
        raise ValueError(f"{who}: `y` has NaN or infinity; leave rows without a target out.")
    return y.to(torch.promote_types(pred.samples.dtype, torch.float32))
