"""Linear layers: products with a weight matrix."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from thinnet.compaction.analyze._axes import Axes, Axis
from thinnet.compaction.analyze._call import Call, Known
from thinnet.compaction.analyze._consumer import Fold
from thinnet.compaction.analyze._dependency_graph import Flow
from thinnet.compaction.analyze.rules._base import knowledge, labelling

ROUNDING = 1e-12
"""Relative differences of constants in float64 that are none."""


def product_varies(a: Known, b: Known, multiply: object) -> Tensor:
    """Where a sum of products a · b varies: some term has a factor that varies and another that is not zero."""

    def terms(one: Tensor, other: Tensor) -> Tensor:
        return multiply(one.float(), other.float()) > 0.5  # type: ignore[operator,no-any-return]

    varies = terms(a.varies, ~b.zero)
    return varies | terms(~a.zero, b.varies) if bool(b.varies.any()) else varies


def over(mask: Tensor, dim: int) -> Tensor:
    """Per index of `dim`, shape (n,): whether the mask is True in all of its slice."""
    return mask.movedim(dim, 0).flatten(1).all(1) if mask.ndim > 1 else mask


def constants(known: Known, dim: int) -> Tensor:
    """Per index of `dim`, shape (n,): the value of its slice where that is one constant; NaN elsewhere."""
    n = known.data.shape[dim]
    rows = known.data.movedim(dim, 0).reshape(n, -1).double()
    # a mean of equal values is that value up to rounding
    near = (rows - rows[:, :1]).abs() <= ROUNDING * rows[:, :1].abs()
    same = near.all(1) & ~known.varies.movedim(dim, 0).reshape(n, -1).any(1)
    return torch.where(same, rows[:, 0], torch.nan)


def settled(known: Known) -> Tensor:
    """The values in float64, NaN where inputs change them."""
    return torch.where(known.varies, torch.nan, known.data.double())


@knowledge("linear")
def _(call: Call, outcome: Tensor) -> Tensor:
    varies = product_varies(call.known("input"), call.known("weight"), torch.nn.functional.linear)
    return varies if call["bias"] is None else varies | call.known("bias").varies


@labelling("linear")
def _(call: Call, flow: Flow) -> Axes:
    x, weight, bias = call["input"], call["weight"], call["bias"]
    ndim = len(call.shape("input"))
    outputs = flow.along(weight, 0)
    if bias is not None:
        flow.match(flow.along(bias, 0), outputs, call)
    labels = flow.match(flow.along(x, -1), flow.along(weight, 1), call, "reads a tensor of fixed width")
    w = call.known("weight")
    fold = fold_of(flow, bias, constants(call.known("input"), -1), settled(w).T)
    silent = over(call.known("input").zero, -1)
    flow.read(call, labels, silent, weight=~w.zero.T, outputs=outputs, fold=fold, source=(weight, 1))
    last = () if outputs is None else (Axis.along(ndim - 1, outputs, ndim),)
    return (*(axis for axis in flow.singles(x) if axis.dims != (ndim - 1,)), *last)


def fold_of(flow: Flow, bias: object, values: Tensor, weight: Tensor) -> Fold | None:
    """Where constants (n,) that meet a weight (n, out) can go: into the bias, if the layer has one of its own."""
    name = flow.trace.names.get(bias) if isinstance(bias, fx.Node) else None
    if name is None or flow.known[bias].data.shape != weight.shape[1:]:  # type: ignore[index]
        return None
    return Fold(name, weight * values[:, None], flow.uses(name))
