"""The contract of a penalty over groups of weights that lie in several parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from thinnet.penalties._base import Penalty
from thinnet.penalties._group_members import Members, Memberships
from thinnet.rule import Acts, GroupedBy


@dataclass(frozen=True, eq=False, repr=False)
class JointPenalty(Penalty, ABC):
    """A penalty over several weights at once, whose groups name the parameters that they lie in.

    In a plan it governs exactly the parameters that it names. They are given by name and as stored. Where only some of
    them are given (the others are frozen, or have no gradient at this step), a group is what is given of it.

    Args:
        strength: s >= 0, a number.
        members: per name of a parameter: the dimension, of the parameter as stored, along which its indices belong to
            groups, and the number of the group of each index, -1 for none. Weights of no group are left alone.

    Raises:
        ValueError: the strength is negative, NaN or infinite, or there is no group.
        TypeError: the strength is no number (a stack has no groups across parameters), or `members` is of another form.
    """

    strength: float
    members: Memberships
    acts: ClassVar[Acts] = "joint prox"

    def __post_init__(self) -> None:
        strength: object = self.strength
        if isinstance(strength, Tensor):
            raise TypeError(
                f"{type(self).__name__}: `strength` must be a number, got a tensor of shape {tuple(strength.shape)}: "
                "groups that span parameters have no stack of members; give each model a rule of its own."
            )
        super().__post_init__()
        object.__setattr__(self, "members", Members.of(self.members, type(self).__name__))

    @property
    def grouping(self) -> GroupedBy:
        """The weights of its members."""
        return "members"

    @property
    def kind(self) -> tuple[object, ...]:
        """The class and the members."""
        return type(self), self.members

    @property
    def parameter_names(self) -> Collection[str]:
        """The names of its members."""
        return self.members.keys()

    def governs(self, names: Collection[str], claimed: bool) -> bool:
        """Whether it names the weight; the key does not matter."""
        return self.member_name(names) is not None

    def member_name(self, names: Collection[str]) -> str | None:
        """The first of a weight's names among its members; None where it has none of them.

        Raises:
            ValueError: the groups know a tied weight by two of its names, and say different things of it.
        """
        known = [name for name in names if name in self.members]
        if len({self.members[name] for name in known}) > 1:
            raise ValueError(
                f"{self!r} has {' and '.join(known)} in different groups, but they are one tied weight; name one of "
                "them."
            )
        return known[0] if known else None

    def check(self, name: str, shape: Sequence[int]) -> None:
        """Refuse, by name, a parameter that `members` does not name or that has another shape than they say."""
        Members.of(self.members).check(name, shape)

    def kept(self, indices: Mapping[str, Mapping[int, Tensor]]) -> Self | None:
        """The same rule for parameters of which only these indices are left; None where no group is.

        Args:
            indices: per parameter, per dimension: the indices that are kept, in order; all of them where it says
                nothing.
        """
        left = {
            name: (dim, [numbers[i] for i in indices.get(name, {}).get(dim, torch.arange(len(numbers))).tolist()])
            for name, (dim, numbers) in self.members.items()
        }
        if all(number < 0 for _, numbers in left.values() for number in numbers):
            return None
        return replace(self, members=left)

    def settings(self) -> dict[str, object]:
        """The strength, and the members as plain lists."""
        return super().settings() | {"members": {name: [d, list(n)] for name, (d, n) in self.members.items()}}

    @abstractmethod
    def value(self, ws: Mapping[str, Tensor]) -> Tensor:
        """P of the parameters given, differentiable, a scalar in float32 or better.

        Args:
            ws: parameters by name, as stored; all that `members` names, or some of them.
        """

    @abstractmethod
    def prox_(self, ws: Mapping[str, Tensor], metrics: Mapping[str, Tensor | float]) -> None:
        """See `prox`; the outcome is written into `ws`."""

    def prox(self, ws: Mapping[str, Tensor], metrics: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        r"""argmin_u ½ Σ D (u − w)² + P(u): the proximal step.

        Args:
            ws: parameters by name, as stored; all that `members` names, or some of them.
            metrics: D of each, positive and finite: of its shape, or one number. After a step of an optimizer it is the
                optimizer's metric divided by the length of the step, which may differ from parameter to parameter.
        """
        stepped = {name: w.detach().clone() for name, w in ws.items()}
        self.prox_(stepped, metrics)
        return stepped

    def __repr__(self) -> str:
        groups, parameters = Members.of(self.members).groups, len(self.members)
        name = type(self).__name__
        return f"{name}(strength={self.strength}, members=<{groups} groups in {parameters} parameters>)"
