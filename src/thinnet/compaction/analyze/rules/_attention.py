"""Products of activations, and attention."""

from __future__ import annotations

import torch
from torch import Tensor

from thinnet.compaction.analyze._axes import Axes
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule
from thinnet.compaction.analyze.rules._elementwise import axes_of, broadcast, sides_of
from thinnet.compaction.analyze.rules._linear import constants, fold_of, over, product_varies

_NAMES = {"matmul": ("self", "other"), "bmm": ("self", "mat2"), "mm": ("self", "mat2"), "mv": ("self", "vec")}
_SUMS = {"addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2")}
SCALED = "its length sets the scale of the scores"


@constant_rule(*_NAMES)
def _(call: Call, outcome: Tensor) -> Tensor:
    one, other = _NAMES[call.name]
    return product_varies(call.value(one), call.value(other), torch.matmul)


@constant_rule(*_SUMS)
def _(call: Call, outcome: Tensor) -> Tensor:
    one, other = _SUMS[call.name]
    return product_varies(call.value(one), call.value(other), torch.matmul) | call.value("self").varies


@dependency_rule(*_NAMES)
def _(call: Call, deps: DependencyGraph) -> Axes:
    return axes_of(_product(call, deps, *_NAMES[call.name]))


@dependency_rule(*_SUMS)
def _(call: Call, deps: DependencyGraph) -> Axes:
    one, other = _SUMS[call.name]
    found = _product(call, deps, one, other, call["self"])
    sides = [(n, labels) for n, labels in zip(deps.values[call.node].data.shape, found, strict=True)]
    return axes_of(broadcast(call, deps, [sides, sides_of(call["self"], deps)]))


def _product(call: Call, deps: DependencyGraph, one: str, other: str, bias: object = None) -> list[Tensor | None]:
    """The labels of a · b: the last dimension of a meets the last but one of b and is summed over."""
    a, b = sides_of(call[one], deps), sides_of(call[other], deps)
    left, right = call.value(one), call.value(other)
    down = -1 if len(b) == 1 else -2
    labels = deps.match(a[-1][1], b[down][1], call, "is summed with a tensor of fixed size")
    silent = over(left.zero, -1) | over(right.zero, down)
    rows = [] if len(a) == 1 else [a[-2][1]]
    columns = [] if len(b) == 1 else [b[-1][1]]
    if len(b) == 2 and not bool(right.varies.any()):
        fold = fold_of(deps, bias, constants(left, -1), right.data.double()) if bias is not None else None
        deps.consume(call, labels, silent, weight=~right.zero, outputs=columns[0], fold=fold, source=(call[other], 0))
    elif len(a) == 2 and not bool(left.varies.any()):
        deps.consume(call, labels, silent, weight=~left.zero.T, outputs=rows[0], source=(call[one], 1))
    else:
        deps.consume(call, labels, silent)
    return [*broadcast(call, deps, [a[:-2], b[:-2]]), *rows, *columns]


@constant_rule("scaled_dot_product_attention")
def _(call: Call, outcome: Tensor) -> Tensor:
    """A weighted mean of the values: constant where they are all the same constant."""
    value = call.value("value")
    data, varies = value.data, value.varies.any(-2, keepdim=True)
    differ = (data != data.narrow(-2, 0, 1)).any(-2, keepdim=True)
    weights_vary = any(call.value(n).varies.any() for n in ("query", "key", "attn_mask") if call[n] is not None)
    found = varies | differ if weights_vary else varies
    if found.ndim > 2 and found.shape[-3] != outcome.shape[-3]:  # grouped queries
        found = found.repeat_interleave(outcome.shape[-3] // found.shape[-3], -3)
    return found.expand(outcome.shape)


@dependency_rule("scaled_dot_product_attention")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """Heads are removed as a whole; the length of queries and keys sets the scale unless it is given."""
    q, k, v = (sides_of(call[name], deps) for name in ("query", "key", "value"))
    query, key = call.value("query"), call.value("key")
    depth = deps.match(q[-1][1], k[-1][1], call)
    if call["scale"] is None:
        deps.pin([depth], call, SCALED)
    else:
        deps.consume(call, depth, over(query.zero, -1) | over(key.zero, -1))
    deps.pin([deps.match(k[-2][1], v[-2][1], call)], call, "attends to it")
    batch = [q[:-2], k[:-2], v[:-2]]
    grouped = len(q) > 2 and len(k) > 2 and q[-3][0] != k[-3][0]
    if grouped:
        batch = [side[:-1] for side in batch]
    mask = [] if call["attn_mask"] is None else sides_of(call["attn_mask"], deps)
    deps.pin([labels for _, labels in mask[-2:]], call, "masks what is attended to")
    if mask:
        batch.append(mask[:-2] if not grouped else mask[:-3])
    found = broadcast(call, deps, batch)
    if grouped:
        deps.pin([labels for _, labels in mask[-3:-2]], call, "masks heads")
        found.append(_shared(call, deps, q[-3], k[-3], v[-3]))
    return axes_of([*found, q[-2][1], v[-1][1]])


def _shared(
    call: Call,
    deps: DependencyGraph,
    q: tuple[int, Tensor | None],
    k: tuple[int, Tensor | None],
    v: tuple[int, Tensor | None],
) -> Tensor | None:
    """Labels of query heads of which several share one head of keys and values, and are removed with it."""
    kept = deps.match(k[1], v[1], call)
    if q[1] is None or kept is None:
        deps.pin((q[1], kept), call, "meets a dimension of fixed size")
    else:
        deps.groups.unite(q[1], kept.repeat_interleave(q[0] // k[0]))
    return q[1]
