"""Normalizations: batch, layer, group, instance, RMS."""

from __future__ import annotations

import torch
from torch import Tensor

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._consumer import Rescale
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze._trace import origin
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule
from thinnet.compaction.analyze.rules._linear import over

_BATCH = ("_native_batch_norm_legit_no_training", "batch_norm", "_native_batch_norm_legit")
COUNTS = "counts the width"


def _first(call: Call) -> str:
    return "input" if "input" in call.arguments else "self"


def _scaled(call: Call, varies: Tensor, shape: list[int]) -> Tensor:
    """What varies behind scale and shift: nothing where a zero scales it, all that they vary in themselves."""
    if call["weight"] is not None:
        weight = call.value("weight")
        varies = varies & ~weight.zero.reshape(shape) | weight.varies.reshape(shape)
    for name in ("bias", "running_mean", "running_var"):
        if call[name] is not None:
            varies = varies | call.value(name).varies.reshape(shape)
    return varies


@constant_rule(*_BATCH)
def _(call: Call, outcome: tuple[Tensor, ...] | Tensor) -> tuple[Tensor, ...] | Tensor:
    x = call.value(_first(call))
    varies = _scaled(call, x.varies, [1, -1] + [1] * (x.data.ndim - 2))
    if isinstance(outcome, Tensor):
        return varies
    return (varies, *(torch.ones_like(o, dtype=torch.bool) for o in outcome[1:]))


@dependency_rule(*_BATCH)
def _(call: Call, deps: DependencyGraph) -> Axes | list[Axes]:
    """Each channel by itself, with its statistics."""
    x = call[_first(call)]
    found = _per_channel(call, deps, ("weight", "bias", "running_mean", "running_var"))
    several = not isinstance(deps.values[call.node], tuple)
    axes = (*(a for a in deps.singles(x) if a.dims != (1,)), *found)
    return axes if several else [axes, *(() for _ in deps.values[call.node][1:])]


def _per_channel(call: Call, deps: DependencyGraph, names: tuple[str, ...]) -> Axes:
    """The axis of channels, of which the parameters of these names have one element each."""
    x = call[_first(call)]
    channels = deps.along(x, 1)
    for name in names:
        if call[name] is not None:
            channels = deps.match(channels, deps.along(call[name], 0), call)
    return () if channels is None else (Axis.along(1, channels, len(call.shape(_first(call)))),)


@constant_rule("layer_norm", "rms_norm")
def _(call: Call, outcome: Tensor) -> Tensor:
    x = call.value("input")
    dims = tuple(range(-len(call["normalized_shape"]), 0))
    varies = x.varies.any(dims, keepdim=True).expand(outcome.shape)
    if call.name == "rms_norm":
        varies = varies & ~x.zero
    return _scaled(call, varies, list(call["normalized_shape"]))


@dependency_rule("layer_norm")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """The width enters mean and variance, so it is pinned."""
    sides = deps.singles(call["input"])
    ndim, n = len(call.shape("input")), len(call["normalized_shape"])
    inside = [axis for axis in sides if axis.dims[0] >= ndim - n]
    deps.pin(inside, call, COUNTS)
    for name in ("weight", "bias"):
        if call[name] is not None:
            deps.pin(deps.singles(call[name]), call, COUNTS)
    return sides


@dependency_rule("rms_norm")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """A zero adds nothing to the sum of squares; that they are fewer is made up for by weight and epsilon."""
    x, ndim = call["input"], len(call.shape("input"))
    labels = deps.along(x, -1)
    weight = call["weight"]
    if weight is None or len(call["normalized_shape"]) != 1 or origin(call.node).kind != "RMSNorm":
        deps.pin(deps.singles(x), call, COUNTS)
        deps.pin([] if weight is None else deps.singles(weight), call, COUNTS)
        return deps.singles(x)
    labels = deps.match(labels, deps.along(weight, 0), call)
    rescale = Rescale(origin(call.node).module, call["normalized_shape"][0])
    deps.consume(call, labels, over(call.value("input").zero, ndim - 1), rescale=rescale)
    return deps.singles(x)


@constant_rule("group_norm", "instance_norm")
def _(call: Call, outcome: Tensor) -> Tensor:
    x = call.value("input")
    groups = call["num_groups"] or x.data.shape[1]
    varies = x.varies.reshape(x.data.shape[0], groups, -1).any(2, keepdim=True)
    varies = varies.expand(-1, -1, outcome[0].numel() // groups).reshape(outcome.shape)
    return _scaled(call, varies, [1, -1] + [1] * (x.data.ndim - 2))


@dependency_rule("group_norm")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """A group is removed as a whole: its size enters mean and variance."""
    found = _per_channel(call, deps, ("weight", "bias"))
    for axis in found:
        rows = axis.labels.reshape(call["num_groups"], -1)
        deps.groups.unite(rows[:, :1].expand_as(rows), rows)
    return (*_outside(call, deps), *found)


@dependency_rule("instance_norm")
def _(call: Call, deps: DependencyGraph) -> Axes:
    """Each channel of each example by itself."""
    found = _per_channel(call, deps, ("weight", "bias", "running_mean", "running_var"))
    return (*_outside(call, deps), *found)


def _outside(call: Call, deps: DependencyGraph) -> Axes:
    """The axes of the input but for that of its channels: examples are apart, everything else is counted."""
    others = tuple(axis for axis in deps.singles(call["input"]) if axis.dims != (1,))
    deps.pin([axis for axis in others if axis.dims != (0,)], call, COUNTS)
    return others
