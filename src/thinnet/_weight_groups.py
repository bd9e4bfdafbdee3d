"""Views of weights by outputs or inputs, and norms over such groups."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor


def group_view(w: Tensor, by: Literal["outputs", "inputs"], depth: int) -> tuple[Tensor, tuple[int, ...]]:
    """View weights `(*stack, out, in, ...)` by groups, and name the dimensions of the view that lie inside one group.

    Outputs are the first dimension after the stack's `depth`, inputs the second; every other one is inside the group.
    """
    needed = depth + (1 if by == "outputs" else 2)
    if w.ndim < needed:
        raise ValueError(
            f"grouping by {by} needs weights of at least {needed} dimensions"
            f"{f' ({depth} of them the stack)' if depth else ''}, got shape {tuple(w.shape)}."
        )
    inside = math.prod(w.shape[needed:])
    return w.reshape(*w.shape[:needed], inside), (-1,) if by == "outputs" else (-3, -1)


def group_norms(view: Tensor, inside: tuple[int, ...]) -> Tensor:
    """Compute Euclidean norms over the dimensions `inside`, kept with length 1; the gradient at zero is zero."""
    return roots(view.square().sum(inside, keepdim=True))


def roots(squares: Tensor) -> Tensor:
    """Take square roots, in place where no gradient is needed; the gradient at zero is zero."""
    if not squares.requires_grad:
        return squares.sqrt_()
    # sqrt of 1 in place of 0: the derivative of sqrt at 0 is infinite, and 0 * inf is NaN
    return squares.where(squares > 0, 1).sqrt() * (squares > 0)
