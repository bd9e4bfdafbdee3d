"""Group memberships of the indices of several parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from thinnet.penalties._group_numbers import group_numbers, group_slots, known_groups

Memberships = Mapping[str, tuple[int, Sequence[int]]]
"""Per parameter: a dimension, and the number of the group of each index along it; -1 where it is in none."""


class Members(Mapping[str, tuple[int, tuple[int, ...]]]):
    """Checked group memberships, and the index tensors for sums over groups.

    Groups stand in *slots* 0, 1, ... in the order of their numbers; one more slot, the last, takes what is in no group.

    Args:
        members: the memberships.
        rule: the name of the rule that has them, for errors.

    Raises:
        TypeError: something in it is of another kind.
        ValueError: it holds no group, or a number below -1.
    """

    def __init__(self, members: Memberships, rule: str = "CoupledGroupLasso") -> None:
        if not isinstance(members, Mapping):
            raise TypeError(
                f"{rule}: `members` must map names of parameters to (dimension, group numbers), got {members!r}."
            )
        checked = {name: _checked(rule, name, entry) for name, entry in members.items()}
        numbers = torch.cat([numbers for _, numbers in checked.values()]) if checked else torch.zeros(0)
        known = known_groups(numbers)
        if not known.numel():
            raise ValueError(f"{rule}: `members` has no group: every index is in none (-1).")
        self.groups, self._rule = known.numel(), rule
        self._plain = {name: (dim, tuple(numbers.tolist())) for name, (dim, numbers) in checked.items()}
        self._slots = {
            (name, torch.device("cpu")): group_slots(numbers, known) for name, (_, numbers) in checked.items()
        }

    @classmethod
    def of(cls, members: Memberships, rule: str = "CoupledGroupLasso") -> Self:
        """The members themselves where they were checked already."""
        return members if isinstance(members, cls) else cls(members, rule)

    def __getitem__(self, name: str) -> tuple[int, tuple[int, ...]]:
        return self._plain[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    def __hash__(self) -> int:
        return hash(frozenset(self._plain))

    def __reduce__(self) -> tuple[type[Self], tuple[Memberships, str]]:
        return type(self), (self._plain, self._rule)  # copies have no use for another device's tensors

    def slots(self, name: str, device: torch.device) -> Tensor:
        """The slot of each index, kept for the next time on that device."""
        if (name, device) not in self._slots:
            self._slots[name, device] = self._slots[name, torch.device("cpu")].to(device)
        return self._slots[name, device]

    def check(self, name: str, shape: Sequence[int]) -> None:
        """Refuse a parameter that is not named, or that has another shape than its entry says."""
        if name not in self._plain:
            raise ValueError(f"{self._rule}: {name} is not in `members`, which names {', '.join(self._plain)}.")
        dim, numbers = self._plain[name]
        if dim >= len(shape) or shape[dim] != len(numbers):
            raise ValueError(
                f"{self._rule}: {name} has shape {tuple(shape)}, but its members are {len(numbers)} along "
                f"dimension {dim}; make the groups again for this model."
            )


def _checked(rule: str, name: object, entry: object) -> tuple[int, Tensor]:
    """The dimension and the group numbers of one parameter."""
    if not isinstance(name, str):
        raise TypeError(f"{rule}: `members` must name parameters by strings, got {name!r}.")
    if not isinstance(entry, list | tuple) or len(entry) != 2:
        raise TypeError(f"{rule}: `members` of {name} must be (dimension, group numbers), got {entry!r}.")
    dim, numbers = entry
    if isinstance(dim, bool) or not isinstance(dim, int) or dim < 0:
        raise TypeError(f"{rule}: the dimension of {name} must be a whole number >= 0, got {dim!r}.")
    whose, each = f"{rule}: the group numbers of {name}", f"index along dimension {dim}"
    return dim, group_numbers(whose, each, numbers)
