"""Training at one strength: rounds of `fit`, ended early by held-out cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from thinnet.search._losses import Losses
from thinnet.search._penalized_model import PenalizedModel
from thinnet.search._polyak_average import Average
from thinnet.search._snapshot import Snapshot, Stateful
from thinnet.search._task import Settings, Task

_STALE = 1e-4
"""A relative gain below which a round gained nothing."""


class Trainer:
    """Train a penalized model by rounds of `fit`, at the strength that it has, until the held-out cost falls no more.

    Args:
        model: the network, its optimizer and the plan.
        task: `fit` and `evaluate`.
        settings: see `path`.

    Attributes:
        average: of the weights over the last steps; it stands in for them where the network is measured.
    """

    def __init__(self, model: PenalizedModel, task: Task, settings: Settings) -> None:
        self.model, self.task, self.settings = model, task, settings
        # the optimum that `polish` finds has no noise to average out
        self.average = Average(settings.average if task.polish is None else 0.0)
        self._steps = 0
        self._parameters: list[nn.Parameter] = []

    def train(
        self, rounds: int, *, best: float = math.inf, start: float = math.inf, patience: int | None = None
    ) -> int:
        """Train until held-out loss plus penalty fall no more, and go back to the weights where they were least.

        Args:
            rounds: rounds at most.
            best: cost below which a round must come for the weights as they are now not to be kept.
            start: cost below which a round must come to count as a gain.
            patience: rounds without a gain that end it; see `path`.

        Returns:
            The number of rounds.
        """
        falls_back = best < math.inf
        kept = self._snapshot_of_weights() if falls_back else None
        since, number = 0, 0
        patience = patience or max(self.settings.patience, rounds // 10)
        with self._counting_steps():
            for number in range(1, rounds + 1):
                self._round()
                with self.averaged():
                    cost = self.losses().mean + self.model.penalty()
                if not math.isfinite(cost):
                    if falls_back:
                        break
                    return number  # momenta are lost as well: the point has diverged
                least = min(best, start)
                since = 0 if least == math.inf or cost < least - _STALE * abs(least) else since + 1
                if cost < best:
                    best, kept = cost, self._snapshot_of_weights() if number < rounds else None
                if since >= patience:
                    break
        if kept is not None:
            kept.restore_(self._weights())
        return number

    @torch.no_grad()
    def losses(self) -> Losses:
        """The held-out losses of the network as it is."""
        self.model.network.eval()
        return Losses.of(self.task.evaluate(self.model.network))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network as it is measured and kept: its average stands in for it."""
        with self.average.standing_in(self.model.network.parameters(), self.model.bindings):
            yield

    @contextmanager
    def without_average(self) -> Iterator[None]:
        """Train without an average."""
        average, self.average = self.average, Average(0.0)
        try:
            yield
        finally:
            self.average = average

    def adopt_average(self) -> None:
        """Go on from the average of the weights instead of the weights."""
        self.average.replace_(self.model.network.parameters(), self.model.bindings)

    def parts(self) -> dict[str, Stateful | None]:
        """What has a state: all that must come back for training to go on from an earlier moment."""
        return {**self._weights(), "optimizer": self.model.optimizer, "attachment": self.model.attachment}

    def _weights(self) -> dict[str, Stateful | None]:
        return {"model": self.model.network, "average": self.average}

    def _snapshot_of_weights(self) -> Snapshot:
        return Snapshot.of(self._weights())

    def _round(self) -> None:
        network = self.model.network
        self._steps, self._parameters = 0, list(network.parameters())
        network.train()
        self.task.fit(network, self.model.optimizer)
        if not self._steps:
            raise ValueError("path: `fit` never called optimizer.step(): it must train the model that it is given.")
        self.average.steps = self._steps

    @contextmanager
    def _counting_steps(self) -> Iterator[None]:
        # registered last, so that it sees the weights after the plan and whatever else acts in the step
        handle = self.model.optimizer.register_step_post_hook(self._stepped)
        try:
            yield
        finally:
            handle.remove()

    def _stepped(self, *_: object) -> None:
        self._steps += 1
        self.average.add(self._parameters)
