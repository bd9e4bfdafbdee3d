"""Held-out losses, their mean and its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Evaluate = Callable[[nn.Module], Any]
"""The loss on data held out: `evaluate(model)`, a number, or one a fold or an example."""


@dataclass(frozen=True, eq=False)
class Losses:
    """Held-out losses, one a fold or an example, or a single one.

    Args:
        each: the losses, (n,), float64.
    """

    each: Tensor

    @classmethod
    def of(cls, value: Any) -> Losses:
        """Convert what `evaluate` returned.

        Raises:
            TypeError: it is neither a number nor a tensor or array of them.
            ValueError: it is empty or has more than one dimension.
        """
        try:
            each = torch.as_tensor(value, dtype=torch.float64, device="cpu").detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"path: `evaluate` must return a loss, or a tensor of one a fold or example, got {value!r}."
            ) from error
        if each.ndim > 1 or not each.numel():
            raise ValueError(
                f"path: `evaluate` must return a number or losses of shape (n,), got shape {tuple(each.shape)}."
            )
        return cls(each.reshape(-1).clone())

    @property
    def mean(self) -> float:
        """The mean."""
        return float(self.each.mean())

    @property
    def se(self) -> float:
        """The standard error of the mean, std / sqrt(n); NaN for a single loss."""
        n = len(self.each)
        return float(self.each.std()) / math.sqrt(n) if n > 1 else math.nan
