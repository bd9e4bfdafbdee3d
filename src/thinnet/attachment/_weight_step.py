"""The rules of one weight at work around one step, block by block while the block is in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thinnet.attachment._kernels import Scratch, add_gradient_, decay_, project_, prox_
from thinnet.attachment._metric import Metric
from thinnet.constraints import Constraint
from thinnet.penalties import CoupledGroupLasso, Decay, Penalty
from thinnet.plan import Binding
from thinnet.rule import Rule, Strength, stack_depth

BLOCK = 2**18
"""Elements a block and thread: temporaries that stay in a CPU's cache cost a fraction of what others do."""


@dataclass(frozen=True, eq=False)
class WeightStep:
    """The rules of one weight, sorted by when they act.

    Args:
        binding: the weight and its rules.
        smooth: penalties that act through the gradient, before the step.
        decays: decays, before the step.
        sharp: penalties that act through a proximal step after it: over single weights first, then over groups, which
            makes their composition the proximal step of their sum.
        constraints: projections, last.
        coupled: whether groups that span parameters come between its proximal steps and its projections.
    """

    binding: Binding
    smooth: tuple[Penalty, ...]
    decays: tuple[Decay, ...]
    sharp: tuple[Penalty, ...]
    constraints: tuple[Constraint, ...]
    coupled: bool

    @property
    def proximal(self) -> bool:
        """Whether a proximal step of any kind comes after the optimizer's."""
        return bool(self.sharp) or self.coupled

    @classmethod
    def of(cls, binding: Binding, scale: float, penalties_act: bool) -> WeightStep:
        """The work of a binding, every strength times `scale`; without its penalties where they are in the loss."""
        rules = [rule * scale for rule in binding.rules]
        penalties = [r for r in rules if isinstance(r, Penalty) and penalties_act]
        sharp = sorted((p for p in penalties if not p.smooth), key=lambda p: p.couples != "elements")
        return cls(
            binding,
            tuple(p for p in penalties if p.smooth),
            tuple(r for r in rules if isinstance(r, Decay)),
            tuple(sharp),
            tuple(r for r in rules if isinstance(r, Constraint)),
            penalties_act and any(isinstance(r, CoupledGroupLasso) for r in rules),
        )

    def before(self, lr: Strength, factor: float) -> None:
        """Gradients of the smooth penalties, times `factor`, into the parameter's gradient; then the decay."""
        w = self.binding.layout.view(self.binding.parameter.detach())
        if self.smooth:
            assert self.binding.parameter.grad is not None
            gradient = self.binding.layout.view(self.binding.parameter.grad)
            for rows in _blocks(w, self.smooth):
                for penalty in self.smooth:
                    add_gradient_(gradient[rows], penalty, w[rows], factor)
        if self.decays:
            for rows in _blocks(w, self.decays):
                for decay in self.decays:
                    decay_(decay, w[rows], lr)

    def after(self, metric: Metric, scratch: Scratch) -> None:
        """Proximal steps in the optimizer's metric, then projections, unless groups across parameters come between."""
        constraints = () if self.coupled else self.constraints
        view = self.binding.layout.view
        w, state = view(self.binding.parameter.detach()), [view(t) for t in metric.state]
        # backwards: the optimizer wrote the last rows last, and they are still in the cache
        for rows in reversed(list(_blocks(w, (*self.sharp, *constraints)))):
            block = w[rows]
            for penalty in self.sharp:
                # anew for each: a proximal step may use up the buffer that holds it
                diagonal = metric.diagonal(scratch.like(block, 0), *(t[rows] for t in state)) if state else None
                prox_(penalty, block, metric.step, diagonal, scratch)
            for constraint in constraints:
                project_(constraint, block)

    def project(self) -> None:
        """The projections that waited for groups across parameters."""
        w = self.binding.layout.view(self.binding.parameter.detach())
        for rows in _blocks(w, self.constraints):
            for constraint in self.constraints:
                project_(constraint, w[rows])


def _blocks(w: Tensor, rules: tuple[Rule, ...]) -> Iterator[slice]:
    """Blocks of rows of `w`, or all of it where a rule needs to see more than one row at once."""
    stacked = any(stack_depth(*(getattr(rule, dial) for dial in rule.dials)) for rule in rules)
    whole = stacked or any(rule.couples == "inputs" for rule in rules)
    block = BLOCK * torch.get_num_threads()
    # on a device a block would only add launches
    if whole or w.device.type != "cpu" or w.numel() <= block or w.ndim < 1:
        yield slice(None)
        return
    rows = max(1, block * w.shape[0] // w.numel())
    for start in range(0, w.shape[0], rows):
        yield slice(start, start + rows)
