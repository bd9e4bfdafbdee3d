"""Checks of the targets that predictions are compared with."""

from __future__ import annotations

from typing import Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor

Probabilities = Literal["classes", "independent"]
"""What samples are: distributions over the last dimension, or a probability of "yes" in each element."""


def targets_of(samples: Tensor, probabilities: Probabilities | None, y: Tensor | ArrayLike, who: str) -> Tensor:
    """Check targets against samples and put them on their device: class numbers (B, ...), or numbers like the mean.

    Args:
        samples: the predictions, (S, B, ...).
        probabilities: what the samples are; None is no probabilities.
        y: what came. A last dimension of 1 that only the predictions have is added.
        who: asks, for errors.

    Raises:
        ValueError: if they are of another shape, no classes, no events, or not finite.
    """
    y = torch.as_tensor(y, device=samples.device)
    shape = samples.shape[1:-1] if probabilities == "classes" else samples.shape[1:]
    if probabilities != "classes" and (*y.shape, 1) == tuple(shape):
        y = y.unsqueeze(-1)
    if y.shape != shape:
        if probabilities is None and y.shape == shape[:-1] and not y.is_floating_point():
            raise ValueError(
                f"{who}: `y` looks like classes, and the samples are not known to be probabilities; give "
                'activation="softmax" to mc_predict.'
            )
        raise ValueError(
            f"{who}: `y` must be of shape {tuple(shape)} for samples of shape {tuple(samples.shape)}"
            f"{' of class probabilities' if probabilities == 'classes' else ''}, got {tuple(y.shape)}."
        )
    if probabilities == "classes":
        classes = samples.shape[-1]
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(f"{who}: `y` must hold class numbers, got {y.dtype}; convert them with .long().")
        if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < classes:
            raise ValueError(
                f"{who}: `y` must hold class numbers in [0, {classes}), got {int(y.min())} to {int(y.max())}."
            )
        return y.long()
    if probabilities == "independent":
        if not bool(((y == 0) | (y == 1)).all()):
            raise ValueError(f"{who}: `y` must be 0 or 1 for each event, got {y[(y != 0) & (y != 1)][0].item()}.")
    elif not bool(y.isfinite().all()):
        raise ValueError(f"{who}: `y` has NaN or infinity; leave rows without a target out.")
    return y.to(torch.promote_types(samples.dtype, torch.float32))
