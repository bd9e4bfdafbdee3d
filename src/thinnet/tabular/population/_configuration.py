"""The regularizers and training settings of a network of the population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thinnet.rule import Rule, Rules

Stage = Literal["polish", "refit"]
"""What may follow the training of a configuration that makes zeros, see `Debiasing`."""


@dataclass(frozen=True)
class Configuration:
    """The regularizers of a network and its learning rate; trained once per fold.

    Args:
        rules: penalties, decay and constraints on its weights.
        dropout: rate after every hidden activation.
        label_smoothing: share of the target spread over the classes.
        lr: learning rate.
        encodings: the encodings of the numbers that it sees beside the numbers themselves: "bins", "slow", "fast".
        stages: those that it went through after its training.
    """

    rules: tuple[Rule, ...] = ()
    dropout: float = 0.0
    label_smoothing: float = 0.0
    lr: float = 3e-3
    encodings: tuple[str, ...] = ("bins",)
    stages: tuple[Stage, ...] = ()

    @property
    def rule(self) -> Rule | None:
        """The rules as one, None where there are none."""
        return Rules(self.rules) if self.rules else None

    @property
    def regularized(self) -> bool:
        """Whether there is any regularizer."""
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
