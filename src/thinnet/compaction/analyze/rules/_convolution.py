"""Convolutions, 1-3d: plain, grouped, depthwise, transposed."""

from __future__ import annotations

from torch import Tensor

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze.rules._base import knowledge, labelling
from thinnet.compaction.analyze.rules._linear import constants, fold_of, over, product_varies, settled


@knowledge("convolution")
def _(call: Call, outcome: Tensor) -> Tensor:
    def convolve(x: Tensor, w: Tensor) -> Tensor:
        found: Tensor = call.run(input=x, weight=w, bias=None)
        return found

    varies = product_varies(call.known("input"), call.known("weight"), convolve)
    if call["bias"] is not None:
        varies = varies | call.known("bias").varies.reshape(-1, *[1] * (outcome.ndim - 2))
    return varies


@labelling("convolution")
def _(call: Call, flow: Flow) -> Axes:
    """Channels are labelled; a group of channels goes as a whole."""
    x, weight, bias, groups = call["input"], call["weight"], call["bias"], call["groups"]
    ndim, entering, leaving = len(call.shape("input")), *((0, 1) if call["transposed"] else (1, 0))
    flow.pin([a for a in flow.singles(x) if a.dims[0] > 1], call, "convolves along it")
    flow.pin([a for a in flow.singles(weight) if a.dims[0] > 1], call, "convolves along it")
    channels, ins, outs = flow.along(x, 1), flow.along(weight, entering), flow.along(weight, leaving)
    if groups > 1:
        outs = _whole_groups(call, flow, channels, entering, leaving)
        labels = None
    else:
        labels = flow.match(channels, ins, call, "reads a tensor of fixed width")
    if bias is not None:
        flow.match(flow.along(bias, 0), outs, call)
    if groups == 1:
        w = call.known("weight")
        nonzero = ~over(w.zero.movedim((entering, leaving), (0, 1)).flatten(0, 1), 0).reshape(
            w.data.shape[entering], w.data.shape[leaving]
        )
        fold = None
        if not any(call["padding"]) and not call["transposed"]:
            summed = settled(w).movedim(entering, 0).flatten(2).sum(2)
            fold = fold_of(flow, bias, constants(call.known("input"), 1), summed)
        silent = over(call.known("input").zero, 1)
        flow.read(call, labels, silent, weight=nonzero, outputs=outs, fold=fold, source=(weight, entering))
    batch = tuple(axis for axis in flow.singles(x) if axis.dims == (0,))
    return batch if outs is None else (*batch, Axis.along(1, outs, ndim))


def _whole_groups(call: Call, flow: Flow, channels: Tensor | None, entering: int, leaving: int) -> Tensor | None:
    """Unite what enters and leaves each group; the labels of the outputs."""
    weight, groups = call["weight"], call["groups"]
    shared = flow.along(weight, 1)
    flow.pin([shared], call, "every group has a weight there")
    per_group = flow.along(weight, 0)
    assert per_group is not None  # at least one slice a group
    rows = per_group.reshape(groups, -1)
    flow.labels.unite(rows[:, :1].expand_as(rows), rows)
    if channels is None:
        flow.pin([per_group], call, "reads a tensor of fixed width")
    else:
        inputs = channels.reshape(groups, -1)
        flow.labels.unite(rows[:, :1].expand_as(inputs), inputs)
    if not call["transposed"]:
        return per_group
    n = call.known("weight").data.shape[1]
    return rows[:, :1].expand(groups, n).flatten()
