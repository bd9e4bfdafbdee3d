"""What a plan may put on a parameter: the contract that penalties, decays and constraints share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

Strength = float | Tensor
"""A strength: one number, or a tensor whose dimensions are the leading (stack) dimensions of the weights it acts on."""

Coupling = Literal["elements", "outputs", "inputs"]
"""Which weights a rule looks at together: each alone, one output's (a row), or one input's (a column)."""


@dataclass(frozen=True, eq=False)
class Rule:
    """Anything that a plan may put on a parameter.

    A rule holds settings and calls pure functions. Its *dials* are the fields that say how strongly it acts; each may
    be a number or a tensor of shape `stack`, and then acts on weights of shape `(*stack, out, in, ...)` member by
    member.

    `a + b` puts both on the same parameter.
    """

    dials: ClassVar[tuple[str, ...]] = ("strength",)
    couples: ClassVar[Coupling] = "elements"

    def __post_init__(self) -> None:
        for dial in self.dials:
            check_dial(type(self).__name__, dial, getattr(self, dial))

    def parts(self) -> tuple[Rule, ...]:
        """The single rules that this one is the sum of, in order."""
        return (self,)

    def __add__(self, other: Rule) -> Rules:
        if not isinstance(other, Rule):
            return NotImplemented
        return Rules((*self.parts(), *other.parts()))

    def __mul__(self, factor: float) -> Self:
        """The same rule, every dial times `factor`."""
        if not isinstance(factor, int | float | Tensor):
            return NotImplemented
        return dataclasses.replace(self, **{dial: getattr(self, dial) * factor for dial in self.dials})

    __rmul__ = __mul__

    def settings(self) -> dict[str, object]:
        """Every field by name, tensors as nested lists: what `repr`, `==` and JSON go by."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: v.tolist() if isinstance(v, Tensor) else v for name, v in values.items()}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Rule) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash((type(self), repr(self.settings())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.settings().items())})"


@dataclass(frozen=True, eq=False, repr=False)
class Rules(Rule):
    """Several rules on one parameter, applied in order."""

    rules: tuple[Rule, ...]
    dials: ClassVar[tuple[str, ...]] = ()

    def parts(self) -> tuple[Rule, ...]:
        """The single rules, in order."""
        return self.rules

    def __mul__(self, factor: float) -> Self:
        return type(self)(tuple(rule * factor for rule in self.rules))

    __rmul__ = __mul__

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.rules))


def check_dial(rule: str, dial: str, value: Strength) -> None:
    """Refuse a dial that is negative or not a number, by name."""
    if isinstance(value, Tensor):
        lowest = float(value.min()) if value.numel() else 0.0
        bad = not bool((value >= 0).all())
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{rule}: `{dial}` must be a number or a tensor, got {value!r} ({type(value).__name__}).")
    else:
        lowest, bad = float(value), not value >= 0
    if bad:
        raise ValueError(f"{rule}: `{dial}` must be >= 0, got {lowest}.")


def finite_dial(rule: str, dial: str, value: Strength) -> None:
    """Refuse a dial that is infinite, by name."""
    finite = bool(torch.isfinite(value).all()) if isinstance(value, Tensor) else math.isfinite(value)
    if not finite:
        raise ValueError(f"{rule}: `{dial}` must be finite, got {value}.")


def spread(dial: Strength, w: Tensor) -> Strength:
    """The dial shaped so that its dimensions meet the leading dimensions of `w`."""
    if not isinstance(dial, Tensor) or dial.ndim == 0:
        return dial
    if dial.shape != w.shape[: dial.ndim]:
        raise ValueError(
            f"a strength of shape {tuple(dial.shape)} needs weights of leading dimensions alike, got {tuple(w.shape)}."
        )
    return dial.reshape(*dial.shape, *(1,) * (w.ndim - dial.ndim))


def stack_depth(*dials: Strength) -> int:
    """How many leading dimensions of the weights belong to the stack."""
    return max(dial.ndim if isinstance(dial, Tensor) else 0 for dial in dials)


def stack_rules(rules: Sequence[Rule]) -> Rule:
    """One rule for a stack of `len(rules)` members out of one rule each, alike in all but their dials.

    Example:
        >>> from thinnet import L1
        >>> stack_rules([L1(0.0), L1(2.0)])
        L1(strength=[0.0, 2.0])
    """
    first = rules[0]
    alike = {name: value for name, value in first.settings().items() if name not in first.dials}
    for rule in rules:
        if type(rule) is not type(first) or any(rule.settings()[name] != value for name, value in alike.items()):
            raise ValueError(
                f"only rules that differ in nothing but their strength stack: {first!r} and {rule!r} do not."
            )
    dials = {d: torch.tensor([float(getattr(rule, d)) for rule in rules], dtype=torch.float64) for d in first.dials}
    return dataclasses.replace(first, **dials)
