"""The rules of one weight, applied around an optimizer's step, block by block while a block is in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thinnet._strength import Strength, stack_depth
from thinnet.attachment._kernels import Scratch, add_gradient_, decay_, project_, prox_
from thinnet.attachment._metric import Metric
from thinnet.plan import Binding, StepOrder
from thinnet.rule import Rule

BLOCK = 2**18
"""Elements a block and thread: temporaries that stay in a CPU's cache cost a fraction of what others do."""


@dataclass(frozen=True, eq=False)
class WeightStep:
    """The rules of one weight, sorted and scaled, to be applied around each step of an optimizer.

    Args:
        binding: the weight and its rules.
        order: the rules by what they do.
    """

    binding: Binding
    order: StepOrder

    @property
    def proximal(self) -> bool:
        """Whether a proximal step of any kind comes after the optimizer's."""
        return bool(self.order.prox) or self.joint

    @property
    def joint(self) -> bool:
        """Whether a step of penalties over several weights comes between its proximal steps and its projections."""
        return bool(self.order.joint_prox)

    @classmethod
    def of(cls, binding: Binding, scale: float, penalties_act: bool) -> WeightStep:
        """Sort and scale the rules of a binding; without its penalties where they are a term of the loss."""
        order = binding.order if penalties_act else binding.order.without_penalties()
        return cls(binding, order.scaled(scale))

    def before(self, lr: Strength, factor: float) -> None:
        """Add the gradients of smooth penalties, times `factor`, to the parameter's; then decay the weights."""
        w = self.binding.layout.view(self.binding.parameter.detach())
        if self.order.gradient:
            assert self.binding.parameter.grad is not None
            gradient = self.binding.layout.view(self.binding.parameter.grad)
            for rows in _blocks(w, self.order.gradient):
                for penalty in self.order.gradient:
                    add_gradient_(gradient[rows], penalty, w[rows], factor)
        if self.order.decay:
            for rows in _blocks(w, self.order.decay):
                for decay in self.order.decay:
                    decay_(decay, w[rows], lr)

    def after(self, metric: Metric, scratch: Scratch) -> None:
        """Take proximal steps in the optimizer's metric, then project, unless a joint step comes between."""
        prox, projection = self.order.prox, () if self.joint else self.order.projection
        view = self.binding.layout.view
        w, state = view(self.binding.parameter.detach()), [view(t) for t in metric.state]
        # backwards: the optimizer wrote the last rows last, and they are still in the cache
        for rows in reversed(list(_blocks(w, (*prox, *projection)))):
            block = w[rows]
            for penalty in prox:
                # anew for each: a proximal step may use up the buffer that holds it
                diagonal = metric.diagonal(scratch.like(block, 0), *(t[rows] for t in state)) if state else None
                prox_(penalty, block, metric.step, diagonal, scratch)
            for constraint in projection:
                project_(constraint, block)

    def project(self) -> None:
        """Project, where projections wait for the joint step."""
        w = self.binding.layout.view(self.binding.parameter.detach())
        for rows in _blocks(w, self.order.projection):
            for constraint in self.order.projection:
                project_(constraint, w[rows])


def _blocks(w: Tensor, rules: tuple[Rule, ...]) -> Iterator[slice]:
    """Blocks of rows of `w`, or all of it where a rule needs to see more than one row at once."""
    stacked = any(stack_depth(*rule.strengths.values()) for rule in rules)
    whole = stacked or any(rule.grouping == "inputs" for rule in rules)
    block = BLOCK * torch.get_num_threads()
    # on a device a block would only add launches
    if whole or w.device.type != "cpu" or w.numel() <= block or w.ndim < 1:
        yield slice(None)
        return
    rows = max(1, block * w.shape[0] // w.numel())
    for start in range(0, w.shape[0], rows):
        yield slice(start, start + rows)
