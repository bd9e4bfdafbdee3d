"""Convolutions, 1-3d: plain, grouped, depthwise, transposed."""

from __future__ import annotations

from torch import Tensor

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule
from thinnet.compaction.analyze.rules._linear import constants, fold_of, over, product_varies, settled


@constant_rule("convolution")
def _(call: Call, outcome: Tensor) -> Tensor:
    def convolve(x: Tensor, w: Tensor) -> Tensor:
        found: Tensor = call.run(input=x, weight=w, bias=None)
        return found

    varies = product_varies(call.value("input"), call.value("weight"), convolve)
    if call["bias"] is not None:
        varies = varies | call.value("bias").varies.reshape(-1, *[1] * (outcome.ndim - 2))
    return varies


@dependency_rule("convolution")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """Channels are labelled; a group of channels is removed as a whole."""
    x, weight, bias, groups = call["input"], call["weight"], call["bias"], call["groups"]
    ndim, entering, leaving = len(call.shape("input")), *((0, 1) if call["transposed"] else (1, 0))
    deps.pin([a for a in deps.singles(x) if a.dims[0] > 1], call, "convolves along it")
    deps.pin([a for a in deps.singles(weight) if a.dims[0] > 1], call, "convolves along it")
    channels, ins, outs = deps.along(x, 1), deps.along(weight, entering), deps.along(weight, leaving)
    if groups > 1:
        outs = _whole_groups(call, deps, channels, entering, leaving)
        labels = None
    else:
        labels = deps.match(channels, ins, call, "takes an input of fixed width")
    if bias is not None:
        deps.match(deps.along(bias, 0), outs, call)
    if groups == 1:
        w = call.value("weight")
        nonzero = ~over(w.zero.movedim((entering, leaving), (0, 1)).flatten(0, 1), 0).reshape(
            w.data.shape[entering], w.data.shape[leaving]
        )
        fold = None
        if not any(call["padding"]) and not call["transposed"]:
            summed = settled(w).movedim(entering, 0).flatten(2).sum(2)
            fold = fold_of(deps, bias, constants(call.value("input"), 1), summed)
        silent = over(call.value("input").zero, 1)
        deps.consume(call, labels, silent, weight=nonzero, outputs=outs, fold=fold, source=(weight, entering))
    batch = tuple(axis for axis in deps.singles(x) if axis.dims == (0,))
    return batch if outs is None else (*batch, Axis.along(1, outs, ndim))


def _whole_groups(
    call: Call, deps: DependencyGraph, channels: Tensor | None, entering: int, leaving: int
) -> Tensor | None:
    """Unite what enters and leaves each group; the labels of the outputs."""
    weight, groups = call["weight"], call["groups"]
    shared = deps.along(weight, 1)
    deps.pin([shared], call, "every group has a weight there")
    per_group = deps.along(weight, 0)
    assert per_group is not None  # at least one slice a group
    rows = per_group.reshape(groups, -1)
    deps.groups.unite(rows[:, :1].expand_as(rows), rows)
    if channels is None:
        deps.pin([per_group], call, "takes an input of fixed width")
    else:
        inputs = channels.reshape(groups, -1)
        deps.groups.unite(rows[:, :1].expand_as(inputs), inputs)
    if not call["transposed"]:
        return per_group
    n = call.value("weight").data.shape[1]
    return rows[:, :1].expand(groups, n).flatten()
