"""The proximal step of a penalty over several weights, after a step of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from thinnet._strength import precise
from thinnet.attachment._metric import Metric
from thinnet.plan import JointBinding


def joint_step_(joint: JointBinding, metrics: Mapping[str, Metric]) -> None:
    """Take one proximal step, in place, of all weights of a joint penalty that the optimizer stepped.

    Args:
        joint: the penalty and its weights.
        metrics: of each weight that was stepped, by the name of its binding.
    """
    ws, ds = {}, {}
    for name, binding in joint.bindings.items():
        metric = metrics.get(binding.name)
        if metric is None or (not isinstance(metric.step, Tensor) and metric.step == 0):
            continue  # a learning rate of zero steps nothing
        ws[name] = binding.parameter.detach()
        ds[name] = _over_step(metric, ws[name])
    if ws:
        joint.rule.prox_(ws, ds)


def _over_step(metric: Metric, w: Tensor) -> Tensor | float:
    """D over the length of the step, so that parameters of different learning rates meet in one proximal step."""
    if not metric.state:
        d: Tensor | float = 1 / metric.step
    else:
        buffer = torch.empty_like(w)
        diagonal = precise(metric.diagonal(buffer, *metric.state))
        d = diagonal.div_(metric.step) if diagonal is buffer else diagonal / metric.step
    if isinstance(metric.step, Tensor) and isinstance(d, Tensor):
        # a length of zero that a device keeps to itself leaves no infinity: as good as one, and its cube is finite
        d = d.clamp_(max=torch.finfo(precise(w[:0]).dtype).max ** 0.25)
    return d
