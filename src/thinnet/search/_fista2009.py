"""Accelerated proximal gradient descent (FISTA) with backtracking and adaptive restart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from thinnet.search._objective import Objective, Point

_SHRINKS = 60
"""How often a step is shortened before it is taken that none is short enough."""
_ROUNDINGS = 8
"""How many roundings a cost may be off by, or a gradient."""


@dataclass(frozen=True)
class _Step:
    """A proximal step from y that f's quadratic bound at y allows.

    Args:
        z: where it leads.
        moved: z − y.
        length: how long it is.
        cost: F at z.
        shrinks: how often it was shortened.
        blurred: whether it changes F by less than F's rounding.
    """

    z: Point
    moved: Point
    length: float
    cost: float
    shrinks: int
    blurred: bool

    @property
    def residual(self) -> float:
        """The norm of the gradient mapping."""
        return math.sqrt(_dot(self.moved, self.moved)) / self.length


def descend(objective: Objective, steps: int, tolerance: float) -> tuple[int, float, float, bool]:
    """Minimize F from the weights as they are until the gradient mapping is as good as zero, see `polish_`.

    Returns:
        Steps taken, F, the norm of the last gradient mapping, and whether that is within the tolerance.
    """
    objective.step([torch.zeros_like(p) for p in objective.parameters], 0.0)  # into the constraints, which F leaves out
    x = previous = objective.point()
    t, length, growth = 1.0, 1.0, 2.0
    first, limit, residual, nearest, nearest_at, taken = math.nan, 0.0, math.inf, math.inf, 0, 0
    try:
        _, cost = objective.values()
        for taken in range(1, steps + 1):
            t, before = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
            ahead = (before - 1) / t
            y = [w + ahead * (w - v) for w, v in zip(x, previous, strict=True)] if ahead else x
            objective.move(y)
            f, gradient = objective.slope()
            slack = _ROUNDINGS * objective.eps * max(abs(f), abs(cost))
            step = _search(objective, y, f, gradient, length, slack, math.inf if ahead else cost + slack)
            if step is None or not step.cost <= cost + slack:
                if not ahead:
                    break  # no step of any length lowers the cost
                previous, t = x, 1.0
                continue
            residual = step.residual
            first = residual if math.isnan(first) else first
            rounding = _ROUNDINGS * objective.eps
            limit = max(max(tolerance, rounding) * max(1.0, first), rounding * math.sqrt(_dot(gradient, gradient)))
            # momentum that points uphill has carried too far: O'Donoghue and Candès's test by the gradient
            overshot = _dot(step.moved, [w - v for w, v in zip(step.z, x, strict=True)]) < 0
            previous, x, cost = x, step.z, min(cost, step.cost)
            if residual <= limit:
                break
            if overshot:
                previous, t = x, 1.0
            growth = 1.1 if step.shrinks else growth
            length = step.length if step.blurred else step.length * growth
            if residual < nearest:
                nearest, nearest_at = residual, taken
            elif step.blurred and taken - nearest_at > 50 + taken // 2:
                break  # costs are equal to rounding, and it comes no nearer
        return taken, cost, residual, residual <= limit
    finally:
        objective.move(x)


def _search(
    objective: Objective, y: Point, f: float, gradient: Point, length: float, slack: float, most: float
) -> _Step | None:
    """The step from y of at most this length that f's quadratic bound allows and that costs at most `most`."""
    noise = _ROUNDINGS * objective.eps * math.sqrt(_dot(gradient, gradient))
    for shrinks in range(_SHRINKS):
        if not math.isfinite(f):
            break
        objective.move(y)
        objective.step(gradient, length)
        z = objective.point()
        moved = [w - v for w, v in zip(z, y, strict=True)]
        squared = _dot(moved, moved)
        room = squared / (2 * length)
        reached, cost = objective.values()
        excess, blurred = reached - f - _dot(gradient, moved), room <= slack
        if blurred and excess <= room + slack:
            # costs say nothing any more, gradients do
            turned = [g - h for g, h in zip(objective.slope()[1], gradient, strict=True)]
            excess = _dot(turned, moved) / 2 - noise * math.sqrt(squared)
        if excess <= room and cost <= most:
            return _Step(z, moved, length, cost, shrinks, blurred)
        # 1/L by the curvature just met, in bounds
        length *= min(0.7, max(0.1, room / excess)) if room < excess < math.inf else 0.5 if excess <= room else 0.1
    return None


def _dot(a: Point, b: Point) -> float:
    return sum(float(torch.dot(v.flatten(), w.flatten())) for v, w in zip(a, b, strict=True))
