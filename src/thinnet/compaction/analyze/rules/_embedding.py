"""Looking rows up: embedding, index, gather."""

from __future__ import annotations

import torch
from torch import Tensor

from thinnet.compaction.analyze._axes import Axes
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule
from thinnet.compaction.analyze.rules._elementwise import axes_of, broadcast, sides_of

BY_NUMBER = "is looked up by number"


@constant_rule("embedding")
def _(call: Call, outcome: Tensor) -> Tensor:
    """A column that is the same in every row is known, whichever row is asked for."""
    table, rows = call.value("weight"), call.value("indices")
    same = (table.data == table.data[:1]).all(0) & ~table.varies.any(0)
    return (rows.varies[..., None] & ~same) | table.varies.any()


@dependency_rule("embedding")
def _(call: Call, deps: DependencyGraph) -> Axes:
    table, rows = call["weight"], call["indices"]
    deps.pin([deps.along(table, 0)], call, BY_NUMBER)
    axes = [labels for _, labels in sides_of(rows, deps)]
    return axes_of([*axes, deps.along(table, 1)])


@constant_rule("index")
def _(call: Call, outcome: Tensor) -> Tensor:
    places = [node for node in call["indices"] if node is not None]
    x = call.value("self")
    if not any(bool(call.part(node).varies.any()) for node in places):
        indices = [None if node is None else call.part(node).data for node in call["indices"]]
        found: Tensor = torch.ops.aten.index(x.varies, indices)
        return found
    return torch.ones_like(outcome, dtype=torch.bool)


@dependency_rule("index")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """Dimensions that are not indexed keep their labels; those that are, and the indices, are pinned."""
    indexed = [dim for dim, node in enumerate(call["indices"]) if node is not None]
    for node in call["indices"]:
        if node is not None:
            deps.pin(deps.singles(node), call, "numbers of slices")
    axes = deps.singles(call["self"])
    deps.pin([axis for axis in axes if axis.dims[0] in indexed], call, BY_NUMBER)
    shape = call.shape("self")
    indices = [None if node is None else call.part(node).data.cpu() for node in call["indices"]]
    free = [axis for axis in axes if axis.dims[0] not in indexed]
    moved = [axis.moved(shape, lambda full: torch.ops.aten.index(full, indices)) for axis in free]
    return tuple(axis for axis in moved if axis.dims)


@constant_rule("index_select", "gather")
def _(call: Call, outcome: Tensor) -> Tensor:
    if bool(call.value("index").varies.any()):
        x, dim = call.value("self"), call["dim"]
        settled = x.zero.all(dim, keepdim=True)
        return (~settled).expand(outcome.shape) if call.name == "index_select" else torch.ones_like(outcome).bool()
    varies: Tensor = call.run(self=call.value("self").varies)
    return varies


@dependency_rule("index_select")
def _(call: Call, deps: DependencyGraph) -> Axes:
    ndim = len(call.shape("self"))
    dim = call["dim"] % ndim
    deps.pin([deps.along(call["self"], dim), deps.along(call["index"], 0)], call, BY_NUMBER)
    return tuple(axis for axis in deps.singles(call["self"]) if axis.dims != (dim,))


@dependency_rule("gather")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """Along the other dimensions, elements and indices meet."""
    ndim = len(call.shape("self"))
    dim = call["dim"] % ndim
    deps.pin([deps.along(call["self"], dim)], call, BY_NUMBER)
    sides = [
        [side if d != dim else (1, None) for d, side in enumerate(sides_of(call[name], deps))]
        for name in ("self", "index")
    ]
    sizes = list(zip(call.shape("self"), call.shape("index"), strict=True))
    if any(a != b for d, (a, b) in enumerate(sizes) if d != dim):
        deps.pin([labels for side in sides for _, labels in side], call, "meets a dimension of another size")
        return ()
    found = broadcast(call, deps, sides)
    found[dim] = deps.along(call["index"], dim)
    return axes_of(found)
