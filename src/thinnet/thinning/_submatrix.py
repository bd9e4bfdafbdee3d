"""Linear map with a submatrix of the weight; its gradient is scattered into the full shape."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from thinnet._buffers import recycled_like, scratch


def submatrix_linear(
    x_BJ: Tensor, weight_OI: Tensor, bias_O: Tensor | None, outs_K: Tensor | None, ins_J: Tensor | None
) -> Tensor:
    r"""Compute a linear layer between the kept neurons alone: y_k = Σ_j W_{o_k, i_j} x_j + b_{o_k}.

    Args:
        x_BJ: values of the input nodes that stay, shape (..., J).
        weight_OI: W, shape (O, I).
        bias_O: b, shape (O,), or None.
        outs_K: the output nodes o_1 < ... < o_K that stay; None is all of them.
        ins_J: the input nodes i_1 < ... < i_J that stay; None is all of them.

    Returns:
        y, shape (..., K). The gradients of W and b are of full shape, exactly zero outside of the submatrix.
    """
    if outs_K is None and ins_J is None:
        return F.linear(x_BJ, weight_OI, bias_O)
    if (
        weight_OI.device.type == "cpu"
        and weight_OI.is_contiguous()
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    ):
        cast = torch.is_autocast_enabled("cpu") and x_BJ.dtype != torch.float64
        dtype = torch.get_autocast_dtype("cpu") if cast else weight_OI.dtype
        x_BJ = x_BJ.to(dtype) if cast else x_BJ
        y: Tensor = _SubmatrixLinear.apply(x_BJ, weight_OI, bias_O, outs_K, ins_J, dtype)  # type: ignore[no-untyped-call]
        return y
    bias = bias_O if bias_O is None or outs_K is None else bias_O.index_select(0, outs_K)
    return F.linear(x_BJ, _select(weight_OI, outs_K, ins_J), bias)


def _select(w_OI: Tensor, outs_K: Tensor | None, ins_J: Tensor | None) -> Tensor:
    """W[outs][:, ins] in operations that can be differentiated and compiled."""
    rows = w_OI if outs_K is None else w_OI.index_select(0, outs_K)
    return rows if ins_J is None else rows.index_select(1, ins_J)


class _SubmatrixLinear(torch.autograd.Function):
    """The same on CPU, where torch's own gradient of a gather would cost as much as the matrix products."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        outs: Tensor | None,
        ins: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        sub = _gather(weight, outs, ins).to(dtype)
        b = bias if bias is None or outs is None else bias.index_select(0, outs)
        b = b if b is None else b.to(dtype)
        ctx.save_for_backward(x, weight, sub, outs, ins)
        return F.linear(x, sub, b)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None]:
        x, weight, sub, outs, ins = ctx.saved_tensors
        twice = torch.is_grad_enabled()
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            dx = dy @ (_select(weight, outs, ins).to(dy.dtype) if twice else sub)
        if ctx.needs_input_grad[1]:
            product = (_rows(dy).t() @ _rows(x)).to(weight.dtype)
            dw = _place(product, weight.shape, outs, ins) if twice else _scatter(product, weight, outs, ins)
        if ctx.needs_input_grad[2]:
            db = _rows(dy).sum(0, dtype=weight.dtype)
            if outs is not None:
                db = db.new_zeros(weight.shape[0]).index_copy_(0, outs, db)
        return dx, dw, db, None, None, None


def _place(sub_KJ: Tensor, shape: torch.Size, outs_K: Tensor | None, ins_J: Tensor | None) -> Tensor:
    """What `_scatter` gives, in operations that can be differentiated."""
    rows = sub_KJ if ins_J is None else sub_KJ.new_zeros(len(sub_KJ), shape[1]).index_copy_(1, ins_J, sub_KJ)
    return rows if outs_K is None else sub_KJ.new_zeros(shape).index_copy_(0, outs_K, rows)


def _rows(x: Tensor) -> Tensor:
    """As a matrix of rows."""
    return x.flatten(0, -2) if x.ndim > 1 else x[None]


_BLOCK = 1 << 19
"""Elements of W at a time: what is gathered by rows stays in the cache until its columns are taken."""


def _gather(w_OI: Tensor, outs_K: Tensor | None, ins_J: Tensor | None) -> Tensor:
    """W[outs][:, ins], its only fresh memory the result."""
    if outs_K is None or ins_J is None:
        return _select(w_OI, outs_K, ins_J)
    sub = w_OI.new_empty(len(outs_K), len(ins_J))
    rows = max(1, _BLOCK // max(1, w_OI.shape[1]))
    buffer = _rows_of_scratch(min(rows, len(outs_K)), w_OI.shape[1], w_OI.dtype)
    for start in range(0, len(outs_K), rows):
        outs = outs_K[start : start + rows]
        whole = torch.index_select(w_OI, 0, outs, out=buffer[: len(outs)])
        torch.index_select(whole, 1, ins_J, out=sub[start : start + rows])
    return sub


def _scatter(sub_KJ: Tensor, weight_OI: Tensor, outs_K: Tensor | None, ins_J: Tensor | None) -> Tensor:
    """The matrix of W's shape whose submatrix is `sub` and whose other elements are 0, every element written once."""
    shape = weight_OI.shape
    if outs_K is None or ins_J is None:
        return _place(sub_KJ, shape, outs_K, ins_J)
    full = recycled_like(weight_OI)
    rows = min(max(1, _BLOCK // max(1, shape[1])), shape[0])
    # rows of a block are put together in the buffer, whose last row stays zero for the nodes that were removed
    buffer = _rows_of_scratch(rows + 1, shape[1], sub_KJ.dtype).zero_()
    place_O = torch.full((shape[0],), -1)
    place_O[outs_K] = torch.arange(len(outs_K))
    starts = range(0, shape[0], rows)
    cuts = torch.searchsorted(outs_K, torch.tensor([*starts, shape[0]])).tolist()
    for start, low, high in zip(starts, cuts, cuts[1:], strict=False):
        buffer[: high - low].scatter_(1, ins_J.expand(high - low, -1), sub_KJ[low:high])
        place = place_O[start : start + rows]
        place = torch.where(place < 0, rows, place - low)
        torch.index_select(buffer, 0, place, out=full[start : start + rows])
    return full


def _rows_of_scratch(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(scratch(rows * columns * dtype.itemsize)).view(dtype).view(rows, columns)
