"""Operations on each element alone, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, fx

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule

Sides = Sequence[tuple[int, Tensor | None]]
"""Size and labels of every dimension of one operand."""

_SAME = ("clone", "_to_copy", "alias", "detach", "contiguous", "lift_fresh_copy", "lift_fresh", "_conj", "dropout")
_ALIKE = ("zeros_like", "ones_like", "full_like", "empty_like")
_MADE = ("full", "zeros", "ones", "new_zeros", "new_ones", "new_full", "scalar_tensor")


def elementwise_constants(call: Call, outcome: Tensor) -> Tensor:
    """An outcome varies where an operand does, but not where it is multiplied by a constant zero."""
    if call.name == "where" and not bool(call.value("condition").varies.any()):
        chosen = call.value("condition").data
        return torch.where(chosen, call.value("self").varies, call.value("other").varies).expand(outcome.shape)
    operands = [call.value(name) for name in call.arguments if _takes_part(call, name)]
    varies = reduce(torch.logical_or, [k.varies for k in operands]).expand(outcome.shape)
    if call.name == "mul":
        return varies & ~(call.value("self").zero | call.value("other").zero)
    return varies & ~call.value("self").zero if call.name == "div" else varies


def _takes_part(call: Call, name: str) -> bool:
    argument = call[name]
    return isinstance(argument, fx.Node) and argument in call.operands()


def elementwise_dependencies(call: Call, deps: DependencyGraph) -> Axes:
    """Dimensions that meet are in one group."""
    sides = [sides_of(node, deps) for node in call.operands()]
    return axes_of(broadcast(call, deps, sides))


def sides_of(node: fx.Node, deps: DependencyGraph) -> list[tuple[int, Tensor | None]]:
    """Size and labels of every dimension of a node's tensor."""
    shape = deps.values[node].data.shape
    return [(size, deps.along(node, dim)) for dim, size in enumerate(shape)]


def broadcast(call: Call, deps: DependencyGraph, operands: Sequence[Sides]) -> list[Tensor | None]:
    """The labels of every dimension of operands that broadcast with each other, last dimensions aligned."""
    ndim = max((len(sides) for sides in operands), default=0)
    found: list[Tensor | None] = []
    for back in range(ndim, 0, -1):
        meeting = [sides[-back] for sides in operands if len(sides) >= back and sides[-back][0] > 1]
        labels = [labels for _, labels in meeting]
        found.append(reduce(lambda a, b: deps.match(a, b, call), labels) if labels else None)
        if None in labels:
            deps.pin(labels, call, "meets a dimension of fixed size")
    return found


def axes_of(labels: Sequence[Tensor | None]) -> Axes:
    """The axes of a tensor out of the labels of its dimensions."""
    return tuple(Axis.along(dim, found, len(labels)) for dim, found in enumerate(labels) if found is not None)


@constant_rule(*_SAME)
def _(call: Call, outcome: Tensor) -> Tensor:
    return call.value("self" if "self" in call.arguments else "input").varies


@dependency_rule(*_SAME)
def _(call: Call, deps: DependencyGraph) -> Axes:
    axes: Axes = deps.axes.get(call.operands()[0], ())
    return axes


@constant_rule(*_ALIKE)
def _(call: Call, outcome: Tensor) -> Tensor:
    return torch.zeros_like(outcome, dtype=torch.bool)


@dependency_rule(*_ALIKE)
def _(call: Call, deps: DependencyGraph) -> Axes:
    axes: Axes = deps.axes.get(call["self"], ())
    return axes


@constant_rule(*_MADE)
def _(call: Call, outcome: Tensor) -> Tensor:
    return torch.zeros_like(outcome, dtype=torch.bool)


@dependency_rule(*_MADE)
def _(call: Call, deps: DependencyGraph) -> Axes:
    # all elements alike: any of them can go with what they meet
    shape = deps.values[call.node].data.shape
    return tuple(Axis.along(dim, deps.groups.fresh(n), len(shape), alike=True) for dim, n in enumerate(shape) if n > 1)
