"""Dropout of attention weights and of keys."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from thinnet._random import LEVELS, apply_mask, threshold
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class AttentionDropout(DropoutLayer):
    r"""Drops attention weights or whole keys with probability p; the others are divided by 1 − p or normalized again.

    $$y_{ij} = \frac{M_{ij}\, x_{ij}}{1 - p} \qquad\text{or}\qquad
      y_{ij} = \frac{M_{ij}\, x_{ij}}{\sum_k M_{ik}\, x_{ik}} \sum_k x_{ik}$$

    for the weights x that query i gives to the keys j, after the softmax. Plain, it is the usual dropout of
    attention weights. With `by="keys"` one mask for all queries drops whole keys, so that no query of a sample sees
    them (DropAttention of columns). With `normalize=True` each row keeps its sum: each query still averages the values,
    of fewer keys, and the result is the softmax over the kept keys alone (DropKey). That keeps the expectation of the
    row's sum, not of every weight. A row that would lose all its weight stays as it was. p is rounded as in `Dropout`.

    Args:
        p: probability of a weight, or of a key, to be dropped, in [0, 1]; less than 1 with `normalize=True`.
        by: what is dropped: single "weights", or "keys" for all queries of a head at once.
        normalize: keep the sum of each row, instead of dividing by 1 − p.
        generator: source of the mask's bits, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point type.
        ValueError: if p is outside its range, by is another word, or the input has fewer than 2 dimensions.

    Shape:
        Input and output: (..., queries, keys), the same.

    Example:
        >>> import torch, thinnet as tn
        >>> weights = torch.full((2, 4, 8), 1 / 8)
        >>> bool(torch.isin(tn.AttentionDropout(0.5)(weights), torch.tensor([0, 1 / 4])).all())
        True
        >>> y = tn.AttentionDropout(0.5, by="keys", normalize=True)(weights)
        >>> bool((y == y[:, :1]).all()), bool((y.sum(-1) - 1).abs().max() < 1e-6)
        (True, True)

    References:
        Zehui, Liu, Huang, Chen, Qiu, Huang, "DropAttention: A Regularization Method for Fully-Connected Self-Attention
        Networks", 2019. Li, Hu, Nie, Han, Jiang, Guo, Liu, "DropKey for Vision Transformer", 2023.
    """

    def __init__(
        self,
        p: float = 0.1,
        *,
        by: Literal["weights", "keys"] = "weights",
        normalize: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(p, generator=generator)
        if by not in ("weights", "keys"):
            raise ValueError(f'AttentionDropout: `by` must be "weights" or "keys", got {by!r}.')
        if normalize and p == 1:
            raise ValueError("AttentionDropout: `p` must be less than 1 with `normalize=True`: no key would be left.")
        self.by = by
        self.normalize = normalize

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M ∘ x, divided by 1 − p or to the row's sum."""
        if x.ndim < 2:
            raise ValueError(
                f"AttentionDropout: the input must be (..., queries, keys), got shape {tuple(x.shape)}; unsqueeze the "
                "missing dimension."
            )
        shape = (*x.shape[:-2], 1, x.shape[-1]) if self.by == "keys" else x.shape
        kept = noise.keep(shape, self.p, x.device)
        if not self.normalize:
            return apply_mask(x, kept, threshold(self.p))
        rest = apply_mask(x, kept, LEVELS)
        wide = torch.promote_types(x.dtype, torch.float32)
        whole, left = x.sum(-1, keepdim=True, dtype=wide), rest.sum(-1, keepdim=True, dtype=wide)
        lost = left == 0
        return torch.where(lost, x, rest * (whole / left.masked_fill(lost, 1)).to(x.dtype))

    def extra_repr(self) -> str:
        """The settings."""
        return f'p={self.p}, by="{self.by}", normalize={self.normalize}'
