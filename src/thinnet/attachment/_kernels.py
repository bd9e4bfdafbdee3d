"""In-place kernels of the common rules, without the temporaries that cost more than the arithmetic.

Each function does what the rule's own method does and writes the outcome into `w`; a rule or a weight that has no
shorter way goes the rule's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from thinnet._strength import Strength
from thinnet.constraints import Constraint, MaxNorm
from thinnet.penalties import L1, L2, Decay, WeightDecay, WeightPenalty

_SINGLE = (torch.float32, torch.float64)
_NEAR = 0.98
"""Norms over this share of a limit are left to the constraint to judge: more than rounding, bfloat16's too, can err."""


@dataclass
class Scratch:
    """Two scratch buffers, reused from block to block and step to step: new memory costs as much as a pass over it."""

    buffers: dict[tuple[torch.dtype, torch.device, int], Tensor] = field(default_factory=dict)

    def like(self, w: Tensor, which: int) -> Tensor:
        """Return buffer `which`, of w's shape, with undefined contents."""
        if w.device.type != "cpu":
            return torch.empty_like(w)  # devices keep freed memory for the next to ask
        key = (w.dtype, w.device, which)
        if key not in self.buffers or self.buffers[key].numel() < w.numel():
            self.buffers[key] = torch.empty(w.numel(), dtype=w.dtype, device=w.device)
        return self.buffers[key][: w.numel()].view(w.shape)


def add_gradient_(gradient: Tensor, penalty: WeightPenalty, w: Tensor, factor: float) -> None:
    """Add factor · dP/dw to the gradient."""
    if isinstance(penalty, L2) and not isinstance(penalty.strength, Tensor):
        gradient.add_(w, alpha=factor * penalty.strength)
    else:
        gradient.add_(penalty.gradient(w), alpha=factor)


def decay_(decay: Decay, w: Tensor, lr: Strength) -> None:
    """Decay the weights by `decay`."""
    if isinstance(decay, WeightDecay) and not isinstance(decay.strength, Tensor):
        w.mul_(1 - lr * decay.strength)
    else:
        w.copy_(decay.shrink(w, lr))


def prox_(penalty: WeightPenalty, w: Tensor, step: Strength, metric: Tensor | None, scratch: Scratch) -> None:
    """Take the proximal step of `penalty`; it may write over `metric` where that is buffer 0."""
    t = step * penalty.strength if isinstance(penalty, L1) and not isinstance(penalty.strength, Tensor) else None
    if t is None or isinstance(t, Tensor) or w.dtype not in _SINGLE:
        w.copy_(penalty.prox(w, step, metric))
    elif metric is None:
        w.sub_(torch.clamp(w, -t, t, out=scratch.like(w, 1)))
    elif t:
        # soft(w, t/D) = soft(D w, t)/D: one buffer and two passes fewer than a threshold for every weight
        torch.ops.aten.softshrink.out(w.mul_(metric), t, out=w)
        w.div_(metric)


def project_(constraint: Constraint, w: Tensor) -> None:
    """Project the weights onto the set of `constraint`."""
    if not isinstance(constraint, MaxNorm) or isinstance(constraint.limit, Tensor) or w.device.type != "cpu":
        w.copy_(constraint.project(w))
        return
    # rows are independent, and one that is well inside stays as it is
    norms = torch.linalg.vector_norm(w.flatten(1), dim=1, dtype=torch.promote_types(w.dtype, torch.float32))
    near = norms >= _NEAR * constraint.limit
    if bool(near.any()):
        w[near] = constraint.project(w[near])
