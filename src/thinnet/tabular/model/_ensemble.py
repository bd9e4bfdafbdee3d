"""A weighted ensemble of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinnet.tabular.model._network_blocks import Block

Floats = NDArray[np.float64]

FLOOR = 1e-15
"""Probabilities are at least this before they are tempered."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A weighted average of the predictions of networks, every fold's member of each chosen configuration.

    Attributes:
        blocks: the networks; all folds of a configuration in turn, until they are compacted.
        weights_K: weight of every member; sums to 1.
        temperatures_K: what every member's logits are divided by; None for regression.
        temperature: what the log of the mixture is divided by.
    """

    blocks: Sequence[Block]
    weights_K: Floats
    temperatures_K: Floats | None
    temperature: float = 1.0

    def outputs(self, x_ND: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Weighted mean and variance over members of the probabilities or outputs: (N, C) each."""
        values_KNC = np.concatenate([block.outputs(x_ND) for block in self.blocks]).astype(np.float64)
        if self.temperatures_K is not None:
            values_KNC = _softmax(values_KNC / self.temperatures_K[:, None, None])
        w_K11 = self.weights_K[:, None, None]
        mean_NC = (w_K11 * values_KNC).sum(0)
        variance_NC = (w_K11 * (values_KNC - mean_NC) ** 2).sum(0)
        return mean_NC if self.temperatures_K is None else _tempered(mean_NC, self.temperature), variance_NC


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Floats = powers / powers.sum(-1, keepdims=True)
    return shares


def _tempered(p_NC: Floats, temperature: float) -> Floats:
    """p^(1/T), renormalised."""
    powers = np.maximum(p_NC, FLOOR) ** (1 / temperature)
    tempered: Floats = powers / powers.sum(-1, keepdims=True)
    return tempered
