"""The average of a network's weights over its last steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    r"""An exponential average of weights over the last `rounds` of training, a plain mean until there are so many.

    .. math:: \bar w \leftarrow \bar w + (w - \bar w) / \min(n, h)

    after step n, with h = rounds · steps of a round. What stands in for a weight of exactly zero is zero: its past does
    not bring it back.

    Args:
        rounds: rounds of training.

    Attributes:
        steps: of a round; 0 before the first is over.
        count: of the weights taken in.
        mean: of each parameter.
    """

    def __init__(self, rounds: float) -> None:
        self.rounds = rounds
        self.steps = 0
        self.count = 0
        self.mean: list[Tensor] = []

    @torch.no_grad()
    def add(self, parameters: Iterable[nn.Parameter]) -> None:
        """Take in the weights after a step."""
        self.count += 1
        if self.count == 1:
            # half precision could not hold the small steps of a mean
            self.mean = [p.detach().to(torch.promote_types(p.dtype, torch.float32), copy=True) for p in parameters]
            return
        share = 1 / (min(self.count, max(self.rounds * self.steps, 1)) if self.steps else self.count)
        for mean, parameter in zip(self.mean, parameters, strict=True):
            mean.lerp_(parameter.to(mean.dtype), share)

    def restart(self) -> None:
        """Forget what was taken in."""
        self.count, self.mean = 0, []

    @contextmanager
    def standing_in(self, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
        """The average in the place of the weights; afterwards they are as they were."""
        parameters = list(parameters)
        before = [parameter.detach().clone() for parameter in parameters]
        with torch.no_grad():
            for parameter, mean in zip(parameters, self.mean, strict=True):
                parameter.copy_(torch.where(parameter == 0, 0, mean))
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.copy_(value)
