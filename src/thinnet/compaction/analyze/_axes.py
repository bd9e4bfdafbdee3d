"""Along which dimensions of a tensor its labels run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """Labels of one tensor: element by element, compressed to length 1 along dimensions on which they do not depend.

    Along one dimension, they name the slices of that dimension. Along several (a matrix that was reshaped to heads),
    what can be removed depends on the next consumer of the tensor, and is decided there.

    Args:
        labels: as many dimensions as the tensor, each of its length or of length 1.
        balanced: each row keeps as many, whatever the consumer (the layers of one LSTM).
        alike: all slices are equal, so that any of them can be removed with what they meet (an expanded dimension).
    """

    labels: Tensor
    balanced: bool = False
    alike: bool = False

    @property
    def dims(self) -> tuple[int, ...]:
        """The dimensions along which the labels differ."""
        return tuple(dim for dim, size in enumerate(self.labels.shape) if size > 1)

    @classmethod
    def along(cls, dim: int, labels: Tensor, ndim: int, *, alike: bool = False) -> Axis:
        """The axis of a tensor of `ndim` dimensions with labels (n,) along one of them."""
        shape = [1] * ndim
        shape[dim] = labels.numel()
        return cls(labels.reshape(shape), alike=alike)

    def moved(self, shape: torch.Size, move: Callable[[Tensor], Tensor]) -> Axis:
        """The labels behind an operation that only arranges elements anew."""
        return Axis(compressed(move(self.labels.expand(shape).contiguous())), self.balanced, self.alike)


Axes = tuple[Axis, ...]


def compressed(full: Tensor) -> Tensor:
    """The same with length 1 along every dimension on which nothing depends."""
    for dim in range(full.ndim):
        first = full.narrow(dim, 0, 1)
        if full.shape[dim] > 1 and bool((full == first).all()):
            full = first
    return full.clone()
