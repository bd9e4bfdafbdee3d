"""Samples of predictions for the same inputs: their mean, spread, entropies and likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from thinnet.ensemble._check_targets import Probabilities, targets_of
from thinnet.ensemble._likelihood import mixture_log_density, mixture_log_probability
from thinnet.ensemble._temperature_scaling import fitted_temperature, tempered


@dataclass(frozen=True, eq=False)
class Predictions:
    r"""Samples of predictions: S for each of B inputs.

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
        r"""Mean of the samples, (1/S) Σ_s samples_s, of shape (B, ...): the prediction of the ensemble."""
        return self.samples.mean(0)

    @property
    def std(self) -> Tensor:
        r"""Standard deviation of the samples, sqrt((1/S) Σ_s (samples_s − mean)²), of shape (B, ...)."""
        return self.samples.std(0, correction=0)

    def quantile(self, q: float | Sequence[float] | Tensor) -> Tensor:
        """Compute quantiles over the samples, interpolated linearly.

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
        r"""Mutual information H(p̄) − (1/S) Σ_s H(p_s), in nats: the disagreement between the samples.

        What more data could remove, also known as BALD; never negative. Of the shape of `entropy`.

        Raises:
            ValueError: if the samples are not known to be probabilities.

        References:
            Houlsby, Huszár, Ghahramani, Lengyel, "Bayesian Active Learning for Classification and Preference Learning",
            2011.
        """
        # by Jensen not negative; rounding may say otherwise
        return (self.entropy - self._entropy(self.samples).mean(0)).clamp(min=0)

    def log_likelihood(self, y: Tensor | ArrayLike, *, noise_std: float | Tensor | None = None) -> Tensor:
        r"""Compute the log likelihood of each target under the mixture of the samples.

        For probabilities the log of the mean probability of what happened, log (1/S) Σ_s p_s(y). Otherwise the log
        density of a mixture: the target is normal about the output f_s of the network that is right, and each of the S
        networks is as likely to be it,

        $$\log \frac 1 S \sum_s \mathcal N(y \mid f_s, \sigma^2)$$

        with the precision τ = 1/σ² of Gal and Ghahramani.

        Args:
            y: class numbers (B, ...), 0 and 1 for each event, or numbers of the shape of `mean`, where a last dimension
                of 1 may be left out.
            noise_std: σ > 0, the standard deviation of the targets about a network's output, in their unit: one, or of
                a shape that broadcasts to the samples. Chosen on rows that chose nothing else.

        Returns:
            Of the shape of `mean`, without the class dimension: in nats; minus infinity for what has probability 0.

        Raises:
            ValueError: if the targets do not fit the samples, or noise_std is missing, out of place or not above 0.

        Example:
            >>> import torch, thinnet as tn
            >>> tn.Predictions(torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]]), "classes").log_likelihood([0])  # log 3/4
            tensor([-0.2877])
            >>> tn.Predictions(torch.zeros(2, 1)).log_likelihood([0.0], noise_std=1.0)  # −log(2π)/2
            tensor([-0.9189])

        References:
            Gal, Ghahramani, "Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning",
            2016.
        """
        target = targets_of(self.samples, self.probabilities, y, "log_likelihood")
        if self.probabilities is None:
            if noise_std is None:
                raise ValueError(
                    "log_likelihood: samples that are no probabilities need `noise_std`, the standard deviation of the "
                    "targets about a network's output; choose it on held-out rows."
                )
            return mixture_log_density(self.samples, target, noise_std)
        if noise_std is not None:
            raise ValueError("log_likelihood: `noise_std` is for outputs that are no probabilities; leave it out.")
        return mixture_log_probability(self.samples, target, classes=self.probabilities == "classes")

    def temperature(self, y: Tensor | ArrayLike) -> float:
        r"""Fit the temperature for `tempered` of the lowest log loss on these targets; over 1 they were overconfident.

        $$T = \arg\min_T \; -\sum_i \log \frac 1 S \sum_s q_{si}(y_i), \qquad q_{si}(c) \propto p_{si}(c)^{1/T}$$

        Found on held-out rows: on the rows of the training it would make the network surer than it should be.

        Args:
            y: class numbers (B, ...), or 0 and 1 for each event.

        Returns:
            T in [0.1, 10].

        Raises:
            ValueError: if the samples are not known to be probabilities, or the targets do not fit them.

        Example:
            0.8 said and 0.6 true: log 4 / T = log 1.5.

            >>> import math, torch, thinnet as tn
            >>> held_out = tn.Predictions(torch.tensor([[[0.8, 0.2]] * 5]), probabilities="classes")
            >>> t = held_out.temperature([0, 0, 0, 1, 1])
            >>> round(t, 2), round(math.log(4) / math.log(1.5), 2)
            (3.42, 3.42)
            >>> held_out.tempered(t).mean[0]
            tensor([0.6000, 0.4000])

        References:
            Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017.
        """
        kind = self._kind()
        target = targets_of(self.samples, kind, y, "temperature")
        return fitted_temperature(self.samples, target, classes=kind == "classes")

    def tempered(self, t: float) -> Predictions:
        """Rescale every sample's probabilities to p^(1/T), renormalised: T over 1 softens, under 1 sharpens.

        Args:
            t: T > 0, as `temperature` finds it.

        Raises:
            ValueError: if the samples are not known to be probabilities, or T is not above 0.
        """
        kind = self._kind()
        if not 0 < t < math.inf:
            raise ValueError(f"tempered: `t` must be > 0 and finite, got {t}.")
        return Predictions(tempered(self.samples, t, classes=kind == "classes"), kind)

    def _kind(self) -> Probabilities:
        if self.probabilities is None:
            raise ValueError(
                "Predictions: these samples are not known to be probabilities; give `activation` to mc_predict or "
                'build Predictions(samples, probabilities="classes").'
            )
        return self.probabilities

    def _entropy(self, p: Tensor) -> Tensor:
        kind = self._kind()
        p = p.clamp(0, 1)
        entropy: Tensor = torch.special.entr(p)
        return entropy.sum(-1) if kind == "classes" else entropy + torch.special.entr(1 - p)

    def __repr__(self) -> str:
        return f"Predictions(samples={tuple(self.samples.shape)}, probabilities={self.probabilities!r})"
