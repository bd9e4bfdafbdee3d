"""Variational (locked) dropout: one mask for all time steps."""

from __future__ import annotations

from torch import Generator, Tensor

from thinnet._random import apply_mask, threshold
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class LockedDropout(DropoutLayer):
    r"""Zeroes the same elements at every time step of a sequence with probability p, divides the others by 1 − p.

    $$y_{tn\cdot} = \frac{M_{n\cdot} \circ x_{tn\cdot}}{1 - p}, \qquad M_{ni} \sim \mathrm{Bernoulli}(1 - p)$$

    Every sequence of a batch has a mask of its own. Put between recurrent layers it is variational dropout: one thinned
    network reads the whole sequence. Time is where `torch.nn.LSTM` has it, with the same `batch_first`. p is rounded
    as in `Dropout`.

    Args:
        p: probability of an element to be zeroed, in [0, 1].
        batch_first: the input is (N, T, ...) instead of (T, N, ...).
        generator: source of the mask's bits, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1], or the input has fewer than 2 dimensions.

    Shape:
        Input and output, the same: (T, N, features), (N, T, features) with `batch_first=True`, or (T, features) for one
        sequence without a batch dimension.

    Example:
        >>> import torch, thinnet as tn
        >>> y = tn.LockedDropout(0.5)(torch.ones(5, 2, 3))
        >>> bool((y == y[0]).all())
        True

    References:
        Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016. Merity,
        Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", 2018 (the name).
    """

    def __init__(self, p: float = 0.5, batch_first: bool = False, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        self.batch_first = batch_first

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M ∘ x / (1 − p)."""
        if x.ndim < 2:
            form = "(N, T, features)" if self.batch_first else "(T, N, features)"
            raise ValueError(
                f"LockedDropout: the input must be {form} or (T, features), got shape {tuple(x.shape)}; unsqueeze the "
                "missing dimension."
            )
        time = 1 if self.batch_first and x.ndim > 2 else 0
        rows = 1 if x.ndim == 2 else x.shape[1 - time]
        kept = noise.keep((rows, *x.shape[2 if x.ndim > 2 else 1 :]), self.p, x.device)
        return apply_mask(x, kept if x.ndim == 2 else kept.unsqueeze(time), threshold(self.p))

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, batch_first={self.batch_first}"
