"""The diagonal metric in which an optimizer's step is a gradient step, read from its state after the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, optim

from thinnet._strength import Strength

State = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """A step w ← w − step · m / D, where m averages past gradients with weights that sum to 1.

    Args:
        step: the step length.
        state: the tensors, of the parameter's shape, that D is computed from; empty where D is 1.
        diagonal: D from a buffer that it may use and any equal slices of `state`.
    """

    step: Strength
    state: tuple[Tensor, ...] = ()
    diagonal: Callable[..., Tensor] = torch.ones_like


@dataclass(frozen=True)
class Moment:
    """Settings and state of an optimizer around one step of one parameter.

    Args:
        group: the optimizer's settings for the parameter.
        state: the optimizer's state of the parameter, after the step.
        parameter: the parameter, after the step.
        before: what `observe` saw before the step.
        gain: the sum of the weights that the momentum buffer gives to past gradients, this step's included.
    """

    group: dict[str, Any]
    state: State
    parameter: nn.Parameter
    before: Any
    gain: float


def number(value: float | Tensor) -> Strength:
    """A setting as a float where reading it costs nothing; on a device it stays a tensor, to spare a wait."""
    return float(value) if not isinstance(value, Tensor) or value.device.type == "cpu" else value.double()


def _bias_correction(m: Moment, beta: str = "beta2") -> Strength:
    b1, b2 = m.group["betas"]
    return 1 - number(b2 if beta == "beta2" else b1) ** number(m.state["step"])


def _root(value: Strength) -> Strength:
    return value.sqrt() if isinstance(value, Tensor) else math.sqrt(value)


def _over_root(step: Strength, second_moment: Tensor, eps: Strength) -> Metric:
    """D = sqrt(v) + ε."""
    return Metric(step, (second_moment,), lambda out, v: torch.sqrt(v, out=out).add_(eps))


def sgd(m: Moment) -> Metric:
    """D = 1; the buffer's weights sum to `gain`, and Nesterov's step looks one step ahead of it."""
    gain = 1 + m.group["momentum"] * m.gain if m.group["nesterov"] else m.gain
    return Metric(number(m.group["lr"]) * gain)


def adam(m: Moment) -> Metric:
    """D = sqrt(v̂) + ε with v̂ = v / (1 − β₂ᵗ), both sides times sqrt(1 − β₂ᵗ), which spares a pass over v."""
    v = m.state["max_exp_avg_sq"] if m.group["amsgrad"] else m.state["exp_avg_sq"]
    root = _root(_bias_correction(m))
    return _over_root(number(m.group["lr"]) * root, v, m.group["eps"] * root)


def nadam(m: Moment) -> Metric:
    """Adam's D; the two terms of Nesterov's momentum have weights that sum to 1 only in the end."""
    beta1, t = number(m.group["betas"][0]), number(m.state["step"])
    product, decay = number(m.state["mu_product"]), m.group["momentum_decay"]
    mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (s * decay)) for s in (t, t + 1))
    gain = (1 - mu) / (1 - product) + ahead * _bias_correction(m, "beta1") / (1 - product * ahead)
    root = _root(_bias_correction(m))
    return _over_root(number(m.group["lr"]) * gain * root, m.state["exp_avg_sq"], m.group["eps"] * root)


def radam(m: Moment) -> Metric:
    """D = 1 until the variance can be rectified, then (sqrt(v) + ε) / sqrt(1 − β₂ᵗ) and the rectified step."""
    beta2, t = float(m.group["betas"][1]), float(m.state["step"])
    correction = 1 - beta2**t
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / correction
    lr = number(m.group["lr"])
    if length <= 5:
        return Metric(lr)
    rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return _over_root(lr * math.sqrt(rectified * correction), m.state["exp_avg_sq"], m.group["eps"])


def adamax(m: Moment) -> Metric:
    """D = u, the weighted infinity norm, which has ε inside."""
    return Metric(number(m.group["lr"]), (m.state["exp_inf"],), lambda out, u: u)


def adagrad(m: Moment) -> Metric:
    """D = sqrt(G) + ε."""
    lr = number(m.group["lr"]) / (1 + (number(m.state["step"]) - 1) * m.group["lr_decay"])
    return _over_root(lr, m.state["sum"], m.group["eps"])


def rmsprop(m: Moment) -> Metric:
    """D = sqrt(v) + ε, of v − ḡ² when centered; the buffer's weights sum to `gain`."""
    step, eps = number(m.group["lr"]) * m.gain, m.group["eps"]
    if not m.group["centered"]:
        return _over_root(step, m.state["square_avg"], eps)
    moments = (m.state["square_avg"], m.state["grad_avg"])
    return Metric(step, moments, lambda out, v, g: out.copy_(v).addcmul_(g, g, value=-1).sqrt_().add_(eps))


