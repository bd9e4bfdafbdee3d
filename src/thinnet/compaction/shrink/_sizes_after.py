"""Sizes of tensors after the removal of labels."""

from __future__ import annotations

from collections.abc import Iterator

from torch import fx

from thinnet.compaction.analyze._call import Value
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._trace import origin


def changes(deps: DependencyGraph, gone: object) -> dict[str, dict[int, int]]:
    """Per module, by name: the lengths that its own operations meet and that change, each with the length after."""
    found: dict[str, dict[int, int]] = {}
    for node in deps.trace.graph.nodes:
        if node.op == "call_function":
            module = found.setdefault(origin(node).module, {})
            for part in (node, *node.all_input_nodes):
                module.update(_changed(deps, part, gone))
    return {module: lengths for module, lengths in found.items() if lengths}


def _changed(deps: DependencyGraph, node: fx.Node, gone: object) -> Iterator[tuple[int, int]]:
    value, axes = deps.values.get(node), deps.axes.get(node, ())
    if not isinstance(value, Value) or isinstance(axes, list):
        return
    for axis in axes:
        mask = gone[deps.groups.roots(axis.labels)]  # type: ignore[index]
        if len(axis.dims) == 1 or (axis.balanced and axis.dims):
            dim = axis.dims[-1]
            going = int(mask.movedim(dim, 0).reshape(mask.shape[dim], -1)[:, 0].sum())  # each row loses as many
            if going:
                yield value.data.shape[dim], value.data.shape[dim] - going


def shape_after(deps: DependencyGraph, node: fx.Node, gone: object) -> list[int]:
    """The shape of a node's tensor afterwards."""
    shape = list(deps.values[node].data.shape)
    for axis in deps.singles(node):
        shape[axis.dims[0]] -= int(gone[deps.groups.roots(axis.labels)].sum())  # type: ignore[index]
    return shape
