"""Full-batch minimization of loss plus penalties."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from thinnet.plan import Plan
from thinnet.search._fista2009 import descend
from thinnet.search._objective import Objective


@dataclass(frozen=True)
class Polished:
    """Result of `polish_`.

    Args:
        steps: gradient steps taken.
        cost: loss + penalties where it ended.
        residual: the norm of the gradient mapping at the last step, 0 at an optimum.
        converged: whether the residual is within the tolerance.
    """

    steps: int
    cost: float
    residual: float
    converged: bool


def polish_(
    model: nn.Module,
    plan: Plan | None,
    loss: Callable[[nn.Module], Tensor],
    *,
    scale: float = 1.0,
    steps: int = 10_000,
    tolerance: float = 1e-7,
) -> Polished:
    r"""Minimize loss plus penalties over the weights in place, by full-batch FISTA, which has no minibatch noise.

    Minimizes, over all parameters w of the model that require gradients, those without a rule too,

    .. math:: F(w) = f(w) + h(w), \qquad f = \mathrm{loss} + c \sum \mathrm{smooth\ penalties}

    where h is c times the penalties that are not smooth and the constraints, and c is `scale`. A step is
    :math:`w = \operatorname{prox}_{\eta h}(y - \eta \nabla f(y))`, from a point y ahead of the last one in the
    direction of the step before (FISTA). η is halved or so until f lies under its quadratic bound, and grows otherwise;
    momentum starts anew where it points uphill. No step that raises F beyond rounding is taken, whatever the loss.

    It ends when the gradient mapping :math:`\lVert y - w \rVert / \eta` is at most `tolerance` times its first value,
    or times 1 if that is larger; its being 0 are the KKT conditions of F. In low precision it ends at the rounding of
    the gradient, or when it comes no nearer. A convex F is then at its minimum, any other at a
    stationary point or, if f has kinks (ReLU), where no step of any length lowers F.

    Modes of the model are left as they are, and `loss` must give the same value twice: call `model.eval()` first, so
    that dropout is off (DropConnect of the plan is, then) and batch statistics stand still.

    Args:
        model: any module.
        plan: which rule governs which of its parameters; None polishes the loss alone.
        loss: the loss of the whole data, `model -> scalar`, differentiable: the data part alone, without penalties.
        scale: c >= 0, a factor on every strength of the plan.
        steps: gradient steps at most.
        tolerance: of the gradient mapping, see above; what lies under a few roundings of the weights counts as those.

    Returns:
        Steps taken, final cost and residual, and whether it converged.

    Raises:
        ValueError: the loss is no finite, repeatable, differentiable scalar, nothing in the model requires a gradient,
            a key of the plan claims nothing, or a rule has no cost (WeightDecay) or no proximal step on its weight. The
            weights are then as they were.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> model = torch.nn.Linear(3, 1, bias=False).double()
        >>> target = torch.tensor([[3.0, -0.25, 0.5]], dtype=torch.float64)
        >>> done = tn.polish_(model, tn.Plan(tn.L1(1.0)), lambda m: (m.weight - target).square().sum() / 2)
        >>> done.converged, [round(w, 6) for w in model.weight.flatten().tolist()]  # each weight 1 nearer to zero
        (True, [2.0, 0.0, 0.0])

    References:
        A. Beck, M. Teboulle, A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems, 2009.
        B. O'Donoghue, E. Candès, Adaptive Restart for Accelerated Gradient Schemes, 2015.
    """
    for name, value, least in (("scale", scale, 0.0), ("steps", steps, 1), ("tolerance", tolerance, 0.0)):
        if not (math.isfinite(value) and value >= least):
            raise ValueError(f"polish_: `{name}` must be finite and >= {least:g}, got {value}.")
    with Objective(model, plan, loss, scale) as objective:
        return Polished(*descend(objective, steps, tolerance))
