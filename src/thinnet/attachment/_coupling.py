"""A rule over groups that span parameters at work: one proximal step for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thinnet.attachment._metric import Metric
from thinnet.penalties import CoupledGroupLasso
from thinnet.plan import Binding, member_name
from thinnet.rule import precise


@dataclass(frozen=True, eq=False)
class Coupling:
    """One such rule and the weights that it governs.

    Args:
        rule: the rule.
        bindings: the weights, by the names that the rule has for them.
    """

    rule: CoupledGroupLasso
    bindings: Mapping[str, Binding]

    @classmethod
    def all_of(cls, bindings: Iterable[Binding], scale: float) -> tuple[Coupling, ...]:
        """One for each such rule in `bindings`, its strength times `scale`."""
        found: dict[int, tuple[CoupledGroupLasso, dict[str, Binding], int]] = {}
        for binding in bindings:
            for rule in binding.rules:
                if isinstance(rule, CoupledGroupLasso):
                    name = member_name(rule, binding.weight)
                    assert name is not None
                    times = sum(other is rule for other in binding.rules)
                    found.setdefault(id(rule), (rule, {}, times))[1][name] = binding
        return tuple(cls(rule * (scale * times), governed) for rule, governed, times in found.values())

    def value(self) -> Tensor | None:
        """The penalty of the weights that are not frozen, differentiable; None where all are."""
        weights = {name: binding.weight for name, binding in self.bindings.items()}
        free = {n: weight.value() for n, weight in weights.items() if any(p.requires_grad for p in weight.parameters)}
        return self.rule.value(free) if free else None

    def after(self, metrics: Mapping[str, Metric]) -> None:
        """The proximal step of the weights that were stepped: those in `metrics`, by the names of their bindings."""
        ws, ds = {}, {}
        for name, binding in self.bindings.items():
            metric = metrics.get(binding.name)
            if metric is None or (not isinstance(metric.step, Tensor) and metric.step == 0):
                continue  # a learning rate of zero steps nothing
            ws[name] = binding.parameter.detach()
            ds[name] = _over_step(metric, ws[name])
        if ws:
            self.rule.prox_(ws, ds)


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
