"""Many predictions for the same inputs, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Probabilities = Literal["classes", "independent"]
"""What samples are: distributions over the last dimension, or a probability of "yes" in each element."""


@dataclass(frozen=True, eq=False)
class Predictions:
    r"""S predictions for each of B inputs.

    Args:
        samples: shape (S, B, ...).
        probabilities: "classes" if the last dimension holds probabilities of classes, "independent" if each element is
            the probability of an event of its own, None if the samples are no probabilities.

    Raises:
        ValueError: if there is no sample, or the samples are no probabilities of the kind named.

    Example:
        Two networks that are sure of opposite classes: the mixture knows nothing, all of it for want of agreement.

        >>> import torch, thinnet as tn
        >>> pred = tn.Predictions(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), probabilities="classes")
        >>> pred.mean
        tensor([[0.5000, 0.5000]])
        >>> pred.entropy, pred.mutual_information  # ln 2 = 0.6931
        (tensor([0.6931]), tensor([0.6931]))
    """

    samples: Tensor
    probabilities: Probabilities | None = None

    def __post_init__(self) -> None:
        p = self.samples
        if p.ndim < 2 or len(p) == 0:
            raise ValueError(f"Predictions: `samples` must be (S, B, ...) with S >= 1, got {tuple(p.shape)}.")
        if self.probabilities not in (None, "classes", "independent"):
            raise ValueError(
                f'Predictions: `probabilities` must be "classes", "independent" or None, got {self.probabilities!r}.'
            )
        if self.probabilities is None or p.numel() == 0:
            return
        # half precision: a sum of many rounded probabilities strays further from 1
        tolerance = max(1e-4, 10 * torch.finfo(p.dtype).eps)
        fair = bool(((p >= -tolerance) & (p <= 1 + tolerance)).all())
        if self.probabilities == "classes":
            fair = fair and bool(((p.sum(-1, dtype=torch.float64) - 1).abs() <= tolerance).all())
        if not fair:
            raise ValueError(
                f'Predictions: samples said to be probabilities ("{self.probabilities}") must be in [0, 1]'
                f"{' and sum to 1 over the last dimension' if self.probabilities == 'classes' else ''}; "
                'for logits give `activation="softmax"` or "sigmoid" to mc_predict.'
            )

    @property
    def mean(self) -> Tensor:
        r"""(1/S) Σ_s samples_s, of shape (B, ...): the prediction of the ensemble."""
        return self.samples.mean(0)

    @property
    def std(self) -> Tensor:
        r"""sqrt((1/S) Σ_s (samples_s − mean)²), of shape (B, ...): how far the samples are apart; 0 for one sample."""
        return self.samples.std(0, correction=0)

    def quantile(self, q: float | Sequence[float] | Tensor) -> Tensor:
        """Quantiles over the samples, linear between neighbours.

        Args:
            q: one level or several, in [0, 1].

        Returns:
            Shape (B, ...) for one level, (Q, B, ...) for Q of them.

        Raises:
            ValueError: if a level is outside [0, 1].

        Example:
            >>> import torch, thinnet as tn
            >>> tn.Predictions(torch.tensor([[0.0], [1.0], [4.0]])).quantile([0.5, 0.75])
            tensor([[1.0000],
                    [2.5000]])
        """
        x = self.samples
        levels = torch.as_tensor(q, dtype=torch.float64, device=x.device)
        if not bool(((levels >= 0) & (levels <= 1)).all()):
            raise ValueError(f"Predictions: `q` must be in [0, 1], got {q}.")
        # torch.quantile refuses large and half-precision samples
        ordered = x.sort(0).values
        at = levels.reshape(-1) * (len(x) - 1)
        below = at.floor().long()
        above = (below + 1).clamp(max=len(x) - 1)
        part = (at - below).to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
        values = torch.lerp(ordered[below], ordered[above], part)
        return values.reshape(*levels.shape, *x.shape[1:])

    @property
    def entropy(self) -> Tensor:
        r"""Entropy of the mean prediction, H(p̄), in nats: the whole uncertainty of the ensemble.

        H(p) = −Σ_c p_c ln p_c over classes, of shape (B, ...) without the class dimension; for independent
        probabilities −p ln p − (1 − p) ln(1 − p), of shape (B, ...).

        Raises:
            ValueError: if the samples are not known to be probabilities.
        """
        return self._entropy(self.mean)

    @property
    def mutual_information(self) -> Tensor:
        r"""H(p̄) − (1/S) Σ_s H(p_s), in nats: the part of the uncertainty that is disagreement between the samples.

        What more data could remove, also known as BALD; never negative. Of the shape of `entropy`.

        Raises:
            ValueError: if the samples are not known to be probabilities.

        References:
            Houlsby, Huszár, Ghahramani, Lengyel, "Bayesian Active Learning for Classification and Preference Learning",
            2011.
        """
        # by Jensen not negative; rounding may say otherwise
        return (self.entropy - self._entropy(self.samples).mean(0)).clamp(min=0)

    def _entropy(self, p: Tensor) -> Tensor:
        if self.probabilities is None:
            raise ValueError(
                "Predictions: these samples are not known to be probabilities; give `activation` to mc_predict or "
                'build Predictions(samples, probabilities="classes").'
            )
        p = p.clamp(0, 1)
        entropy: Tensor = torch.special.entr(p)
        return entropy.sum(-1) if self.probabilities == "classes" else entropy + torch.special.entr(1 - p)

    def __repr__(self) -> str:
        return f"Predictions(samples={tuple(self.samples.shape)}, probabilities={self.probabilities!r})"
