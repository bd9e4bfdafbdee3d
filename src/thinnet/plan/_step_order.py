"""The order in which rules act around an optimizer's step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast, get_args

from thinnet.constraints import Constraint
from thinnet.dropout import DropConnect
from thinnet.penalties import Decay, JointPenalty, WeightPenalty
from thinnet.rule import ACTS, GroupedBy, Rule

_GROUPINGS: tuple[GroupedBy, ...] = get_args(GroupedBy)


@dataclass(frozen=True, eq=False)
class StepOrder:
    """The rules of one weight, by what they do, each kind in the order in which it acts.

    Args:
        gradient: penalties whose gradients are added to the loss's, before the step.
        decay: decays, before the step.
        prox: penalties that act through a proximal step after it: over single weights first, then over groups, which
            makes their composition the proximal step of their sum.
        joint_prox: penalties over several weights, whose proximal step follows those of each.
        projection: constraints, last.
        mask: what acts in the forward pass.
    """

    gradient: tuple[WeightPenalty, ...]
    decay: tuple[Decay, ...]
    prox: tuple[WeightPenalty, ...]
    joint_prox: tuple[JointPenalty, ...]
    projection: tuple[Constraint, ...]
    mask: tuple[DropConnect, ...]

    @property
    def penalties(self) -> tuple[WeightPenalty, ...]:
        """The terms of the cost that are of this weight alone."""
        return self.gradient + self.prox

    def scaled(self, factor: float) -> StepOrder:
        """The same, with every strength of penalties and decays times `factor`."""
        return replace(
            self,
            gradient=tuple(rule * factor for rule in self.gradient),
            decay=tuple(rule * factor for rule in self.decay),
            prox=tuple(rule * factor for rule in self.prox),
            joint_prox=tuple(rule * factor for rule in self.joint_prox),
        )

    def without_penalties(self) -> StepOrder:
        """The same without its terms of the cost."""
        return replace(self, gradient=(), prox=(), joint_prox=())


def step_order(rules: Iterable[Rule]) -> StepOrder:
    """Sort the rules of one weight by what they declare to do; in which order they are given does not matter.

    Example:
        >>> from thinnet import L1, L2, GroupLasso, MaxNorm
        >>> order = step_order([MaxNorm(3.0), GroupLasso(0.5), L1(0.1), L2(0.2)])
        >>> order.gradient, order.prox
        ((L2(strength=0.2),), (L1(strength=0.1), GroupLasso(strength=0.5, by='outputs')))
    """
    rules = tuple(rules)
    alike = Counter(type(rule) for rule in rules)

    def place(rule: Rule) -> tuple[object, ...]:
        name, settings = type(rule).__name__, repr(rule.settings()) if alike[type(rule)] > 1 else ""
        # of rules over the same groups, a threshold (L1) comes before one that scales, too (ElasticNet): in that order
        # their composition is the proximal step of their sum
        return _GROUPINGS.index(rule.grouping), len(rule.strength_fields), name, settings

    in_order = sorted(rules, key=place)
    gradient, decay, prox, joint_prox, projection, _ = (
        tuple(rule for rule in in_order if rule.acts == acts) for acts in ACTS
    )
    mask = tuple(rule for rule in rules if rule.acts == "mask")  # of which a weight has one: they have no order
    # what a class declares, it has the method for: see Rule
    return StepOrder(
        cast("tuple[WeightPenalty, ...]", gradient),
        cast("tuple[Decay, ...]", decay),
        cast("tuple[WeightPenalty, ...]", prox),
        cast("tuple[JointPenalty, ...]", joint_prox),
        cast("tuple[Constraint, ...]", projection),
        cast("tuple[DropConnect, ...]", mask),
    )
