"""Joining tensors: cat and stack."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from thinnet.compaction.analyze._axes import Axes
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze._dependency_groups import Pin
from thinnet.compaction.analyze._trace import origin
from thinnet.compaction.analyze.rules._base import knowledge, labelling
from thinnet.compaction.analyze.rules._elementwise import axes_of, broadcast, sides_of


@knowledge("cat", "stack")
def _(call: Call, outcome: Tensor) -> Tensor:
    join = torch.cat if call.name == "cat" else torch.stack
    return join([call.part(node).varies for node in call["tensors"]], call["dim"] or 0)


@labelling("cat")
def _(call: Call, flow: Flow) -> Axes:
    """Along the dimension of the cat, labels follow each other; along the others they meet."""
    nodes = [node for node in call["tensors"] if flow.known[node].data.shape != (0,)]
    ndim = flow.known[call.node].data.ndim
    dim = (call["dim"] or 0) % ndim
    others = [[side if d != dim else (1, None) for d, side in enumerate(sides_of(node, flow))] for node in nodes]
    found = broadcast(call, flow, others)
    parts = [(flow.known[node].data.shape[dim], flow.along(node, dim)) for node in nodes]
    if any(labels is not None for _, labels in parts):
        why = Pin(call.name, str(origin(call.node)), "a part of fixed size")
        found[dim] = reduce(lambda a, b: torch.cat([a, b]), [_or_fixed(flow, n, labels, why) for n, labels in parts])
    return axes_of(found)


@labelling("stack")
def _(call: Call, flow: Flow) -> Axes:
    """The new dimension has a slice for each tensor, and stays; along the others labels meet."""
    ndim = flow.known[call.node].data.ndim
    found = broadcast(call, flow, [sides_of(node, flow) for node in call["tensors"]])
    found.insert((call["dim"] or 0) % ndim, None)
    return axes_of(found)


def _or_fixed(flow: Flow, n: int, labels: Tensor | None, why: Pin) -> Tensor:
    """The labels, or new ones that stay."""
    if labels is None:
        labels = flow.labels.fresh(n)
        flow.labels.pin(labels, why)
    return labels
