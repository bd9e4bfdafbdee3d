"""A penalty over several weights, and the bindings of those that it governs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from thinnet.penalties import JointPenalty
from thinnet.plan._binding import Binding


@dataclass(frozen=True, eq=False)
class JointBinding:
    """A penalty over several weights, and the bindings of those weights.

    Args:
        rule: the penalty.
        bindings: the weights, by the names that the rule has for them.
    """

    rule: JointPenalty
    bindings: Mapping[str, Binding]

    def value(self) -> Tensor | None:
        """The penalty of the weights that are not frozen, differentiable; None where all are."""
        free = {name: binding.weight.value() for name, binding in self.bindings.items() if not binding.frozen}
        return self.rule.value(free) if free else None


def joint_bindings(bindings: Iterable[Binding], scale: float = 1.0) -> tuple[JointBinding, ...]:
    """Gather the weights of each penalty over several weights, its strength times `scale`.

    A rule is one object in all the bindings that it governs.
    """
    found: dict[int, tuple[JointPenalty, dict[str, Binding], int]] = {}
    for binding in bindings:
        for rule in binding.order.joint_prox:
            name = rule.member_name(binding.weight.names)
            assert name is not None
            times = sum(other is rule for other in binding.rules)
            found.setdefault(id(rule), (rule, {}, times))[1][name] = binding
    return tuple(JointBinding(rule * (scale * times), governed) for rule, governed, times in found.values())
