"""Polyak average of a network's weights over its last training steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from thinnet.attachment import proximal_step_
from thinnet.plan import Binding


class Average:
    r"""An exponential average of weights over the last `rounds` of training, a plain mean until there are so many.

    .. math:: \bar w \leftarrow \bar w + (w - \bar w) / \min(n, h)

    after step n, with h = rounds · steps of a round. Where a weight is exactly zero, its average is zero too: its past
    does not bring it back.

    Args:
        rounds: rounds of training; 0 averages nothing, and the weights stand for themselves.

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
        if not self.rounds:
            return
        self.count += 1
        if self.count == 1:
            # half precision could not hold the small steps of a mean
            self.mean = [p.detach().to(torch.promote_types(p.dtype, torch.float32), copy=True) for p in parameters]
            return
        share = 1 / (min(self.count, max(self.rounds * self.steps, 1)) if self.steps else self.count)
        for mean, parameter in zip(self.mean, parameters, strict=True):
            mean.lerp_(parameter.to(mean.dtype), share)

    def restart(self) -> None:
        """Forget the weights taken in."""
        self.count, self.mean = 0, []

    @contextmanager
    def standing_in(self, parameters: Iterable[nn.Parameter], bindings: Sequence[Binding] = ()) -> Iterator[None]:
        """Put the average in the place of the weights; afterwards they are as they were.

        Args:
            parameters: the weights.
            bindings: of a plan; the average is projected onto its constraints, as the mean of unit vectors is shorter
                than one.
        """
        if not self.count:
            yield
            return
        parameters = list(parameters)
        before = [parameter.detach().clone() for parameter in parameters]
        try:
            self._put_into(parameters, bindings)
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.copy_(value)

    def replace_(self, parameters: Iterable[nn.Parameter], bindings: Sequence[Binding] = ()) -> None:
        """Replace the weights by their average for good, and start anew; see `standing_in` for the arguments."""
        if self.count:
            self._put_into(list(parameters), bindings)
        self.restart()

    @torch.no_grad()
    def _put_into(self, parameters: Sequence[nn.Parameter], bindings: Sequence[Binding]) -> None:
        for parameter, mean in zip(parameters, self.mean, strict=True):
            parameter.copy_(torch.where(parameter == 0, 0, mean))
        proximal_step_([binding for binding in bindings if binding.order.projection], scale=0.0)

    def state_dict(self) -> dict[str, Any]:
        """The state, for `load_state_dict`."""
        return {"steps": self.steps, "count": self.count, "mean": list(self.mean)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state that `state_dict` returned; its tensors are copied."""
        self.steps, self.count = state["steps"], state["count"]
        self.mean = [mean.clone() for mean in state["mean"]]
