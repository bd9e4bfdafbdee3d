"""Batched linear layer of all members, fused with activation and dropout into one autograd node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from thinnet._buffers import BufferPool

Activation = Literal["relu", "silu", "gelu", "tanh"]

MODULES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class Drop(NamedTuple):
    """Dropout multipliers (k, H, B) of the members from `start`: 0 for a dropped unit, 1/(1 − p) for a kept one."""

    start: int
    scale: Tensor

    def apply_(self, h_KHB: Tensor) -> None:
        """Multiply in place."""
        h_KHB[self.start : self.start + len(self.scale)].mul_(self.scale)


class Group(NamedTuple):
    """Consecutive members that see the same inputs: the inputs' indices, None for all."""

    members: slice
    inputs: Tensor | None


class Layer(torch.autograd.Function):
    r"""`h' = f(W h + b) ∘ mask`, feature-major: h (K, I, B), or (I, B) shared by all members; W (K, O, I), b (K, O).

    A group of members that sees part of the inputs multiplies by that part alone, and has no gradient for the others.

    The intermediate results are nobody else's, so activation, mask and their derivatives work in place, in buffers of
    the pool. A hidden layer's output must have one reader, whose gradient is overwritten. The last layer, whose
    activation is None, gives its output and takes its gradient from outside, and leaves both alone.
    """

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        w: Tensor,
        b: Tensor,
        activation: Activation | None,
        drop: Drop | None,
        groups: Sequence[Group],
        pool: BufferPool,
    ) -> Tensor:
        """The layer's output (K, O, B)."""
        shape_KOB = (*b.shape, h.shape[-1])
        z = pool.take(shape_KOB, w.dtype, w.device) if activation else w.new_empty(shape_KOB)
        for group in groups:
            k, seen_w, seen_h = group.members, _seen_weights(w, group), _seen_inputs(h, group)
            if h.ndim == 2:  # one product for all members
                torch.addmm(b[k].reshape(-1, 1), seen_w.flatten(0, 1), seen_h, out=z[k].view(-1, h.shape[1]))
            else:
                torch.baddbmm(b[k].unsqueeze(-1), seen_w, seen_h, out=z[k])
        out, saved = _activate(z, activation, drop, pool)
        if drop:
            drop.apply_(out)
        ctx.save_for_backward(h, w, saved, out, drop.scale if drop else None)
        ctx.activation, ctx.start, ctx.pool = activation, drop.start if drop else 0, pool
        ctx.groups, ctx.done = groups, False
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None, None, None]:
        """Gradients of h, W and b."""
        if ctx.done:
            raise RuntimeError(
                "Stack: backward() was called twice on the same forward pass, whose buffers are reused; call forward "
                "again."
            )
        ctx.done = True
        h, w, saved, out, scale = ctx.saved_tensors
        pool: BufferPool = ctx.pool
        dz_KOB = _slope_times_(grads[0], saved, ctx.activation)
        if scale is not None:
            Drop(ctx.start, scale).apply_(dz_KOB)
        partial = any(group.inputs is not None for group in ctx.groups)
        dw = torch.zeros_like(w) if partial else torch.empty_like(w)
        for group in ctx.groups:
            k, dz, seen_h = group.members, dz_KOB[group.members], _seen_inputs(h, group)
            # a slice of whole members is contiguous, so products write where they belong
            out_w = dw[k] if group.inputs is None else w.new_empty(*dz.shape[:2], len(group.inputs))
            if h.ndim == 2:
                torch.mm(dz.reshape(-1, h.shape[1]), seen_h.t(), out=out_w.view(-1, seen_h.shape[0]))
            else:
                torch.bmm(dz, seen_h.mT, out=out_w)
            if group.inputs is not None:
                dw[k].index_copy_(2, group.inputs, out_w)
        dh: Tensor | None = None
        if ctx.needs_input_grad[0]:
            dh = pool.like(h)
            if h.ndim == 2:
                torch.mm(w.flatten(0, 1).t(), dz_KOB.reshape(-1, h.shape[1]), out=dh)
            else:
                torch.bmm(w.mT, dz_KOB, out=dh)
        db = dz_KOB.sum(-1)
        if ctx.activation:
            # out and saved may be one tensor, which autograd hands back as two objects
            buffers = {t.data_ptr(): t for t in (dz_KOB, saved, out, scale) if t is not None}
            pool.give(*buffers.values())
        return dh, dw, db, None, None, None, None


def layer(
    h: Tensor,
    w: Tensor,
    b: Tensor,
    activation: Activation | None,
    drop: Drop | None,
    groups: Sequence[Group],
    pool: BufferPool,
) -> Tensor:
    """`Layer.apply`, typed."""
    result: Tensor = Layer.apply(h, w, b, activation, drop, groups, pool)  # type: ignore[no-untyped-call]
    return result


def _seen_weights(w_KOI: Tensor, group: Group) -> Tensor:
    w = w_KOI[group.members]
    return w if group.inputs is None else w.index_select(2, group.inputs)


def _seen_inputs(h: Tensor, group: Group) -> Tensor:
    if h.ndim == 3:
        h = h[group.members]
    return h if group.inputs is None else h.index_select(h.ndim - 2, group.inputs)


def _activate(z: Tensor, activation: Activation | None, drop: Drop | None, pool: BufferPool) -> tuple[Tensor, Tensor]:
    """f(z) and what its derivative needs, which are one tensor where possible."""
    aten = torch.ops.aten
    match activation:
        case "relu":
            return z.relu_(), z
        case "silu":
            return aten.silu.out(z, out=pool.like(z)), z
        case "gelu":
            return aten.gelu.out(z, out=pool.like(z)), z
        case "tanh":
            # the derivative is a function of the value before dropping
            return z.tanh_(), pool.like(z).copy_(z) if drop else z
        case None:
            return z, z


def _slope_times_(grad: Tensor, saved: Tensor, activation: Activation | None) -> Tensor:
    """f'(z) ∘ grad, in place of a hidden layer's `grad`."""
    aten = torch.ops.aten
    match activation:
        case "relu":
            aten.threshold_backward.grad_input(grad, saved, 0, grad_input=grad)
        case "silu":
            aten.silu_backward.grad_input(grad, saved, grad_input=grad)
        case "gelu":
            aten.gelu_backward.grad_input(grad, saved, grad_input=grad)
        case "tanh":
            aten.tanh_backward.grad_input(grad, saved, grad_input=grad)
        case None:
            pass
    return grad
