"""Joining tensors: cat and stack."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from thinnet.compaction.analyze._axes import Axes
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._dependency_groups import Pin
from thinnet.compaction.analyze._trace import origin
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule
from thinnet.compaction.analyze.rules._elementwise import axes_of, broadcast, sides_of


@constant_rule("cat", "stack")
def _(call: Call, outcome: Tensor) -> Tensor:
    join = torch.cat if call.name == "cat" else torch.stack
    return join([call.part(node).varies for node in call["tensors"]], call["dim"] or 0)


@dependency_rule("cat")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """Along the dimension of the cat, labels follow each other; along the others they meet."""
    nodes = [node for node in call["tensors"] if deps.values[node].data.shape != (0,)]
    ndim = deps.values[call.node].data.ndim
    dim = (call["dim"] or 0) % ndim
    others = [[side if d != dim else (1, None) for d, side in enumerate(sides_of(node, deps))] for node in nodes]
    found = broadcast(call, deps, others)
    parts = [(deps.values[node].data.shape[dim], deps.along(node, dim)) for node in nodes]
    if any(labels is not None for _, labels in parts):
        why = Pin(call.name, str(origin(call.node)), "a part of fixed size")
        found[dim] = reduce(lambda a, b: torch.cat([a, b]), [_or_fixed(deps, n, labels, why) for n, labels in parts])
    return axes_of(found)


@dependency_rule("stack")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """The new dimension has a slice for each tensor, and is fixed; along the others labels meet."""
    ndim = deps.values[call.node].data.ndim
    found = broadcast(call, deps, [sides_of(node, deps) for node in call["tensors"]])
    found.insert((call["dim"] or 0) % ndim, None)
    return axes_of(found)


def _or_fixed(deps: DependencyGraph, n: int, labels: Tensor | None, why: Pin) -> Tensor:
    """The labels, or new ones that are pinned."""
    if labels is None:
        labels = deps.groups.fresh(n)
        deps.groups.pin(labels, why)
    return labels
