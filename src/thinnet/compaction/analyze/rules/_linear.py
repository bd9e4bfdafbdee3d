"""Linear layers: products with a weight matrix."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call, Value
from thinnet.compaction.analyze._consumer import Fold
from thinnet.compaction.analyze._dependency_graph import DependencyGraph
from thinnet.compaction.analyze.rules._base import constant_rule, dependency_rule

ROUNDING = 1e-12
"""Relative differences of constants in float64 that are none."""


def product_varies(a: Value, b: Value, multiply: object) -> Tensor:
    """Where a sum of products a · b varies: some term has a factor that varies and another that is not zero."""

    def terms(one: Tensor, other: Tensor) -> Tensor:
        return multiply(one.float(), other.float()) > 0.5  # type: ignore[operator,no-any-return]

    varies = terms(a.varies, ~b.zero)
    return varies | terms(~a.zero, b.varies) if bool(b.varies.any()) else varies


def over(mask: Tensor, dim: int) -> Tensor:
    """Per index of `dim`, shape (n,): whether the mask is True in all of its slice."""
    return mask.movedim(dim, 0).flatten(1).all(1) if mask.ndim > 1 else mask


def constants(value: Value, dim: int) -> Tensor:
    """Per index of `dim`, shape (n,): the value of its slice where that is one constant; NaN elsewhere."""
    n = value.data.shape[dim]
    rows = value.data.movedim(dim, 0).reshape(n, -1).double()
    # a mean of equal values is that value up to rounding
    near = (rows - rows[:, :1]).abs() <= ROUNDING * rows[:, :1].abs()
    same = near.all(1) & ~value.varies.movedim(dim, 0).reshape(n, -1).any(1)
    return torch.where(same, rows[:, 0], torch.nan)


def settled(value: Value) -> Tensor:
    """The values in float64, NaN where inputs change them."""
    return torch.where(value.varies, torch.nan, value.data.double())


@constant_rule("linear")
def _(call: Call, outcome: Tensor) -> Tensor:
    varies = product_varies(call.value("input"), call.value("weight"), torch.nn.functional.linear)
    return varies if call["bias"] is None else varies | call.value("bias").varies


@dependency_rule("linear")
def _(call: Call, deps: DependencyGraph) -> Axes:
    x, weight, bias = call["input"], call["weight"], call["bias"]
    ndim = len(call.shape("input"))
    outputs = deps.along(weight, 0)
    if bias is not None:
        deps.match(deps.along(bias, 0), outputs, call)
    labels = deps.match(deps.along(x, -1), deps.along(weight, 1), call, "takes an input of fixed width")
    w = call.value("weight")
    fold = fold_of(deps, bias, constants(call.value("input"), -1), settled(w).T)
    silent = over(call.value("input").zero, -1)
    deps.consume(call, labels, silent, weight=~w.zero.T, outputs=outputs, fold=fold, source=(weight, 1))
    last = () if outputs is None else (Axis.along(ndim - 1, outputs, ndim),)
    return (*(axis for axis in deps.singles(x) if axis.dims != (ndim - 1,)), *last)


def fold_of(deps: DependencyGraph, bias: object, values: Tensor, weight: Tensor) -> Fold | None:
    """The fold of constants (n,) that meet a weight (n, out) into the bias, if the layer has one of its own."""
    name = deps.trace.names.get(bias) if isinstance(bias, fx.Node) else None
    if name is None or deps.values[bias].data.shape != weight.shape[1:]:  # type: ignore[index]
        return None
    return Fold(name, weight * values[:, None], deps.uses(name))
