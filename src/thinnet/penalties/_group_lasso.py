"""The group lasso over the outputs, the inputs or blocks of inputs of one weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thinnet._strength import Strength, broadcast, precise, quotient, stack_depth
from thinnet._weight_groups import group_view, roots
from thinnet.penalties._base import WeightPenalty, total
from thinnet.penalties._blocks import Blocks
from thinnet.penalties._grouping import By, Grouping, refuse_outputs
from thinnet.rule import Acts, GroupedBy

NEWTON_STEPS = 16
"""Enough for metrics that range over 12 decades inside a group; 2 to 4 do for one or two decades."""


def group_lasso(w: Tensor, strength: Strength, *, by: By = "outputs", blocks: Sequence[int] | None = None) -> Tensor:
    """Compute s · Σ_g sqrt(size_g) · ‖w_g‖, a scalar; one a member where the strength is of shape `stack`."""
    depth = stack_depth(strength)
    view, groups = Grouping.of(w, by, blocks, depth)
    norms = total(groups.scaled(1.0, view) * roots(groups.sum(view.square())), depth)
    return broadcast(strength, norms) * norms


def group_lasso_prox(
    w: Tensor,
    threshold: Strength,
    metric: Tensor | None = None,
    *,
    by: By = "outputs",
    blocks: Sequence[int] | None = None,
) -> Tensor:
    """The proximal step: group g is zero where ‖D∘w_g‖ <= τ, and else D θ/(D θ + τ) · w_g, for τ = t · sqrt(size_g).

    Here t is `threshold`, D is `metric`, and θ, the norm of the outcome, solves Σ (D w / (D θ + τ))² = 1. Without a
    metric θ = ‖w_g‖ − τ.
    """
    depth = stack_depth(threshold)
    z, groups = Grouping.of(w, by, blocks, depth)
    tau = groups.scaled(threshold, z)
    if metric is None:
        norms = roots(groups.sum(z.square()))
        kept = (1 - quotient(tau, norms.clamp(min=torch.finfo(z.dtype).tiny))).clamp(min=0)
        return (z * groups.each(kept, 1.0)).reshape(w.shape).to(w.dtype)
    d, _ = group_view(precise(metric), by, depth)
    q = quotient(groups.each(tau, 0.0) if isinstance(tau, Tensor) else tau, d)
    theta = groups.each(_outcome_norms(z, d, q, tau, groups), 1.0)
    return (z / (q / theta).add_(1)).reshape(w.shape).to(w.dtype)


def _outcome_norms(z: Tensor, d: Tensor, q: Tensor, tau: Strength, groups: Grouping) -> Tensor:
    """θ of every group of one parameter, for q = τ/D."""
    pulls_squared, norms_squared = (d * z).square_(), z.square()
    pulls, bends = groups.sum(pulls_squared), groups.sum(pulls_squared.mul_(d))
    squares, tilts = groups.sum(norms_squared), groups.sum(norms_squared.mul_(q))

    def at(theta: Tensor) -> tuple[Tensor, Tensor]:
        r = (q + groups.each(theta, 1.0)).reciprocal_()
        terms = (z * r).square_()
        return groups.sum(terms), groups.sum(terms.mul_(r))

    return outcome_norms((pulls, bends, squares, tilts), tau, at)


def outcome_norms(
    sums: tuple[Tensor, Tensor, Tensor, Tensor], tau: Strength, at: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    """θ of every group: the root of ‖z / (θ + τ/D)‖ = 1, where D is the metric; zero for groups that become zero.

    1/‖z / (θ + τ/D)‖ is concave and rising in θ, so Newton's method on it climbs to the root from any point below. The
    tangents at zero and at infinity give two such points; both are the root itself where D is constant.

    Args:
        sums: over each group, Σ (Dz)², Σ D (Dz)², Σ z² and Σ z² τ/D.
        tau: the threshold of each group.
        at: for θ of each group, Σ z² r² and Σ z² r³ over it, with r = 1 / (θ + τ/D).
    """
    pulls_squared, bends, norms_squared, tilts = sums
    pulls, norms = pulls_squared.sqrt(), norms_squared.sqrt()
    gone = pulls <= tau
    at_zero = (pulls - tau) * pulls.square() / bends
    at_infinity = norms - tilts / norms.square()
    theta, moving = torch.maximum(at_zero, at_infinity).minimum(norms), ~gone
    near = math.sqrt(torch.finfo(theta.dtype).eps)
    for _ in range(NEWTON_STEPS):
        squares, slopes = at(theta)
        step = (squares.sqrt() - 1) * (squares / slopes)
        # a group that has arrived stands still, so it does not matter how many steps the others take
        theta = torch.where(moving, theta + step, theta)
        moving = moving & (step.abs() > near * theta)
        if theta.device.type == "cpu" and not torch.compiler.is_compiling() and not bool(moving.any()):
            break  # elsewhere, asking would wait for the device
    unpenalized = torch.as_tensor(tau == 0, device=theta.device).to(theta.dtype)  # 1, so that τ/(D θ) is 0 and not 0/0
    return torch.where(gone, unpenalized, theta)


@dataclass(frozen=True, eq=False, repr=False)
class GroupLasso(WeightPenalty):
    r"""Group lasso: drives whole groups of weights to exactly zero, so that neurons can be removed.

    .. math:: P(w) = s \sum_g \sqrt{n_g} \, \lVert w_g \rVert_2

    A group g of n_g weights is all that enters one output (`by="outputs"`, dimension 0 of torch's weights) or all that
    leaves one input (`by="inputs"`, dimension 1); the kernel's dimensions of a convolution are inside the group. The
    gradient of a group that is zero is zero.

    With `blocks`, a group is all that leaves the inputs of one number: the columns into which a category or a
    piecewise-linear embedding was encoded enter or leave the network as one feature.

    Args:
        strength: s >= 0, a number or a tensor of shape `stack`.
        by: what a group belongs to, "outputs" by default.
        blocks: for by="inputs": the number of the group of each input, -1 for none; None is a group for each. Weights
            of no group are left alone.

    Raises:
        ValueError: the strength is negative, NaN or infinite, `by` is neither of the two, `blocks` stand beside
            "outputs", or there is no group. When it meets weights: they have another number of inputs than `blocks`.
        TypeError: the strength is no number, or `blocks` is no list of whole numbers.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> penalty, w = tn.GroupLasso(1.0), torch.tensor([[3.0, 4.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
        >>> penalty.value(w)  # sqrt(4) · (5 + 2)
        tensor(14.)
        >>> penalty.prox(w, step=1.25)  # the threshold is 1.25 · sqrt(4): half of the first norm, above the second
        tensor([[1.5000, 2.0000, 0.0000, 0.0000],
                [0.0000, 0.0000, 0.0000, 0.0000]])
        >>> blocks = tn.GroupLasso(1.0, by="inputs", blocks=[7, 7, -1, 2])
        >>> blocks.value(torch.tensor([[3.0, 4.0, 9.0, 5.0]]))  # sqrt(2) · ‖(3, 4)‖ + sqrt(1) · ‖5‖
        tensor(12.0711)

    References:
        M. Yuan, Y. Lin, Model Selection and Estimation in Regression with Grouped Variables, 2006.
        J. Yun, A. C. Lozano, E. Yang, Adaptive Proximal Gradient Methods for Structured Neural Networks, 2021.
        J. J. Moré, D. C. Sorensen, Computing a Trust Region Step, 1983 (Newton's method on the reciprocal of a norm).
    """

    strength: Strength
    by: By = "outputs"
    blocks: Sequence[int] | None = None
    acts: ClassVar[Acts] = "prox"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in ("outputs", "inputs"):
            raise ValueError(f'GroupLasso: `by` must be "outputs" or "inputs", got {self.by!r}.')
        if self.blocks is not None:
            refuse_outputs(self.by)
            object.__setattr__(self, "blocks", Blocks.of(self.blocks))

    @property
    def grouping(self) -> GroupedBy:
        """What its groups belong to: `by`."""
        return self.by

    def settings(self) -> dict[str, object]:
        """See `Rule.settings`; without `blocks` where it is None."""
        settings = super().settings()
        blocks = settings.pop("blocks")
        return settings if blocks is None else {**settings, "blocks": list(self.blocks or ())}

    def check(self, name: str, shape: Sequence[int]) -> None:
        """Refuse, by name, a weight of shape `(*stack, out, in, ...)` that has another number of inputs than `blocks`.

        Args:
            name: the weight's.
            shape: its shape, as rules see it.
        """
        inputs = stack_depth(self.strength) + 1
        if self.blocks is not None:
            Blocks.of(self.blocks).check(name, shape, shape[inputs] if inputs < len(shape) else 0)

    def alive(self, w: Tensor) -> Tensor:
        """Which groups have a weight that is not zero: `(*stack, groups)`, blocks in the order of their numbers."""
        depth = stack_depth(self.strength)
        view, groups = Grouping.of(w, self.by, self.blocks, depth)
        return (groups.sum((view != 0).long()) > 0).flatten(depth)

    def value(self, w: Tensor) -> Tensor:
        """See `WeightPenalty.value`."""
        return group_lasso(w, self.strength, by=self.by, blocks=self.blocks)

    def prox(self, w: Tensor, step: Strength, metric: Tensor | None = None) -> Tensor:
        """See `WeightPenalty.prox`."""
        return group_lasso_prox(w, step * self.strength, metric, by=self.by, blocks=self.blocks)

    def __repr__(self) -> str:
        settings = self.settings() | ({} if self.blocks is None else {"blocks": self.blocks})
        return f"GroupLasso({', '.join(f'{k}={v!r}' for k, v in settings.items())})"
