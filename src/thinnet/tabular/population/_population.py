"""The population: differently regularized networks of one architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thinnet.constraints import MaxNorm
from thinnet.penalties import L1, L2, ElasticNet, GroupLasso, WeightDecay
from thinnet.rule import Rule, Rules

Stage = Literal["polish", "refit"]
"""What may follow the training of a mix that makes zeros, see `debias`."""


@dataclass(frozen=True)
class Mix:
    """One way to regularize the network; trained once per fold.

    Args:
        rules: penalties, decay and constraints on its weights.
        dropout: rate after every hidden activation.
        label_smoothing: share of the target spread over the classes.
        lr: learning rate.
        views: the encodings of the numbers that it sees beside the numbers themselves: "bins", "slow", "fast".
        stages: what it went through after its training.
    """

    rules: tuple[Rule, ...] = ()
    dropout: float = 0.0
    label_smoothing: float = 0.0
    lr: float = 3e-3
    views: tuple[str, ...] = ("bins",)
    stages: tuple[Stage, ...] = ()

    @property
    def rule(self) -> Rule | None:
        """The rules as one, None where there are none."""
        return Rules(self.rules) if self.rules else None

    @property
    def regularized(self) -> bool:
        """Whether anything at all holds the network back."""
        return bool(self.rules or self.dropout or self.label_smoothing)

    def __str__(self) -> str:
        parts = [f"dropout {self.dropout:.2g}"] if self.dropout else []
        parts += [_phrase(rule) for rule in self.rules]
        parts += [f"label smoothing {self.label_smoothing:.2g}"] if self.label_smoothing else []
        return " + ".join([*parts, *self.stages]) or "none"


_PHRASES: dict[str, str] = {
    "L1": "L1 {strength:.2g}",
    "L2": "L2 {strength:.2g}",
    "ElasticNet": "elastic net {l1:.2g}/{l2:.2g}",
    "GroupLasso": "group lasso by {by} {strength:.2g}",
    "WeightDecay": "weight decay {strength:.2g}",
    "MaxNorm": "max-norm {limit:.2g}",
}


def _phrase(rule: Rule) -> str:
    return _PHRASES[type(rule).__name__].format(**rule.settings())


def population(count: int, *, rows: int, classification: bool, rng: np.random.Generator) -> list[Mix]:
    """`count` mixes: first the textbook's regularizers one by one, then random mixtures of them.

    Penalty strengths shrink with the number of rows, λ/m as in the textbook: what holds for a mean loss over a thousand
    rows is a tenth of it over ten thousand.

    Args:
        count: how many.
        rows: training rows, m.
        classification: whether label smoothing makes sense.
        rng: source of randomness.
    """
    per_row = 1000 / max(rows, 100)
    singles = [
        Mix(),
        Mix(dropout=0.25),
        Mix((L2(5e-3 * per_row),)),
        Mix(dropout=0.5),
        Mix((L1(1e-4 * per_row),)),
        Mix((MaxNorm(1.0),)),
        Mix((GroupLasso(5e-5 * per_row, by="outputs"),)),
        Mix((ElasticNet(5e-5 * per_row, 2e-3 * per_row),)),
        Mix(dropout=0.1),
        Mix((WeightDecay(0.1),)),
    ]
    return (singles + [_mixture(per_row, classification, rng) for _ in range(count - len(singles))])[:count]


VIEWS = ((), ("bins",), ("slow",), ("fast",), ("bins", "slow"), ("bins", "fast"))
"""Which encoding helps depends on the table more than on anything else: all of them belong in the population."""


def offspring(parents: Sequence[Mix], count: int, *, classification: bool, rng: np.random.Generator) -> list[Mix]:
    """`count` mixes near good ones: each has the traits of one or two parents, every strength moved a little.

    Where the parent is not regularized at all, the child has a little dropout: the same again would teach nothing.

    Args:
        parents: the best mixes so far, best first.
        count: how many.
        classification: whether label smoothing makes sense.
        rng: source of randomness.
    """

    def jitter(width: float) -> float:
        return float(np.exp(rng.normal(0, width)))

    children = []
    for i in range(count):
        first = parents[i % len(parents)]
        second = parents[int(rng.integers(len(parents)))] if rng.random() < 0.3 else first
        children.append(
            Mix(
                rules=tuple(rule * jitter(0.6) for rule in second.rules),
                dropout=_nearby_rate(first, rng),
                label_smoothing=min(first.label_smoothing * jitter(0.5), 0.2) if classification else 0.0,
                lr=min(first.lr * jitter(0.4), 3e-2),
                views=second.views,
            )
        )
    return children


def _nearby_rate(parent: Mix, rng: np.random.Generator) -> float:
    if not parent.regularized:
        return float(rng.uniform(0.02, 0.2))
    return float(np.clip(parent.dropout + rng.normal(0, 0.07), 0, 0.6)) if parent.dropout else 0.0


def _mixture(per_row: float, classification: bool, rng: np.random.Generator) -> Mix:
    """A random mixture from the published priors of tuned tabular networks, each part on or off."""

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    penalties: list[Callable[[], Rule]] = [
        lambda: L2(log_uniform(1e-4, 3e-2) * per_row),
        lambda: WeightDecay(log_uniform(1e-2, 0.3)),
        lambda: L1(log_uniform(1e-5, 1e-3) * per_row),
        lambda: GroupLasso(log_uniform(1e-5, 5e-4) * per_row, by="inputs" if rng.random() < 0.5 else "outputs"),
        lambda: ElasticNet(log_uniform(1e-5, 5e-4) * per_row, log_uniform(1e-4, 1e-2) * per_row),
    ]
    rules: list[Rule] = []
    if rng.random() < 0.7:
        rules.append(penalties[rng.choice(len(penalties), p=[0.25, 0.4, 0.15, 0.1, 0.1])]())
    if rng.random() < 0.2:
        rules.append(MaxNorm(log_uniform(0.5, 3.0)))
    return Mix(
        rules=tuple(rules),
        dropout=float(rng.uniform(0.05, 0.5)) if rng.random() < 0.8 else 0.0,
        label_smoothing=log_uniform(5e-3, 0.1) if classification and rng.random() < 0.3 else 0.0,
        lr=log_uniform(1e-3, 2e-2),
        views=VIEWS[rng.integers(len(VIEWS))],
    )
