"""Dependency groups: sets of slices of tensors that can only be removed together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pin:
    """Why slices cannot be removed.

    Args:
        operation: the operation that needs them.
        where: its module and line.
        reason: what it needs them for.
    """

    operation: str
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.operation} in {self.where}: {self.reason}"


class DependencyGroups:
    """Union-find over labels of slices, some of them pinned.

    A label is a number that stands for one slice of one parameter; those united can only be removed together. Zero is
    no label.
    """

    def __init__(self) -> None:
        self._parents = [0]
        self._pins: dict[int, Pin] = {}

    @property
    def count(self) -> int:
        """One more than the largest label."""
        return len(self._parents)

    def fresh(self, n: int) -> Tensor:
        """New labels, shape (n,)."""
        first = len(self._parents)
        self._parents.extend(range(first, first + n))
        return torch.arange(first, first + n)

    def unite(self, a: Tensor, b: Tensor) -> None:
        """Make each label of `a` one with that of `b` in the same place."""
        pairs = torch.stack([a.flatten(), b.flatten()])
        for one, other in torch.unique(pairs[:, pairs[0] != pairs[1]], dim=1).T.tolist():
            self._unite(one, other)

    def pin(self, labels: Tensor, why: Pin) -> None:
        """Mark the groups of these labels as not removable; the first reason is kept."""
        for label in torch.unique(labels).tolist():
            self._pins.setdefault(self._root(label), why)

    def roots(self, labels: Tensor) -> Tensor:
        """The label that stands for each label's group, same shape."""
        values, places = torch.unique(labels, return_inverse=True)
        return torch.tensor([self._root(label) for label in values.tolist()], dtype=torch.int64)[places]

    def pins(self) -> dict[int, Pin]:
        """Why groups cannot be removed, by their root."""
        return {self._root(label): pin for label, pin in self._pins.items()}

    def _root(self, label: int) -> int:
        parents = self._parents
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label

    def _unite(self, one: int, other: int) -> None:
        keep, gone = sorted((self._root(one), self._root(other)))
        if keep == gone:
            return
        self._parents[gone] = keep
        if gone in self._pins:
            pin = self._pins.pop(gone)
            self._pins.setdefault(keep, pin)
