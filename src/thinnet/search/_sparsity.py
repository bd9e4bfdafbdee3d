"""The weights that a plan can set to zero: their nonzeros, and the strength at which all are zero."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thinnet.attachment import proximal_step_
from thinnet.plan import Binding, penalty_values

FAR = 1e12
"""A strength at which every penalized weight is zero; in float32 its products with norms are finite."""


@dataclass(frozen=True, eq=False)
class Sparsity:
    """The weights of a model that a plan can set to zero, with the rules that do so.

    Args:
        bindings: the weights, frozen ones left out, and their nonsmooth rules and constraints.
    """

    bindings: tuple[Binding, ...]

    @classmethod
    def of(cls, bindings: Iterable[Binding]) -> Sparsity:
        """Select them from the bindings of a plan."""
        found = []
        for binding in bindings:
            rules = tuple(rule for rule in binding.rules if rule.acts != "gradient")
            if any(rule.induces_zeros for rule in rules) and binding.parameter.requires_grad:
                found.append(replace(binding, rules=rules))
        return cls(tuple(found))

    def __bool__(self) -> bool:
        return bool(self.bindings)

    def parts(self) -> Iterator[Sparsity]:
        """Yield weights that share no group one by one, and those that groups span together."""
        together: dict[int, list[Binding]] = {}
        for binding in self.bindings:
            spanning = [id(rule) for rule in binding.order.joint_prox]
            together.setdefault(spanning[0] if spanning else id(binding), []).append(binding)
        for bindings in together.values():
            yield Sparsity(tuple(bindings))

    @torch.no_grad()
    def take_to_zero_(self) -> None:
        """Set the penalized weights to zero."""
        proximal_step_(self.bindings, scale=FAR)

    @torch.no_grad()
    def strength_of(self, gradients: Iterable[Tensor]) -> float:
        r"""Find the least factor t on all strengths at which zero is optimal: −∇ ∈ t · ∂P(0). The weights must be zero.

        Zero is optimal where a gradient step from it comes back by the proximal step. For L1 that is
        max abs(∇) / s, for groups max ‖∇_g‖ / (s sqrt(n_g)); a sum of both has no closed form, so t is bisected.

        Args:
            gradients: of the loss, one a binding.
        """
        weights = [(binding.parameter, binding.parameter.clone()) for binding in self.bindings]
        steps = [-gradient for gradient in gradients]
        penalized = self._penalized(weights)

        def returns(strength: float) -> bool:
            for (parameter, _), step in zip(weights, steps, strict=True):
                parameter.copy_(step)
            proximal_step_(self.bindings, scale=strength)
            left = any(bool(p[mask].any()) for (p, _), mask in zip(weights, penalized, strict=True))
            return not left

        try:
            low, high = 0.0, 1.0
            while not returns(high) and high < FAR:
                low, high = high, high * 16
            while not low and returns(high / 16) and high > 1 / FAR:
                high /= 16
            low = low or high / 16
            if high <= 1 / FAR:
                return 0.0
            while high - low > 1e-7 * high:
                middle = (low + high) / 2
                low, high = (low, middle) if returns(middle) else (middle, high)
        finally:
            for parameter, before in weights:
                parameter.copy_(before)
        return high

    def _penalized(self, weights: Iterable[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """Which elements the rules act on: those that no finite weight survives."""
        weights = list(weights)
        for parameter, _ in weights:
            parameter.fill_(1.0)
        proximal_step_(self.bindings, scale=FAR)
        return [parameter == 0 for parameter, _ in weights]

    @torch.no_grad()
    def value(self) -> float:
        """Sum the penalties at strength one; zero exactly where every penalized weight is."""
        return math.fsum(float(value) for _, value in penalty_values(self.bindings))

    @torch.no_grad()
    def alive(self) -> dict[str, Tensor]:
        """Mark the groups of each weight that are not zero, under penalties with groups: `(*stack, groups)`."""
        found = {}
        for binding in self.bindings:
            for rule in binding.order.prox:
                alive = rule.alive(binding.value())
                if alive is not None:
                    found[binding.name] = alive
        return found

    @torch.no_grad()
    def count(self) -> tuple[int, int]:
        """Count the weights that are not zero, and all of them."""
        values = [binding.parameter for binding in self.bindings]
        return sum(int(v.count_nonzero()) for v in values), sum(v.numel() for v in values)

    @torch.no_grad()
    def norm(self) -> float:
        """Compute the Euclidean norm of all weights together."""
        return math.sqrt(sum(float(binding.parameter.double().square().sum()) for binding in self.bindings))
