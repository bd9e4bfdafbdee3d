"""A weighted ensemble of networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from thinnet.ensemble import sharpened
from thinnet.stack import Stack, predict
from thinnet.tabular.model._blocks import Blocks

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A weighted average of the predictions of networks, every fold's member of each chosen configuration.

    Attributes:
        stack: the members, all folds of a configuration in turn; once compacted, a stack for each architecture.
        weights_K: weight of every member; sums to 1.
        temperatures_K: what every member's logits are divided by; None for regression.
        temperature: what the log of the mixture is divided by.
    """

    stack: Stack | Blocks
    weights_K: Floats
    temperatures_K: Floats | None
    temperature: float = 1.0

    def outputs(self, x_ND: Tensor) -> tuple[Floats, Floats]:
        """Weighted mean and variance over members of the probabilities or outputs: (N, C) each."""
        values_KNC = predict(self.stack, x_ND).double()
        if self.temperatures_K is not None:
            values_KNC = F.softmax(values_KNC / torch.from_numpy(self.temperatures_K).view(-1, 1, 1), -1)
        w_K11 = torch.from_numpy(self.weights_K).view(-1, 1, 1)
        mean = (w_K11 * values_KNC).sum(0)
        variance_NC = (w_K11 * (values_KNC - mean).square()).sum(0).numpy()
        mean_NC = mean.numpy()
        return mean_NC if self.temperatures_K is None else sharpened(mean_NC, self.temperature), variance_NC
