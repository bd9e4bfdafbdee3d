"""A population after training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from thinnet.stack import Stack
from thinnet.tabular.population._configuration import Configuration

Floats = NDArray[np.float64]


@dataclass
class Trace:
    """The learning curve of a member, and its best evaluation."""

    configuration: int
    fold: int
    epochs: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    best: int = -1
    """Index into the curve; -1 before the first finite score."""

    @property
    def score(self) -> float:
        """Best held-out loss."""
        return self.held_out[self.best] if self.best >= 0 else float("inf")

    def resumed(self) -> Trace:
        """Return the curve of a training that continues from the best evaluation of this one."""
        assert self.best >= 0
        epochs, train, held_out = ([values[self.best]] for values in (self.epochs, self.train, self.held_out))
        return Trace(self.configuration, self.fold, epochs, train, held_out, best=0)


@dataclass
class Trained:
    """A population after training, every member at its best evaluation.

    `stack` holds them all, the folds of a configuration in turn (member `m * folds + f`); `oof_MNC` their held-out
    predictions.
    """

    configurations: list[Configuration]
    stack: Stack
    traces: list[Trace]
    oof_MNC: np.ndarray
    complete: list[bool]
    """Which configurations have a prediction for every row."""

    def scores(self) -> Floats:
        """Compute the held-out loss of every configuration, (M,): the mean over folds, infinite where one has none."""
        scores = np.array([trace.score for trace in self.traces], dtype=np.float64)
        means: Floats = scores.reshape(len(self.configurations), -1).mean(1)
        return means

    def zeros(self, k: int) -> float:
        """Compute the share of exact zeros among the weights of member k, inputs that it does not see left out."""
        inputs = self.stack.members[k].inputs
        weights = [w[k] for w in self.stack.weights]
        if inputs is not None:
            weights[0] = weights[0][:, np.flatnonzero(inputs)]
        return float(sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights))

    def part(self, chosen: Sequence[int]) -> Trained:
        """Copy some of the configurations, in this order."""
        folds = len(self.traces) // len(self.configurations)
        members = [m * folds + f for m in chosen for f in range(folds)]
        stack = copy.deepcopy(self.stack)
        stack.keep(members)
        return Trained(
            [self.configurations[m] for m in chosen],
            stack,
            [replace(self.traces[k], configuration=i // folds) for i, k in enumerate(members)],
            self.oof_MNC[list(chosen)],
            [self.complete[m] for m in chosen],
        )

    def join(self, other: Trained) -> None:
        """Append another population that was trained on the same problem."""
        self.traces += [
            replace(trace, configuration=trace.configuration + len(self.configurations)) for trace in other.traces
        ]
        self.configurations += other.configurations
        self.stack.join(other.stack)
        self.oof_MNC = np.concatenate([self.oof_MNC, other.oof_MNC])
        self.complete += other.complete
