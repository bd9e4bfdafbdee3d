"""The loop over a traced graph that assigns slices of every tensor to dependency groups."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call, is_elementwise
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._dependency_groups import Pin
from thinnet.compaction.analyze._trace import Trace, origin
from thinnet.compaction.analyze.rules import DEPENDENCY_RULES, elementwise_dependencies


@dataclass(frozen=True)
class FixedSizes:
    """A module whose sizes must be kept, as running a smaller model has shown.

    Args:
        reason: why.
        everything: whether the operands of all its operations are kept, or only those of its reshapes.
    """

    reason: str
    everything: bool = False


_SIZED = (
    *("view", "_unsafe_view", "reshape", "unflatten", "expand", "repeat", "tile", "slice", "narrow", "split"),
    *("split_with_sizes", "full", "zeros", "ones", "empty", "new_zeros", "new_ones", "new_full", "new_empty"),
)
"""Operations that are told sizes, or numbers of slices."""


def label(trace: Trace, values: dict[fx.Node, Any], fixed: Mapping[str, FixedSizes] | None = None) -> DependencyGraph:
    """Label every tensor of a graph: slices with one label can only be removed together."""
    deps = DependencyGraph(trace, values)
    _place(deps)
    for node in trace.graph.nodes:
        if node.op == "call_function":
            _follow(deps, node, fixed or {})
    for node in trace.outputs:
        for axis in _flat(deps.axes.get(node, ())):
            deps.groups.pin(axis.labels, Pin("output", origin(node).kind or "the model", "the model returns it"))
    for axis in deps.merged:
        deps.single(axis)
    _settle_folds(deps)
    return deps


def _settle_folds(deps: DependencyGraph) -> None:
    """Fold into the bias of a layer that is used several times only constants that are the same each time."""
    for place, consumer in enumerate(deps.consumers):
        if consumer.fold is None:
            continue
        alike = [r.fold for r in deps.consumers if r.fold is not None and r.fold.bias == consumer.fold.bias]
        amounts = consumer.fold.amounts
        if len(alike) != consumer.fold.uses:
            amounts = torch.full_like(amounts, torch.nan)
        for other in alike:
            if other is not consumer.fold:
                amounts = torch.where(amounts == other.amounts, amounts, torch.nan)
        deps.consumers[place] = dataclasses.replace(consumer, fold=dataclasses.replace(consumer.fold, amounts=amounts))


def _place(deps: DependencyGraph) -> None:
    """Fresh labels on every dimension of every parameter and buffer, tied ones once."""
    placed: dict[int, Axes] = {}
    dims: dict[int, tuple[Tensor | None, ...]] = {}
    for node, name in deps.trace.names.items():
        tensor = deps.trace.values[node]
        key = id(tensor)
        if key not in placed:
            fresh = [deps.groups.fresh(n) if n > 1 else None for n in tensor.shape]
            dims[key] = tuple(fresh)
            placed[key] = tuple(Axis.along(d, f, tensor.ndim) for d, f in enumerate(fresh) if f is not None)
        deps.axes[node] = placed[key]
        deps.parameters[name] = dims[key]


def _follow(deps: DependencyGraph, node: fx.Node, fixed: Mapping[str, FixedSizes]) -> None:
    if node.target is operator.getitem:
        source, place = node.args
        found = deps.axes.get(source, ()) if isinstance(source, fx.Node) else ()
        deps.axes[node] = found[place] if isinstance(found, list) and isinstance(place, int) else ()
        return
    call = Call(node, deps.values)
    if deps.values[node] is None:
        return  # an assertion of the tracer's own
    stop = fixed.get(origin(node).module)
    if stop is not None and (stop.everything or call.name in _SIZED):
        for operand in call.operands():
            deps.pin(deps.axes.get(operand, ()), call, stop.reason)
    rule = DEPENDENCY_RULES.get(call.name)
    if rule is None and is_elementwise(node):
        rule = elementwise_dependencies
    if rule is not None:
        deps.axes[node] = rule(call, deps)
        if stop is not None and not call.operands():
            # made in a size that the module's code names
            deps.pin(_flat(deps.axes[node]), call, stop.reason)
        return
    for operand in node.all_input_nodes:
        deps.pin(_flat(deps.axes.get(operand, ())), call, "no rule for this operation")
    deps.axes[node] = ()


def _flat(axes: Any) -> list[Axis]:
    """The axes of a node that may return several tensors."""
    return [axis for part in axes for axis in part] if isinstance(axes, list) else list(axes)