def adadelta(m: Moment) -> Metric:
    """D = sqrt(v + ε) / sqrt(Δ + ε), with Δ as it was before the step."""
    eps = m.group["eps"]
    moments = (m.state["square_avg"], m.before)
    return Metric(number(m.group["lr"]), moments, lambda out, v, d: torch.add(v, eps, out=out).div_(d.add(eps)).sqrt_())


def adafactor(m: Moment) -> Metric:
    """D = sqrt(v) of the factored v; the step follows the size of the weights and of the update."""
    eps1, eps2 = m.group["eps"]
    eps1 = torch.finfo(m.parameter.dtype).eps if eps1 is None else eps1
    if m.parameter.ndim > 1:
        row = m.state["row_var"]
        v = (row @ m.state["col_var"]).div_(row.mean(-2, keepdim=True).clamp_(min=eps1))
    else:
        v = m.state["variance"].clone()
    root = v.clamp_(min=eps1 * eps1).sqrt_()
    assert m.parameter.grad is not None
    size = float((m.parameter.grad / root).norm()) / math.sqrt(root.numel())
    alpha = max(eps2, m.before) * min(float(m.group["lr"]), float(m.state["step"]) ** -0.5)
    return Metric(alpha / max(1.0, size / m.group["d"]), (root,), lambda out, d: d)


def observe(optimizer: optim.Optimizer, parameter: nn.Parameter) -> Any:
    """Record what a metric needs from before the step."""
    if isinstance(optimizer, optim.Adadelta):
        known = optimizer.state[parameter].get("acc_delta")
        return torch.zeros_like(parameter) if known is None else known.clone()
    if isinstance(optimizer, optim.Adafactor):
        return float(parameter.detach().norm()) / math.sqrt(parameter.numel())
    return None


def next_gain(gain: float | None, optimizer: optim.Optimizer, group: dict[str, Any], state: State) -> float:
    """The sum of a momentum buffer's weights after one more gradient: c ← μ c + 1 − dampening, from 1 at the first.

    Args:
        gain: c before the step; None when nobody kept it.
        optimizer: whose buffer it is.
        group: the optimizer's settings.
        state: the optimizer's state before the step.
    """
    momentum = group.get("momentum", 0) if isinstance(optimizer, optim.SGD | optim.RMSprop) else 0
    if not momentum:
        return 1.0
    fresh = 1 - group.get("dampening", 0)
    if state.get("momentum_buffer") is None:
        return 1.0
    # a buffer that was there before anyone counted has, for all that is known, forgotten its start
    gain = fresh / (1 - momentum) if gain is None else gain
    return float(momentum * gain + fresh)


METRICS: dict[type[optim.Optimizer], Callable[[Moment], Metric]] = {
    optim.SGD: sgd,
    optim.Adam: adam,
    optim.AdamW: adam,
    optim.NAdam: nadam,
    optim.RAdam: radam,
    optim.Adamax: adamax,
    optim.Adagrad: adagrad,
    optim.RMSprop: rmsprop,
    optim.Adadelta: adadelta,
    optim.Adafactor: adafactor,
}


def metric_of(optimizer: optim.Optimizer) -> Callable[[Moment], Metric] | None:
    """The metric of the optimizer's class or of the class that it extends; None when none is known."""
    return next((METRICS[kind] for kind in type(optimizer).__mro__ if kind in METRICS), None)
