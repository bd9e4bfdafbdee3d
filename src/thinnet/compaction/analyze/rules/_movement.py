"""Operations that arrange elements anew: reshape, permute, slice, split, pad."""

from __future__ import annotations

import torch
from torch import Tensor

from thinnet.compaction.analyze._axes import Axes, Axis, compressed
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule

_ARRANGED = (
    *("view", "_unsafe_view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "flatten", "unflatten"),
    *("movedim", "swapaxes", "numpy_T", "mT", "flip", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
)
_STRETCHED = ("expand", "repeat", "tile", "expand_as", "broadcast_to")
_PLACED = ("roll", "unfold", "diagonal", "repeat_interleave")
_CUT = ("slice", "narrow")
_SPLIT = ("split", "split_with_sizes", "chunk", "unbind", "tensor_split")


@constant_rule(*_ARRANGED, *_STRETCHED, *_PLACED, "select")
def _(call: Call, outcome: Tensor) -> Tensor:
    varies: Tensor = call.run(self=call.value("self").varies.contiguous())
    return varies


@constant_rule(*_CUT)
def _(call: Call, outcome: Tensor) -> Tensor:
    """Of a table of the model's (positions, say), what is known must hold for its other rows: inputs may be longer."""
    x, dim = call.value("self"), call["dim"] or 0
    varies: Tensor = call.run(self=x.varies.contiguous())
    if call["self"].op != "placeholder" or outcome.shape == x.data.shape:
        return varies
    return varies | (x.data != x.data.narrow(dim, 0, 1)).any(dim, keepdim=True).expand(outcome.shape)


@constant_rule(*_SPLIT)
def _(call: Call, outcome: Tensor) -> Tensor:
    varies: Tensor = call.run(self=call.value("self").varies.contiguous())
    return varies


@constant_rule("constant_pad_nd")
def _(call: Call, outcome: Tensor) -> Tensor:
    varies: Tensor = call.run(self=call.value("self").varies.to(torch.int8), value=0)
    return varies.bool()


@dependency_rule(*_ARRANGED)
def _(call: Call, deps: DependencyGraph) -> Axes:
    return deps.joint(_moved(call, deps, deps.axes.get(call["self"], ())))


@dependency_rule(*_STRETCHED)
def _(call: Call, deps: DependencyGraph) -> Axes:
    old, new = call.shape("self"), deps.values[call.node].data.shape
    old = torch.Size([1] * (len(new) - len(old)) + list(old))
    # all slices of a stretched dimension are alike: any of them can go with what they meet
    stretched = [d for d in range(len(new)) if old[d] == 1 and new[d] > 1]
    fresh = tuple(Axis.along(d, deps.groups.fresh(new[d]), len(new), alike=True) for d in stretched)
    return deps.joint((*_moved(call, deps, deps.axes.get(call["self"], ())), *fresh))


@dependency_rule(*_PLACED)
def _(call: Call, deps: DependencyGraph) -> Axes:
    named = call["dims"] if call.name == "roll" else [call["dimension"] if call.name == "unfold" else call["dim"]]
    ndim = len(call.shape("self"))
    dims = {dim % ndim for dim in named or [] if dim is not None} or set(range(ndim))
    free = _without(call, deps, dims, "places slices by number")
    return deps.joint(_moved(call, deps, free))


@dependency_rule("select")
def _(call: Call, deps: DependencyGraph) -> Axes:
    dim = call["dim"] % len(call.shape("self"))
    across = _across(call, deps, dim)
    deps.axes[call["self"]] = across
    free = _without(call, deps, {dim}, "takes one slice by number")
    return deps.joint(_moved(call, deps, free))


@dependency_rule(*_CUT)
def _(call: Call, deps: DependencyGraph) -> Axes:
    dim, old, new = call["dim"] or 0, call.shape("self"), deps.values[call.node].data.shape
    dim %= len(old)
    if old[dim] == new[dim]:
        return _moved(call, deps, deps.axes.get(call["self"], ()))
    axes = _across(call, deps, dim)
    deps.axes[call["self"]] = axes
    if new[dim] == 1:
        axes = _without(call, deps, {dim}, "takes one slice by number")
    return deps.joint(_moved(call, deps, axes))


@dependency_rule(*_SPLIT)
def _(call: Call, deps: DependencyGraph) -> list[Axes]:
    dim, parts = (call["dim"] or 0) % len(call.shape("self")), deps.values[call.node]
    axes = _across(call, deps, dim)
    deps.axes[call["self"]] = axes
    if call.name == "unbind":
        axes = _without(call, deps, {dim}, "takes one slice by number")
    shape = call.shape("self")
    found: list[list[Axis]] = [[] for _ in parts]
    for axis in axes:
        moved = [
            Axis(compressed(part), axis.balanced) for part in call.run(self=axis.labels.expand(shape).contiguous())
        ]
        for place, part in enumerate(moved):
            found[place].append(part)
        if axis.dims == (dim,):
            _even(deps, moved)
    return [deps.joint(tuple(a for a in part if a.dims)) for part in found]


@dependency_rule("constant_pad_nd")
def _(call: Call, deps: DependencyGraph) -> Axes:
    ndim, pads = len(call.shape("self")), list(call["pad"])
    padded = {ndim - 1 - place // 2 for place, pad in enumerate(pads) if pad}
    return _without(call, deps, padded, "pads between slices")


def _moved(call: Call, deps: DependencyGraph, axes: Axes) -> Axes:
    """The axes behind the operation; those of which nothing is left are pinned."""
    found = []
    for axis in axes:
        moved = axis.moved(call.shape("self"), lambda full: call.run(self=full))
        if moved.dims:
            found.append(moved)
        else:
            deps.pin([axis], call, "takes one slice by number")
    return tuple(found)


def _without(call: Call, deps: DependencyGraph, dims: set[int], reason: str) -> Axes:
    """The axes of the operand but for those along these dimensions, which are pinned."""
    axes: Axes = deps.axes.get(call["self"], ())

    def stays(axis: Axis) -> bool:
        # of rows that lose equally many, whole rows may be taken by number
        by_row = axis.balanced and len(axis.dims) > 1 and axis.dims[-1] not in dims
        return bool(dims & set(axis.dims)) and not by_row

    deps.pin([axis for axis in axes if stays(axis)], call, reason)
    return tuple(axis for axis in axes if not stays(axis))


def _across(call: Call, deps: DependencyGraph, dim: int) -> Axes:
    """The axes of the operand, those along several dimensions made not to depend on `dim`: its slices are parted."""
    found = []
    for axis in deps.axes.get(call["self"], ()):
        if dim in axis.dims and len(axis.dims) > 1 and not axis.balanced:
            first = axis.labels.narrow(dim, 0, 1)
            deps.groups.unite(first.expand_as(axis.labels), axis.labels)
            axis = Axis(first)
        found.append(axis)
    return tuple(found)


def _even(deps: DependencyGraph, parts: list[Axis]) -> None:
    """Parts of one length lose as many slices each, so that they keep one length."""
    rows = [part.labels.flatten() for part in parts]
    if len(rows) > 1 and len({len(row) for row in rows}) == 1:
        deps.balances.append(torch.stack(rows))
