"""Random configurations, and variations of good ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thinnet.constraints import MaxNorm
from thinnet.penalties import L1, L2, ElasticNet, GroupLasso, WeightDecay
from thinnet.rule import Rule
from thinnet.tabular.population._configuration import Configuration


def population(count: int, *, rows: int, classification: bool, rng: np.random.Generator) -> list[Configuration]:
    """Sample a population: the textbook's regularizers one by one first, then random combinations of them.

    Penalty strengths shrink with the number of rows, λ/m as in the textbook: a strength for the mean loss over a
    thousand rows is a tenth of it over ten thousand.

    Args:
        count: how many.
        rows: training rows, m.
        classification: whether label smoothing makes sense.
        rng: source of randomness.
    """
    per_row = 1000 / max(rows, 100)
    singles = [
        Configuration(),
        Configuration(dropout=0.25),
        Configuration((L2(5e-3 * per_row),)),
        Configuration(dropout=0.5),
        Configuration((L1(1e-4 * per_row),)),
        Configuration((MaxNorm(1.0),)),
        Configuration((GroupLasso(5e-5 * per_row, by="outputs"),)),
        Configuration((ElasticNet(5e-5 * per_row, 2e-3 * per_row),)),
        Configuration(dropout=0.1),
        Configuration((WeightDecay(0.1),)),
    ]
    return (singles + [_random_configuration(per_row, classification, rng) for _ in range(count - len(singles))])[
        :count
    ]


ENCODINGS = ((), ("bins",), ("slow",), ("fast",), ("bins", "slow"), ("bins", "fast"))
"""Which encoding helps depends on the table more than on anything else: all of them belong in the population."""


def offspring(
    parents: Sequence[Configuration], count: int, *, classification: bool, rng: np.random.Generator
) -> list[Configuration]:
    """Vary good configurations: each child has the traits of one or two parents, every strength moved a little.

    Where the parent is not regularized at all, the child has a little dropout: the same again would teach nothing.

    Args:
        parents: the best configurations so far, best first.
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
            Configuration(
                rules=tuple(rule * jitter(0.6) for rule in second.rules),
                dropout=_nearby_rate(first, rng),
                label_smoothing=min(first.label_smoothing * jitter(0.5), 0.2) if classification else 0.0,
                lr=min(first.lr * jitter(0.4), 3e-2),
                encodings=second.encodings,
            )
        )
    return children


def _nearby_rate(parent: Configuration, rng: np.random.Generator) -> float:
    if not parent.regularized:
        return float(rng.uniform(0.02, 0.2))
    return float(np.clip(parent.dropout + rng.normal(0, 0.07), 0, 0.6)) if parent.dropout else 0.0


def _random_configuration(per_row: float, classification: bool, rng: np.random.Generator) -> Configuration:
    """Sample each part, on or off, from the published priors of tuned tabular networks."""

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
    return Configuration(
        rules=tuple(rules),
        dropout=float(rng.uniform(0.05, 0.5)) if rng.random() < 0.8 else 0.0,
        label_smoothing=log_uniform(5e-3, 0.1) if classification and rng.random() < 0.3 else 0.0,
        lr=log_uniform(1e-3, 2e-2),
        encodings=ENCODINGS[rng.integers(len(ENCODINGS))],
    )
