"""Labels on their way through a graph."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from thinnet.compaction._axes import Axes, Axis
from thinnet.compaction._evaluate import is_elementwise
from thinnet.compaction._labels import Labels, Pin
from thinnet.compaction._read import Fold, Read, Rescale
from thinnet.compaction._trace import Trace, operation, origin
from thinnet.compaction.rules import LABELLING, Call, labelling_of_elementwise


@dataclass(frozen=True)
class Stop:
    """A module whose sizes must stay, found out by running a smaller model.

    Args:
        reason: why.
        everything: whether everything stays that its operations touch, or only what its reshapes do.
    """

    reason: str
    everything: bool = False


FIXED = "meets a dimension of fixed size"


class Flow:
    """The labels of every tensor in a graph, what may go together, and what reads it.

    Attributes:
        labels: the partition.
        axes: of each node.
        parameters: of each parameter and buffer by name, per dimension: labels (n,), None for length 1.
        reads: every place where a labelled dimension is summed over.
        balances: labels (rows, n) that must lose as many in every row.
    """

    def __init__(self, trace: Trace, known: dict[fx.Node, Any], stops: Mapping[str, Stop] | None = None) -> None:
        self.trace = trace
        self.labels = Labels()
        self.axes: dict[fx.Node, Any] = {}
        self.parameters: dict[str, tuple[Tensor | None, ...]] = {}
        self.reads: list[Read] = []
        self.balances: list[Tensor] = []
        self.known = known
        self._stops = stops or {}
        self._joint: list[Axis] = []
        self._place()
        for node in trace.graph.nodes:
            if node.op == "call_function":
                self._follow(node)
        for node in trace.outputs:
            for axis in _flat(self.axes.get(node, ())):
                self.labels.pin(axis.labels, Pin("output", origin(node).kind or "the model", "the model returns it"))
        for axis in self._joint:
            self.single(axis)
        self._settle_folds()

    def along(self, node: fx.Node, dim: int) -> Tensor | None:
        """The labels (n,) along one dimension of a node's tensor; None where its size is fixed."""
        tensor = self.known[node].data
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
                self.labels.pin(axis.labels, why)
            elif axis.dims:
                taken[axis.dims] = axis
        found = self.axes[node] = tuple(taken.values())
        return found

    def single(self, axis: Axis) -> Axis:
        """The axis along one dimension: what lies in one slice of the outermost is made to go together."""
        if len(axis.dims) < 2:
            return axis
        roots = self.labels.roots(axis.labels)
        differ = [d for d in axis.dims if bool((roots != roots.narrow(d, 0, 1)).any())]
        places = differ or list(axis.dims)
        outer = places[-1] if axis.balanced else places[0]
        rows = axis.labels.movedim(outer, 0).flatten(1)
        if len(differ) > 1:
            self.labels.unite(rows[:, :1].expand_as(rows), rows)
        return Axis.along(outer, rows[:, 0], axis.labels.ndim, alike=axis.alike)

    def pin(self, axes: Iterable[Axis | Tensor | None], call: Call, reason: str) -> None:
        """Say that these stay because of this call."""
        for axis in axes:
            labels = axis.labels if isinstance(axis, Axis) else axis
            if labels is not None:
                self.labels.pin(labels, Pin(call.name, str(origin(call.node)), reason))

    def match(self, one: Tensor | None, other: Tensor | None, call: Call, reason: str = FIXED) -> Tensor | None:
        """Two dimensions that must have one length: unite their labels, or pin those that meet a fixed size."""
        if one is None or other is None:
            self.pin((one, other), call, reason)
            return one if other is None else other
        self.labels.unite(one, other)
        return one

    def read(
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
        """Note that a labelled dimension is summed over; see `Read`."""
        if labels is None:
            return
        name = self.trace.names.get(source[0]) if source and isinstance(source[0], fx.Node) else None
        named = None if name is None or source is None else (name, source[1])
        # labels are small and stay where Python is; what the model's device has found out comes to them
        taken = None if weight is None else weight.cpu()
        amounts = None if fold is None else dataclasses.replace(fold, amounts=fold.amounts.cpu())
        self.reads.append(Read(call, labels, silent.cpu(), taken, outputs, amounts, rescale, named))

    def length(self, name: str, dim: int) -> int:
        """The length of a parameter's dimension."""
        labels = self.parameters[name][dim]
        return 1 if labels is None else len(labels)

    def tensor(self, name: str) -> Tensor:
        """A parameter or buffer by name."""
        found = next(self.trace.values[node] for node, known in self.trace.names.items() if known == name)
        assert isinstance(found, Tensor)
        return found

    def joint(self, axes: Axes) -> Axes:
        """The same axes; those along several dimensions are made rectangular at the end."""
        self._joint += [axis for axis in axes if len(axis.dims) > 1 and not axis.balanced]
        return axes

    def uses(self, name: str) -> int:
        """How many operations use a parameter."""
        return sum(len(node.users) for node, known in self.trace.names.items() if known == name)

    def _settle_folds(self) -> None:
        """Constants go into the bias of a layer that is used several times if they are the same each time."""
        for place, read in enumerate(self.reads):
            if read.fold is None:
                continue
            alike = [r.fold for r in self.reads if r.fold is not None and r.fold.bias == read.fold.bias]
            amounts = read.fold.amounts
            if len(alike) != read.fold.uses:
                amounts = torch.full_like(amounts, torch.nan)
            for other in alike:
                if other is not read.fold:
                    amounts = torch.where(amounts == other.amounts, amounts, torch.nan)
            self.reads[place] = dataclasses.replace(read, fold=dataclasses.replace(read.fold, amounts=amounts))

    def _place(self) -> None:
        """Fresh labels on every dimension of every parameter and buffer, tied ones once."""
        placed: dict[int, Axes] = {}
        dims: dict[int, tuple[Tensor | None, ...]] = {}
        for node, name in self.trace.names.items():
            tensor = self.trace.values[node]
            key = id(tensor)
            if key not in placed:
                fresh = [self.labels.fresh(n) if n > 1 else None for n in tensor.shape]
                dims[key] = tuple(fresh)
                placed[key] = tuple(Axis.along(d, f, tensor.ndim) for d, f in enumerate(fresh) if f is not None)
            self.axes[node] = placed[key]
            self.parameters[name] = dims[key]

    def _follow(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            source, place = node.args
            found = self.axes.get(source, ()) if isinstance(source, fx.Node) else ()
            self.axes[node] = found[place] if isinstance(found, list) and isinstance(place, int) else ()
            return
        call = Call(node, self.known)
        if self.known[node] is None:
            return  # an assertion of the tracer's own
        stop = self._stops.get(origin(node).module)
        if stop is not None and (stop.everything or call.name in _SIZED):
            for operand in call.operands():
                self.pin(self.axes.get(operand, ()), call, stop.reason)
        rule = LABELLING.get(call.name)
        if rule is None and is_elementwise(node):
            rule = labelling_of_elementwise
        if rule is not None:
            self.axes[node] = rule(call, self)
            if stop is not None and not call.operands():
                # made in a size that the module's code names
                self.pin(_flat(self.axes[node]), call, stop.reason)
            return
        for operand in node.all_input_nodes:
            self.pin(_flat(self.axes.get(operand, ())), call, "no rule for this operation")
        self.axes[node] = ()


_SIZED = (
    *("view", "_unsafe_view", "reshape", "unflatten", "expand", "repeat", "tile", "slice", "narrow", "split"),
    *("split_with_sizes", "full", "zeros", "ones", "empty", "new_zeros", "new_ones", "new_full", "new_empty"),
)
"""Operations that are told sizes, or numbers of slices."""


def _flat(axes: Any) -> list[Axis]:
    """The axes of a node that may return several tensors."""
    return [axis for part in axes for axis in part] if isinstance(axes, list) else list(axes)
