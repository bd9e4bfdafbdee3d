"""What a plan may put on a parameter: the contract that penalties, decays and constraints share."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

Strength = float | Tensor
"""A strength: one number, or a tensor whose dimensions are the leading (stack) dimensions of the weights it acts on."""

Coupling = Literal["elements", "outputs", "inputs", "members"]
"""Which weights a rule looks at together: each alone, one output's (a row), one input's (a column), or those of groups
that it names itself."""


@dataclass(frozen=True, eq=False)
class Rule:
    """Anything that a plan may put on a parameter.

    A rule holds settings and calls pure functions. Its *dials* are the fields that say how strongly it acts; each may
    be a number or a tensor of shape `stack`, and then acts on weights of shape `(*stack, out, in, ...)` member by
    member.

    `a + b` puts both on the same parameter.
    """

    dials: ClassVar[tuple[str, ...]] = ("strength",)

    def __post_init__(self) -> None:
        for dial in self.dials:
            object.__setattr__(self, dial, check_dial(type(self).__name__, dial, getattr(self, dial)))

    @property
    def couples(self) -> Coupling:
        """Which weights it looks at together."""
        return "elements"

    @property
    def induces_zeros(self) -> bool:
        """Whether it sets weights to exactly zero."""
        return False

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

    def stacked(self, dials: Mapping[str, Tensor]) -> Self:
        """The same rule for a stack of members, with these dials of shape `(K,)`."""
        return dataclasses.replace(self, **dials)

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


def check_dial(rule: str, dial: str, value: object) -> Strength:
    """The dial as a float or a floating-point tensor; one that is negative or not a number is refused by name."""
    if isinstance(value, Tensor):
        if value.is_complex() or value.dtype == torch.bool:
            raise TypeError(f"{rule}: `{dial}` must be a tensor of real numbers, got one of {value.dtype}.")
        value = value if value.is_floating_point() else value.double()
        lowest, allowed = float(value.detach().min()) if value.numel() else 0.0, bool((value >= 0).all())
    elif isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{rule}: `{dial}` must be a number or a tensor, got {value!r} ({type(value).__name__}).")
    else:
        value = lowest = float(value)
        allowed = lowest >= 0
    if not allowed:
        raise ValueError(f"{rule}: `{dial}` must be >= 0, got {lowest}.")
    return value


def finite_dial(rule: str, dial: str, value: Strength) -> None:
    """Refuse a dial that is infinite, by name."""
    finite = bool(torch.isfinite(value).all()) if isinstance(value, Tensor) else math.isfinite(value)
    if not finite:
        raise ValueError(f"{rule}: `{dial}` must be finite, got {value}.")


def precise(w: Tensor) -> Tensor:
    """The weights in float32 or better: the precision that sums and steps are worked out in."""
    if not w.is_floating_point():
        raise TypeError(f"rules act on floating-point weights, got {w.dtype}.")
    return w.to(torch.promote_types(w.dtype, torch.float32))


def spread(dial: Strength, w: Tensor) -> Strength:
    """The dial shaped so that its dimensions meet the leading dimensions of `w`, in the precision of `precise(w)`."""
    if not isinstance(dial, Tensor):
        return dial
    if dial.shape != w.shape[: dial.ndim]:
        raise ValueError(
            f"a strength of shape {tuple(dial.shape)} acts on a stack of weights {(*dial.shape, '...')}, "
            f"got weights {tuple(w.shape)}."
        )
    dial = dial.to(device=w.device, dtype=torch.promote_types(w.dtype, torch.float32))
    return dial.reshape(dial.shape + (1,) * (w.ndim - dial.ndim))


def quotient(dividend: Strength, divisor: Tensor) -> Tensor:
    """The quotient, rounded the same whether the dividend is a number or a tensor."""
    # a number over a tensor would be a reciprocal, then a product: two passes and two roundings
    if not isinstance(dividend, Tensor):
        dividend = torch.full((), dividend, dtype=divisor.dtype, device=divisor.device)
    return dividend / divisor


def stack_depth(*dials: Strength) -> int:
    """How many leading dimensions of the weights belong to the stack."""
    return max((dial.ndim for dial in dials if isinstance(dial, Tensor)), default=0)


def group_view(w: Tensor, by: Literal["outputs", "inputs"], depth: int) -> tuple[Tensor, tuple[int, ...]]:
    """The weights `(*stack, out, in, ...)` as a view, and the dimensions of that view that lie inside one group.

    Outputs are the first dimension after the stack's `depth`, inputs the second; every other one is inside the group.
    """
    needed = depth + (1 if by == "outputs" else 2)
    if w.ndim < needed:
        raise ValueError(
            f"grouping by {by} needs weights of at least {needed} dimensions"
            f"{f' ({depth} of them the stack)' if depth else ''}, got shape {tuple(w.shape)}."
        )
    inside = math.prod(w.shape[needed:])
    return w.reshape(*w.shape[:needed], inside), (-1,) if by == "outputs" else (-3, -1)


def group_norms(view: Tensor, inside: tuple[int, ...]) -> Tensor:
    """Euclidean norms over the dimensions `inside`, which are kept with length 1; the gradient at zero is zero."""
    return roots(view.square().sum(inside, keepdim=True))


def roots(squares: Tensor) -> Tensor:
    """Square roots, for which `squares` may be used up; the gradient at zero is zero."""
    if not squares.requires_grad:
        return squares.sqrt_()
    # sqrt of 1 in place of 0: the derivative of sqrt at 0 is infinite, and 0 * inf is NaN
    return squares.where(squares > 0, 1).sqrt() * (squares > 0)


def stack_rules(rules: Sequence[Rule]) -> Rule:
    """One rule for a stack of `len(rules)` members out of one rule each, alike in all but their dials.

    Example:
        >>> from thinnet import L1
        >>> stack_rules([L1(0.0), L1(2.0)])
        L1(strength=[0.0, 2.0])
    """
    if not rules:
        raise ValueError("a stack needs at least one rule, got none.")
    first = rules[0]
    if isinstance(first, Rules) and all(isinstance(r, Rules) and len(r.rules) == len(first.rules) for r in rules):
        return Rules(tuple(stack_rules(parts) for parts in zip(*(rule.parts() for rule in rules), strict=True)))
    for rule in rules:
        if type(rule) is not type(first) or _fixed(rule) != _fixed(first):
            raise ValueError(
                f"only rules that differ in nothing but their strength stack: {first!r} and {rule!r} do not."
            )
    for rule, dial in itertools.product(rules, first.dials):
        value = getattr(rule, dial)
        if isinstance(value, Tensor) and value.ndim:
            raise ValueError(f"{rule!r} is of a stack already: `{dial}` must be one number to be stacked.")
    return first.stacked(
        {d: torch.tensor([float(getattr(rule, d)) for rule in rules], dtype=torch.float64) for d in first.dials}
    )


def _fixed(rule: Rule) -> dict[str, object]:
    """The settings that are no dials."""
    return {name: value for name, value in rule.settings().items() if name not in rule.dials}
