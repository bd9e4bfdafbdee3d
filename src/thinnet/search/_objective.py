"""The penalized loss of a model, with the gradient and proximal step of a proximal gradient method."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from thinnet.attachment import Attachment, attach
from thinnet.errors import NoEffectWarning, PlanWarning
from thinnet.plan import Binding, Plan
from thinnet.rule import Rules

Point = list[Tensor]
"""One tensor a parameter."""


def gradient(f: Tensor, parameters: Sequence[Tensor]) -> Point:
    """Compute the gradient of f; that of a parameter which f does not use is zero."""
    pairs = zip(parameters, torch.autograd.grad(f, parameters, allow_unused=True), strict=True)
    return [torch.zeros_like(p) if g is None else g.to_dense() if g.is_sparse else g for p, g in pairs]


class Objective:
    """F = f + h at the weights of a model: f the loss and the smooth penalties, h the other ones and constraints.

    Within its `with` block the model's parameters are moved; at its end their gradients are as they were.

    Args:
        model: whose weights move.
        plan: the penalties and constraints.
        loss: `model -> scalar`.
        scale: a factor on the plan's strengths.

    Raises:
        ValueError: see `polish_`.
    """

    def __init__(self, model: nn.Module, plan: Plan | None, loss: Callable[[nn.Module], Tensor], scale: float) -> None:
        self._model, self._loss = model, loss
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise ValueError(
                "polish_: no parameter of the model requires a gradient; unfreeze what is to be polished "
                "(parameter.requires_grad_())."
            )
        self._gradients = [p.grad for p in self.parameters]
        bindings = () if plan is None else _bind(plan, model)
        self._smooth = [
            (binding, rule * scale) for binding in bindings if not binding.frozen for rule in binding.order.gradient
        ]
        self._check_loss()
        self._optimizer = torch.optim.SGD(self.parameters, lr=0.0)
        self._attachment = None if plan is None else _attach(model, plan, self._optimizer, scale)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._attachment is not None:
            self._attachment.detach()
        for parameter, gradient in zip(self.parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def point(self) -> Point:
        """Copy the weights."""
        return [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def move(self, point: Point) -> None:
        """Set the weights to a point."""
        for parameter, value in zip(self.parameters, point, strict=True):
            parameter.copy_(value)

    @torch.enable_grad()
    def slope(self) -> tuple[float, Point]:
        """Compute F's smooth part f at the weights, and its gradient."""
        f = self._f()
        return float(f.detach()), gradient(f, self.parameters)

    @torch.no_grad()
    def values(self) -> tuple[float, float]:
        """Compute the smooth part f at the weights, and all of F but the constraints."""
        f = float(self._f())
        return f, f + (sum(self._attachment.terms().values()) if self._attachment is not None else 0.0)

    @property
    def eps(self) -> float:
        """The relative rounding of f and of the weights, whichever is coarser."""
        return max(torch.finfo(dtype).eps for dtype in {self._dtype, *(p.dtype for p in self.parameters)})

    def step(self, gradient: Point, length: float) -> None:
        """Take the proximal step w = prox(w − length · gradient); one of length zero is the projection."""
        for parameter, slope in zip(self.parameters, gradient, strict=True):
            parameter.grad = slope
        self._optimizer.param_groups[0]["lr"] = length
        self._optimizer.step()

    def _f(self) -> Tensor:
        f = self._loss(self._model).reshape(())
        for binding, penalty in self._smooth:
            f = f + penalty.value(binding.value()).sum().to(f.device)
        return f

    @torch.enable_grad()
    def _check_loss(self) -> None:
        first = self._loss(self._model)
        with torch.no_grad():
            second = self._loss(self._model)
        if not isinstance(first, Tensor) or first.numel() != 1 or not first.is_floating_point():
            got = f"shape {tuple(first.shape)} of {first.dtype}" if isinstance(first, Tensor) else f"{first!r}"
            raise ValueError(f"polish_: `loss` must return a real scalar tensor, got {got}; take its mean or sum.")
        if not first.requires_grad:
            raise ValueError("polish_: `loss` is not differentiable; compute it from model(x), without detach or item.")
        a, b = float(first.detach()), float(second.detach())
        if not math.isfinite(a):
            raise ValueError(f"polish_: `loss` must be finite, got {a}; train first, at a smaller learning rate.")
        self._dtype = first.dtype
        if not abs(a - b) <= math.sqrt(self.eps) * max(abs(a), abs(b)):
            raise ValueError(
                f"polish_: `loss` must give the same value twice, got {a} and {b}; call model.eval(), so that dropout "
                "is off, and compute it on the same rows each time."
            )
        gradients = torch.autograd.grad(first, self.parameters, allow_unused=True)
        names = {id(p): name for name, p in self._model.named_parameters()}
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None and not bool(gradient.to_dense().isfinite().all()):
                raise ValueError(f"polish_: the gradient of {names[id(parameter)]} is not finite where it starts.")


def _bind(plan: Plan, model: nn.Module) -> tuple[Binding, ...]:
    """Bind the plan; refuse a rule without a cost and a key that claims nothing."""
    unmatched = [finding for finding in plan.findings(model) if finding.code == "no-match"]
    if unmatched:
        raise ValueError(f"polish_: {' '.join(map(str, unmatched))}")
    bindings = plan.bind(model)
    for binding in bindings:
        for rule in binding.rules:
            if rule.acts == "decay":
                raise ValueError(
                    f"polish_: {rule!r} on {binding.name} has no cost, and so no optimum; use tn.L2, which has."
                )
    return bindings


def _attach(model: nn.Module, plan: Plan, optimizer: torch.optim.Optimizer, scale: float) -> Attachment | None:
    """Attach the rules that act through proximal steps and projections; None where there are none."""
    entries = {}
    for key, rule in plan.entries:
        # masks act in the forward pass: a second attachment would take the place of the caller's
        parts = tuple(part for part in rule.parts() if part.acts_after_step)
        if parts:
            entries[key] = Rules(parts)
    if not entries:
        return None
    with warnings.catch_warnings():
        # whoever trains with the plan has seen its findings; strengths of zero and frozen weights are common on a path
        warnings.simplefilter("ignore", NoEffectWarning)
        warnings.simplefilter("ignore", PlanWarning)
        attachment = attach(model, Plan(entries, examples=plan.examples), optimizer)
    attachment.scale = scale
    return attachment
