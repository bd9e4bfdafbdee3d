"""One layer of all members: product, activation and dropout as a single step of the graph."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "silu", "gelu", "tanh"]

MODULES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class Drop(NamedTuple):
    """Multipliers (k, H, B) of the run of members from `start`: 0 for a dropped unit, 1/(1 − p) for a kept one."""

    start: int
    scale: Tensor

    def apply_(self, h_KHB: Tensor) -> None:
        """Multiply in place."""
        h_KHB[self.start : self.start + len(self.scale)].mul_(self.scale)


class Layer(torch.autograd.Function):
    r"""`h' = f(W h + b) ∘ mask`, feature-major: h (K, I, B), or (I, B) shared by all members; W (K, O, I), b (K, O).

    The intermediate results are nobody else's, so activation, mask and their derivatives work in place: on large
    layers fresh memory costs more than arithmetic. The output must have one reader, whose gradient is overwritten.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, w: Tensor, b: Tensor, activation: Activation | None, drop: Drop | None) -> Tensor:
        """The layer's output (K, O, B)."""
        if h.ndim == 2:  # one product for all members
            z = torch.addmm(b.reshape(-1, 1), w.reshape(-1, w.shape[2]), h).view(*b.shape, -1)
        else:
            z = torch.baddbmm(b.unsqueeze(-1), w, h)
        out = _activate(z, activation)
        if drop:
            # tanh's derivative is a function of its value before dropping
            saved = out.clone() if activation == "tanh" else z
            drop.apply_(out)
        else:
            saved = z
        ctx.save_for_backward(h, w, saved)
        ctx.activation, ctx.drop = activation, drop
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        """Gradients of h, W and b."""
        h, w, saved = ctx.saved_tensors
        dz_KOB = _slope_times_(grads[0], saved, ctx.activation)
        if ctx.drop:
            ctx.drop.apply_(dz_KOB)
        dh: Tensor | None = None
        if h.ndim == 2:
            dz_OB = dz_KOB.reshape(-1, h.shape[1])
            dw = (dz_OB @ h.t()).view_as(w)
            if ctx.needs_input_grad[0]:
                dh = w.reshape(-1, w.shape[2]).t() @ dz_OB
        else:
            dw = dz_KOB @ h.mT
            if ctx.needs_input_grad[0]:
                dh = w.mT @ dz_KOB
        return dh, dw, dz_KOB.sum(-1), None, None


def layer(h: Tensor, w: Tensor, b: Tensor, activation: Activation | None, drop: Drop | None) -> Tensor:
    """`Layer.apply`, typed."""
    result: Tensor = Layer.apply(h, w, b, activation, drop)  # type: ignore[no-untyped-call]
    return result


def _activate(z: Tensor, activation: Activation | None) -> Tensor:
    """f(z); in place where the derivative can do without z."""
    match activation:
        case "relu":
            return z.relu_()
        case "silu":
            return F.silu(z)
        case "gelu":
            return F.gelu(z)
        case "tanh":
            return z.tanh_()
        case None:
            return z


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
