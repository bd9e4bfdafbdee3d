"""Adam for a stack: every member with its own learning rate and its own rules."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thinnet.constraints import Constraint
from thinnet.penalties import Decay, Penalty
from thinnet.rule import Rule, stack_rules
from thinnet.stack._stack import Stack

_BLOCK = 1 << 17
"""Weights updated at a time: temporaries of this size stay in the cache, and they, not arithmetic, are the cost."""


@dataclass(frozen=True)
class _Acting:
    """One stacked rule and the members of a block that it acts on; None is all of them."""

    rule: Rule
    index: Tensor | None

    def on(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tensors if self.index is None else tuple(t[self.index] for t in tensors)

    def write(self, target: Tensor, value: Tensor) -> None:
        if self.index is None:
            target.copy_(value)
        else:
            target[self.index] = value


class StackAdam(torch.optim.Optimizer):
    r"""Adam on all members at once, with each member's own learning rate, penalties, decay and constraints.

    For member k, with gradient g of its loss plus its smooth penalties:
    `w ← shrink(w)`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `D = sqrt(v/(1−β₂ᵗ)) + ε`,
    `w ← w − lr_k m/(1−β₁ᵗ)/D`, then the proximal step of its other penalties in the metric D, then its constraints.
    The same numbers as `attach` on torch's Adam for the member alone.

    Args:
        stack: the stack; its members say learning rates and rules. Rules act on weights, not on biases.
        lr: factor on every member's own learning rate; schedulers change this one.
        betas: β₁, β₂.
        eps: ε.

    Raises:
        TypeError: a member's rule is of a kind that acts neither as penalty, decay nor constraint.

    Example:
        >>> import torch, thinnet as tn
        >>> stack = tn.Stack([tn.Member(rule=tn.L1(0.5))], in_features=1, hidden=[], out_features=1)
        >>> optimizer = tn.StackAdam(stack)
        >>> for _ in range(1500):
        ...     optimizer.zero_grad()
        ...     tn.stack_squared_error(stack(torch.tensor([[-1.0], [1.0]])), torch.tensor([-0.2, 0.2])).sum().backward()
        ...     optimizer.step()
        >>> stack.weights[0].item()  # the gradient at zero is −0.4, within ±0.5: exactly zero
        0.0

    References:
        D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2015.
        J. Yun, A. Lozano, E. Yang, "Adaptive Proximal Gradient Methods for Structured Neural Networks", 2021.
    """

    def __init__(
        self, stack: Stack, *, lr: float = 1.0, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.stack = stack
        super().__init__(stack.parameters(), {"lr": lr, "betas": betas, "eps": eps})
        self._prepare()

    def _prepare(self) -> None:
        """What depends on which members there are: their learning rates, visible inputs, and rules by block."""
        members, first = self.stack.members, self.stack.weights[0]
        self._lr_K = torch.tensor([m.lr for m in members], dtype=torch.float64)
        self._visible_KD: Tensor | None = None
        if any(m.inputs is not None for m in members):
            seen = [m.inputs or (True,) * first.shape[2] for m in members]
            self._visible_KD = torch.tensor(seen, dtype=first.dtype, device=first.device)
        self._blocks: dict[Tensor, list[slice]] = {p: _blocks(p, self.stack) for p in self.stack.parameters()}
        self._acting = {w: [_acting(self.stack, block) for block in self._blocks[w]] for w in self.stack.weights}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step on every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr_K = self._lr_K * float(group["lr"])
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, lr_K, group["betas"], group["eps"])
        return loss

    def _update(self, parameter: Tensor, lr_K: Tensor, betas: tuple[float, float], eps: float) -> None:
        grad, state = parameter.grad, self.state[parameter]
        assert grad is not None
        if not state:
            state |= {"step": 0, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
        state["step"] += 1
        if self._visible_KD is not None and parameter is self.stack.weights[0]:
            grad.mul_(self._visible_KD.unsqueeze(1))
        beta1, beta2 = betas
        bias1, bias2 = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        blocks = self._blocks[parameter]
        for block, acting in zip(blocks, self._acting.get(parameter, [()] * len(blocks)), strict=True):
            w, g, m, v, lr = (
                parameter[block],
                grad[block],
                state["exp_avg"][block],
                state["exp_avg_sq"][block],
                lr_K[block],
            )
            for a in acting:
                if isinstance(a.rule, Penalty) and a.rule.smooth:
                    (part,) = a.on(w)
                    a.write(g, a.on(g)[0] + a.rule.gradient(part))
                elif isinstance(a.rule, Decay):
                    part, rate = a.on(w, lr)
                    a.write(w, a.rule.shrink(part, rate))
            m.lerp_(g, 1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            metric = v.sqrt().div_(math.sqrt(bias2)).add_(eps)
            rate_b11 = (lr / -bias1).to(w.dtype).to(w.device).view(-1, *(1,) * (w.ndim - 1))
            w.addcmul_(m / metric, rate_b11)
            for a in acting:
                if isinstance(a.rule, Penalty) and not a.rule.smooth:
                    part, rate, d = a.on(w, lr, metric)
                    a.write(w, a.rule.prox(part, rate, d))
                elif isinstance(a.rule, Constraint):
                    (part,) = a.on(w)
                    a.write(w, a.rule.project(part))

    def keep(self, indices: Sequence[int]) -> None:
        """Only these members of the stack stay, with their moments, in this order."""
        self.stack.keep(indices)
        for parameter in self.stack.parameters():
            state = self.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                if name in state:
                    state[name] = state[name][torch.as_tensor(indices, device=parameter.device)]
        self._prepare()


def _blocks(parameter: Tensor, stack: Stack) -> list[slice]:
    """Runs of members that hold about _BLOCK numbers each."""
    run = max(1, _BLOCK // max(parameter[0].numel(), 1))
    return [slice(start, min(start + run, len(stack))) for start in range(0, len(stack), run)]


def _order(rule: Rule) -> int:
    """Elementwise penalties before grouped ones, which makes their composition the exact proximal step; sets last."""
    return 2 if isinstance(rule, Constraint) else int(rule.couples != "elements")


def _acting(stack: Stack, block: slice) -> list[_Acting]:
    """The rules of a run of members, alike ones stacked, in the order in which they act."""
    alike: dict[tuple[object, ...], list[tuple[int, Rule]]] = defaultdict(list)
    for k, member in enumerate(stack.members[block]):
        for rule in sorted(member.rule.parts(), key=_order) if member.rule else ():
            if not isinstance(rule, Penalty | Decay | Constraint):
                raise TypeError(f"StackAdam: member {k} has {rule!r}, which is neither penalty, decay nor constraint.")
            fixed = {name: value for name, value in rule.settings().items() if name not in rule.dials}
            alike[_order(rule), type(rule).__name__, repr(fixed)].append((k, rule))
    result = []
    for _, claims in sorted(alike.items()):
        members, rules = zip(*claims, strict=True)
        everyone = len(members) == len(stack.members[block])
        if len(set(members)) < len(members):
            raise ValueError(f"StackAdam: a member has {type(rules[0]).__name__} twice; add their strengths instead.")
        index = None if everyone else torch.tensor(members, device=stack.seeds.device)
        result.append(_Acting(stack_rules(rules), index))
    return result
