"""The proximal step of a plan, without an optimizer."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from thinnet.attachment._joint_step import joint_step_
from thinnet.attachment._kernels import Scratch
from thinnet.attachment._metric import Metric
from thinnet.attachment._weight_step import WeightStep
from thinnet.plan import Binding, joint_bindings


@torch.no_grad()
def proximal_step_(bindings: Iterable[Binding], *, scale: float = 1.0, step: float = 1.0) -> None:
    r"""Take the proximal step argmin_u ½ ‖u − w‖² + step · scale · P(u) of the nonsmooth penalties P, then project.

    Args:
        bindings: the weights, written in place, and their rules; smooth penalties and decays among them do nothing.
        scale: a factor on every strength.
        step: the length of the step that came before.
    """
    bindings, metric, scratch = tuple(bindings), Metric(step), Scratch()
    steps = [WeightStep.of(binding, scale, True) for binding in bindings]
    for weight_step in steps:
        weight_step.after(metric, scratch)
    waiting = [weight_step for weight_step in steps if weight_step.joint]
    for joint in joint_bindings(bindings, scale):
        joint_step_(joint, {weight_step.binding.name: metric for weight_step in waiting})
    for weight_step in waiting:
        weight_step.project()
