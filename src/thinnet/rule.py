"""The contract of a rule: what penalties, decays, constraints and masks share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor

from thinnet._strength import Strength, check_strength

GroupedBy = Literal["elements", "outputs", "inputs", "members"]
"""Which weights a rule treats as one: each alone, those of an output (a row), of an input (a column), or of the groups
that it names itself."""

Acts = Literal["gradient", "decay", "prox", "joint prox", "projection", "mask"]
"""What a rule does to a weight, in the order in which rules act around an optimizer's step.

Before the step a *gradient* is added to the loss's and *decay* shrinks the weights. After it come the proximal step of
one weight (*prox*), that of several weights together (*joint prox*) and the *projection*. A *mask* acts in the forward
pass.
"""

ACTS: tuple[Acts, ...] = get_args(Acts)

_METHODS: dict[Acts, str] = {
    "gradient": "gradient",
    "decay": "shrink",
    "prox": "prox",
    "joint prox": "prox_",
    "projection": "project",
}
"""The method by which a rule does it."""


@dataclass(frozen=True, eq=False)
class Rule:
    """A penalty, decay, constraint or mask: anything that a plan may put on a parameter.

    A rule holds settings and calls pure functions. It declares once, as a class variable, what it does (`acts`), and
    everything that puts rules to work goes by that. Its *strengths* are the fields that say how strongly it acts; each
    may be a number or a tensor of shape `stack`, and then acts on weights of shape `(*stack, out, in, ...)` member by
    member.

    `a + b` puts both on the same parameter.

    Raises:
        TypeError: a class declares something that `Acts` does not list or lacks the method for it, or a rule is made of
            a class that declares nothing.
    """

    acts: ClassVar[Acts]
    strength_fields: ClassVar[tuple[str, ...]] = ("strength",)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        acts = getattr(cls, "acts", None)
        if acts is None:
            return  # the base of rules that do different things
        if acts not in ACTS:
            raise TypeError(f"{cls.__name__}: `acts` must be one of {', '.join(map(repr, ACTS))}, got {acts!r}.")
        method = _METHODS.get(acts)
        if method is not None and not callable(getattr(cls, method, None)):
            raise TypeError(f"{cls.__name__}: acts as {acts!r}, so it must have a method `{method}`.")

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not hasattr(self, "acts"):
            raise TypeError(f"{name}: declare what it does: set `acts` to one of {', '.join(map(repr, ACTS))}.")
        for field, value in self.strengths.items():
            object.__setattr__(self, field, check_strength(name, field, value))

    @property
    def strengths(self) -> dict[str, Strength]:
        """Its strengths by the names of their fields."""
        return {field: getattr(self, field) for field in self.strength_fields}

    @property
    def grouping(self) -> GroupedBy:
        """Which weights it treats as one."""
        return "elements"

    @property
    def in_cost(self) -> bool:
        """Whether it is a term of the cost: a penalty."""
        return self.acts in ("gradient", "prox", "joint prox")

    @property
    def induces_zeros(self) -> bool:
        """Whether it sets weights to exactly zero: a penalty that is not smooth, and so acts by a proximal step."""
        return self.acts in ("prox", "joint prox")

    @property
    def acts_after_step(self) -> bool:
        """Whether it changes weights after the optimizer's step."""
        return self.acts in ("prox", "joint prox", "projection")

    @property
    def has_effect(self) -> bool:
        """Whether it can change anything: False where all of its strengths are zero."""
        strengths = self.strengths.values()
        return not strengths or any(bool((torch.as_tensor(strength) != 0).any()) for strength in strengths)

    @property
    def kind(self) -> tuple[object, ...]:
        """The class and its groups: a later rule of a plan replaces an earlier one of the same kind."""
        return type(self), self.grouping

    @property
    def parameter_names(self) -> Collection[str] | None:
        """The parameters that it names itself and governs under whatever key of a plan; None where the key says."""
        return None

    def governs(self, names: Collection[str], claimed: bool) -> bool:
        """Whether it is on a weight of these names, where its key in the plan has `claimed` the weight or not."""
        return claimed

    def check(self, name: str, shape: Sequence[int]) -> None:
        """Refuse, by name, a weight of a shape, as the rule sees it, that its groups do not fit."""

    def kept(self, indices: Mapping[str, Mapping[int, Tensor]]) -> Rule | None:
        """The rule for parameters of which only these indices are left; None where nothing of it is.

        Args:
            indices: per parameter, per dimension: the indices that are kept, in order; all of them where it says
                nothing.
        """
        return self

    def parts(self) -> tuple[Rule, ...]:
        """The single rules that this one is the sum of, in order."""
        return (self,)

    def __add__(self, other: Rule) -> Rules:
        if not isinstance(other, Rule):
            return NotImplemented
        return Rules((*self.parts(), *other.parts()))

    def __mul__(self, factor: float) -> Self:
        """The same rule, every strength times `factor`."""
        if not isinstance(factor, int | float | Tensor):
            return NotImplemented
        return dataclasses.replace(self, **{field: value * factor for field, value in self.strengths.items()})

    __rmul__ = __mul__

    def stacked(self, strengths: Mapping[str, Tensor]) -> Self:
        """The same rule for a stack of members, with these strengths of shape `(K,)`."""
        return dataclasses.replace(self, **strengths)

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
    """Several rules on one parameter; what each does, not how the sum is written, decides in which order they act."""

    rules: tuple[Rule, ...]
    strength_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Nothing to check: its parts were."""

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


def check_finite(rule: Rule) -> None:
    """Refuse an infinite strength, by name."""
    for field, value in rule.strengths.items():
        finite = bool(torch.isfinite(value).all()) if isinstance(value, Tensor) else math.isfinite(value)
        if not finite:
            raise ValueError(f"{type(rule).__name__}: `{field}` must be finite, got {value}.")


def stack_rules(rules: Sequence[Rule]) -> Rule:
    """Stack one rule for each of `len(rules)` members, alike in all but their strengths, into one rule.

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
        if type(rule) is not type(first) or fixed_settings(rule) != fixed_settings(first):
            raise ValueError(
                f"only rules that differ in nothing but their strength stack: {first!r} and {rule!r} do not."
            )
    for rule in rules:
        for field, value in rule.strengths.items():
            if isinstance(value, Tensor) and value.ndim:
                raise ValueError(f"{rule!r} is of a stack already: `{field}` must be one number to be stacked.")
    columns = {field: [float(rule.strengths[field]) for rule in rules] for field in first.strength_fields}
    return first.stacked({field: torch.tensor(column, dtype=torch.float64) for field, column in columns.items()})


def fixed_settings(rule: Rule) -> dict[str, object]:
    """Return the settings that are not strengths: those in which the rules of a stack are alike."""
    return {name: value for name, value in rule.settings().items() if name not in rule.strength_fields}
