"""A binding: one weight and the rules that govern it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from thinnet.plan._layout import Layout
from thinnet.plan._weights import Weight
from thinnet.rule import Rule


@dataclass(frozen=True, eq=False)
class Binding:
    """One weight and the rules that govern it, in order.

    Args:
        weight: the weight, tied places together.
        rules: the single rules, strengths already divided by the plan's `examples`.
        claims: the keys of the plan that claimed it, as a person reads them; a rule that names it itself has no claim.
        layout: how the weight is turned so that rules see `(out, in, ...)`.
    """

    weight: Weight
    rules: tuple[Rule, ...]
    claims: tuple[str, ...]
    layout: Layout

    @property
    def name(self) -> str:
        """The name of the parameter (of the effective weight, when it is reparametrized)."""
        return self.weight.name

    @property
    def parameter(self) -> nn.Parameter:
        """The parameter; the first behind the effective weight, when it is reparametrized."""
        return self.weight.parameters[0]

    def value(self) -> Tensor:
        """The weight that the forward pass uses, differentiable, as `(out, in, ...)`."""
        return self.layout.view(self.weight.value())
