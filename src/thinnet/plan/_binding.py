"""A binding: one weight and the rules that govern it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from thinnet.plan._layout import Layout
from thinnet.plan._step_order import StepOrder, step_order
from thinnet.plan._weights import Weight
from thinnet.rule import Rule


@dataclass(frozen=True, eq=False)
class Binding:
    """One weight and the rules that govern it.

    Args:
        weight: the weight, tied places together.
        rules: the single rules as they were written, strengths already divided by the plan's `examples`.
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

    @property
    def frozen(self) -> bool:
        """Whether nothing behind it requires gradients."""
        return not any(parameter.requires_grad for parameter in self.weight.parameters)

    @cached_property
    def order(self) -> StepOrder:
        """The rules by what they do, in the order in which they act; sorted once."""
        return step_order(self.rules)

    def value(self) -> Tensor:
        """The weight that the forward pass uses, differentiable, as `(out, in, ...)`."""
        return self.layout.view(self.weight.value())
