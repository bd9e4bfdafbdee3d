"""The record of a graph's dependency groups: labels of every tensor, and the operations that consume them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from torch import Tensor, fx

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._consumer import Consumer, Fold, Rescale
from thinnet.compaction.analyze._dependency_groups import DependencyGroups, Pin
from thinnet.compaction.analyze._trace import Trace, operation, origin

FIXED = "meets a dimension of fixed size"


class DependencyGraph:
    """The dependency groups of all tensors of a graph, and their consumers.

    Attributes:
        groups: the partition of labels.
        axes: of each node.
        parameters: of each parameter and buffer by name, per dimension: labels (n,), None for length 1.
        consumers: every place where a labelled dimension is summed over.
        balances: labels (rows, n) of which every row must lose as many.
        merged: axes along several dimensions, which are made rectangular at the end.
    """

    def __init__(self, trace: Trace, values: dict[fx.Node, Any]) -> None:
        self.trace = trace
        self.groups = DependencyGroups()
        self.axes: dict[fx.Node, Any] = {}
        self.parameters: dict[str, tuple[Tensor | None, ...]] = {}
        self.consumers: list[Consumer] = []
        self.balances: list[Tensor] = []
        self.merged: list[Axis] = []
        self.values = values

    def along(self, node: fx.Node, dim: int) -> Tensor | None:
        """The labels (n,) along one dimension of a node's tensor; None where its size is fixed."""
        tensor = self.values[node].data
        dim %= max(tensor.ndim, 1)
        for axis in self.singles(node):
            if axis.dims == (dim,):
                return axis.labels.flatten()
        return None

    def singles(self, node: fx.Node) -> Axes:
        """The axes of a node's tensor, each along one dimension."""
        axes = [self.single(axis) for axis in self.axes.get(node, ())]
        taken: dict[tuple[int, ...], Axis] = {}
        for axis in sorted(axes, key=lambda axis: axis.alike):
            if axis.dims in taken:
                why = Pin(operation(node), str(origin(node)), "two dimensions were merged; one of them is kept whole")
                self.groups.pin(axis.labels, why)
            elif axis.dims:
                taken[axis.dims] = axis
        found = self.axes[node] = tuple(taken.values())
        return found

    def single(self, axis: Axis) -> Axis:
        """The axis along one dimension: labels in one slice of the outermost are united."""
        if len(axis.dims) < 2:
            return axis
        roots = self.groups.roots(axis.labels)
        differ = [d for d in axis.dims if bool((roots != roots.narrow(d, 0, 1)).any())]
        places = differ or list(axis.dims)
        outer = places[-1] if axis.balanced else places[0]
        rows = axis.labels.movedim(outer, 0).flatten(1)
        if len(differ) > 1:
            self.groups.unite(rows[:, :1].expand_as(rows), rows)
        return Axis.along(outer, rows[:, 0], axis.labels.ndim, alike=axis.alike)

    def pin(self, axes: Iterable[Axis | Tensor | None], call: Call, reason: str) -> None:
        """Mark these as not removable because of this call."""
        for axis in axes:
            labels = axis.labels if isinstance(axis, Axis) else axis
            if labels is not None:
                self.groups.pin(labels, Pin(call.name, str(origin(call.node)), reason))

    def match(self, one: Tensor | None, other: Tensor | None, call: Call, reason: str = FIXED) -> Tensor | None:
        """Two dimensions that must have one length: unite their labels, or pin those that meet a fixed size."""
        if one is None or other is None:
            self.pin((one, other), call, reason)
            return one if other is None else other
        self.groups.unite(one, other)
        return one

    def consume(
        self,
        call: Call,
        labels: Tensor | None,
        silent: Tensor,
        *,
        weight: Tensor | None = None,
        outputs: Tensor | None = None,
        fold: Fold | None = None,
        rescale: Rescale | None = None,
        source: tuple[object, int] | None = None,
    ) -> None:
        """Note that a labelled dimension is summed over; see `Consumer`."""
        if labels is None:
            return
        name = self.trace.names.get(source[0]) if source and isinstance(source[0], fx.Node) else None
        named = None if name is None or source is None else (name, source[1])
        # labels are small and stay where Python is; what the model's device has found out comes to them
        taken = None if weight is None else weight.cpu()
        amounts = None if fold is None else dataclasses.replace(fold, amounts=fold.amounts.cpu())
        self.consumers.append(Consumer(call, labels, silent.cpu(), taken, outputs, amounts, rescale, named))

    def length(self, name: str, dim: int) -> int:
        """The length of a parameter's dimension."""
        labels = self.parameters[name][dim]
        return 1 if labels is None else len(labels)

    def tensor(self, name: str) -> Tensor:
        """A parameter or buffer by name."""
        found = next(self.trace.values[node] for node, found in self.trace.names.items() if found == name)
        assert isinstance(found, Tensor)
        return found

    def joint(self, axes: Axes) -> Axes:
        """The same axes; those along several dimensions are noted, to be made rectangular at the end."""
        self.merged += [axis for axis in axes if len(axis.dims) > 1 and not axis.balanced]
        return axes

    def uses(self, name: str) -> int:
        """How many operations use a parameter."""
        return sum(len(node.users) for node, found in self.trace.names.items() if found == name)
