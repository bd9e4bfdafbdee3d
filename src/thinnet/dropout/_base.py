"""Base class of dropout layers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Generator, Tensor, nn

from thinnet._random import threshold
from thinnet.dropout._noise import Noise


class DropoutLayer(nn.Module, ABC):
    """Base class of modules that perturb their input at random in training and are the identity in eval mode.

    They keep the input's expectation. A subclass implements `perturb`, which takes its random numbers from a `Noise`.

    Args:
        p: probability of dropping, in [0, 1].
        generator: source of the randomness, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1].
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__()
        threshold(p, name=f"{type(self).__name__}: `p`")
        if not isinstance(generator, Generator | None):
            raise TypeError(f"{type(self).__name__}: `generator` must be a torch.Generator or None, got {generator!r}.")
        self.p = p
        self.generator = generator

    @abstractmethod
    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """Apply the noise to the input, for p > 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Perturb the input in training; return it as it is in eval mode."""
        if not isinstance(x, Tensor):
            raise TypeError(f"{type(self).__name__}: the input must be a tensor, got {type(x).__name__}.")
        if not x.is_floating_point() and not x.is_complex():
            raise TypeError(
                f"{type(self).__name__}: the input must be of a floating-point type, got {x.dtype}; convert it with "
                ".float()."
            )
        if not self.training or not self.drops():
            return x
        return self.perturb(x, Noise(self.generator))

    def drops(self) -> bool:
        """Return whether the rate is above zero."""
        return self.p != 0

    def extra_repr(self) -> str:
        """The settings, as torch's dropout prints them."""
        return f"p={self.p}"
