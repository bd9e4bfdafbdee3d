"""Values of the penalties of a bound plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from thinnet.penalties import Penalty
from thinnet.plan._binding import Binding
from thinnet.plan._joint_binding import joint_bindings


def penalty_values(bindings: Iterable[Binding], scale: float = 1.0) -> Iterator[tuple[Penalty, Tensor]]:
    """Yield each penalty, its strength times `scale`, and its value now, a differentiable scalar.

    Frozen weights are left out. A penalty over several weights comes once.
    """
    bindings = tuple(bindings)
    for binding in bindings:
        if not binding.frozen:
            for rule in binding.order.penalties:
                scaled = rule * scale
                yield scaled, scaled.value(binding.value()).sum()
    for joint in joint_bindings(bindings, scale):
        value = joint.value()
        if value is not None:
            yield joint.rule, value
