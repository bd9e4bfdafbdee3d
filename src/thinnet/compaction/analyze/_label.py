"""The loop over a traced graph that labels every tensor: which slices can only go together, and what reads them."""

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
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze._dependency_groups import Pin
from thinnet.compaction.analyze._trace import Trace, origin
from thinnet.compaction.analyze.rules import LABELLING, labelling_of_elementwise


@dataclass(frozen=True)
class Stop:
    """A module whose sizes must stay, found out by running a smaller model.

    Args:
        reason: why.
        everything: whether everything stays that its operations touch, or only what its reshapes do.
    """

    reason: str
    everything: bool = False


_SIZED = (
    *("view", "_unsafe_view", "reshape", "unflatten", "expand", "repeat", "tile", "slice", "narrow", "split"),
    *("split_with_sizes", "full", "zeros", "ones", "empty", "new_zeros", "new_ones", "new_full", "new_empty"),
)
"""Operations that are told sizes, or numbers of slices."""


def label(trace: Trace, known: dict[fx.Node, Any], stops: Mapping[str, Stop] | None = None) -> Flow:
    """The labels of every tensor in a graph."""
    flow = Flow(trace, known)
    _place(flow)
    for node in trace.graph.nodes:
        if node.op == "call_function":
            _follow(flow, node, stops or {})
    for node in trace.outputs:
        for axis in _flat(flow.axes.get(node, ())):
            flow.labels.pin(axis.labels, Pin("output", origin(node).kind or "the model", "the model returns it"))
    for axis in flow.merged:
        flow.single(axis)
    _settle_folds(flow)
    return flow


def _settle_folds(flow: Flow) -> None:
    """Constants go into the bias of a layer that is used several times if they are the same each time."""
    for place, read in enumerate(flow.reads):
        if read.fold is None:
            continue
        alike = [r.fold for r in flow.reads if r.fold is not None and r.fold.bias == read.fold.bias]
        amounts = read.fold.amounts
        if len(alike) != read.fold.uses:
            amounts = torch.full_like(amounts, torch.nan)
        for other in alike:
            if other is not read.fold:
                amounts = torch.where(amounts == other.amounts, amounts, torch.nan)
        flow.reads[place] = dataclasses.replace(read, fold=dataclasses.replace(read.fold, amounts=amounts))


def _place(flow: Flow) -> None:
    """Fresh labels on every dimension of every parameter and buffer, tied ones once."""
    placed: dict[int, Axes] = {}
    dims: dict[int, tuple[Tensor | None, ...]] = {}
    for node, name in flow.trace.names.items():
        tensor = flow.trace.values[node]
        key = id(tensor)
        if key not in placed:
            fresh = [flow.labels.fresh(n) if n > 1 else None for n in tensor.shape]
            dims[key] = tuple(fresh)
            placed[key] = tuple(Axis.along(d, f, tensor.ndim) for d, f in enumerate(fresh) if f is not None)
        flow.axes[node] = placed[key]
        flow.parameters[name] = dims[key]


def _follow(flow: Flow, node: fx.Node, stops: Mapping[str, Stop]) -> None:
    if node.target is operator.getitem:
        source, place = node.args
        found = flow.axes.get(source, ()) if isinstance(source, fx.Node) else ()
        flow.axes[node] = found[place] if isinstance(found, list) and isinstance(place, int) else ()
        return
    call = Call(node, flow.known)
    if flow.known[node] is None:
        return  # an assertion of the tracer's own
    stop = stops.get(origin(node).module)
    if stop is not None and (stop.everything or call.name in _SIZED):
        for operand in call.operands():
            flow.pin(flow.axes.get(operand, ()), call, stop.reason)
    rule = LABELLING.get(call.name)
    if rule is None and is_elementwise(node):
        rule = labelling_of_elementwise
    if rule is not None:
        flow.axes[node] = rule(call, flow)
        if stop is not None and not call.operands():
            # made in a size that the module's code names
            flow.pin(_flat(flow.axes[node]), call, stop.reason)
        return
    for operand in node.all_input_nodes:
        flow.pin(_flat(flow.axes.get(operand, ())), call, "no rule for this operation")
    flow.axes[node] = ()


def _flat(axes: Any) -> list[Axis]:
    """The axes of a node that may return several tensors."""
    return [axis for part in axes for axis in part] if isinstance(axes, list) else list(axes)
