"""Adam for a stack, with learning rates and rules of each member."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from thinnet._buffers import BufferPool
from thinnet.plan import StepOrder, step_order
from thinnet.rule import Rule, fixed_settings, stack_rules
from thinnet.stack._stack import Stack

_BLOCK = 1 << 17
"""Weights that a rule acts on at a time: its temporaries stay in the cache, and those, not arithmetic, are the cost."""


@dataclass(frozen=True, eq=False)
class _Rules:
    """The rules on one weight of a stack, alike ones of many members in one.

    Args:
        order: the stacked rules by what they do.
        members: which members of the stack each acts on, by the identity of the rule.
    """

    order: StepOrder
    members: dict[int, Tensor | slice]

    @classmethod
    def of(cls, stacked: Sequence[tuple[Rule, Tensor | slice]]) -> _Rules:
        """Stacked rules and their members, sorted."""
        return cls(step_order(rule for rule, _ in stacked), {id(rule): members for rule, members in stacked})


class StackAdam(torch.optim.Optimizer):
    r"""Adam on all members at once, with each member's own learning rate, penalties, decay and constraints.

    For member k, with gradient g of its loss plus its smooth penalties:
    `w ← shrink(w)`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `D = sqrt(v/(1−β₂ᵗ)) + ε`,
    `w ← w − lr_k m/(1−β₁ᵗ)/D`, then the proximal step of its other penalties in the metric D, then its constraints.
    The same numbers as `attach` on torch's Adam for the member alone.

    Args:
        stack: the stack; its members say learning rates and rules. Rules act on weights, not on biases.
        lr_factor: factor on every member's own learning rate: the `lr` of parameter groups, which schedulers change.
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
        self, stack: Stack, *, lr_factor: float = 1.0, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.stack = stack
        self._pool = BufferPool()
        super().__init__(stack.parameters(), {"lr": lr_factor, "betas": betas, "eps": eps})
        self._prepare()

    def _prepare(self) -> None:
        """Gather the learning rates and rules of the members."""
        self._lr_K = torch.tensor([m.lr for m in self.stack.members], dtype=torch.float64)
        self._rules = {w: _Rules.of(_stacked(self.stack, w)) for w in self.stack.weights}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step on every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for p in parameters:
                if not self.state[p]:
                    self.state[p] |= {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
                self.state[p]["step"] += 1
            lr_K = self._lr_K * float(group["lr"])
            for p in parameters:
                self._before(p, lr_K)
            if parameters:
                self._adam(parameters, lr_K, group["betas"], group["eps"])
            for p in parameters:
                self._after(p, lr_K, group["betas"][1], group["eps"])
        return loss

    def _before(self, parameter: Tensor, lr_K: Tensor) -> None:
        """Add the gradients of smooth penalties, and decay the weights."""
        w, g, rules = parameter, parameter.grad, self._rules.get(parameter)
        if rules is None:
            return
        assert g is not None
        for penalty in rules.order.gradient:
            k = rules.members[id(penalty)]
            g[k] = g[k] + penalty.gradient(w[k])
        for decay in rules.order.decay:
            k = rules.members[id(decay)]
            w[k] = decay.shrink(w[k], lr_K[k])

    def _adam(self, parameters: list[Tensor], lr_K: Tensor, betas: tuple[float, float], eps: float) -> None:
        """Adam's step: torch's own kernel, which touches every number once, steps from zero; its step is scaled."""
        states = [self.state[p] for p in parameters]
        steps = [self._pool.like(p).zero_() for p in parameters]
        counts = torch.tensor([float(state["step"] - 1) for state in states], device=self.stack.seeds.device)
        adam(
            steps,
            [p.grad for p in parameters if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            list(counts.unbind()),
            fused=self.stack.seeds.device.type in ("cpu", "cuda") or None,
            amsgrad=False,
            beta1=betas[0],
            beta2=betas[1],
            lr=1.0,
            weight_decay=0.0,
            eps=eps,
            maximize=False,
        )
        for p, step in zip(parameters, steps, strict=True):
            p.addcmul_(step, lr_K.to(p).view(-1, *(1,) * (p.ndim - 1)))
        self._pool.give(*steps)

    def _after(self, parameter: Tensor, lr_K: Tensor, beta2: float, eps: float) -> None:
        """Take proximal steps in Adam's metric, then project."""
        w, v, rules = parameter, self.state[parameter]["exp_avg_sq"], self._rules.get(parameter)
        if rules is None:
            return
        root = math.sqrt(1 - beta2 ** self.state[parameter]["step"])
        for penalty in rules.order.prox:
            k = rules.members[id(penalty)]
            metric = v[k].sqrt().div_(root).add_(eps)
            w[k] = penalty.prox(w[k], lr_K[k], metric)
        for constraint in rules.order.projection:
            k = rules.members[id(constraint)]
            w[k] = constraint.project(w[k])

    def keep(self, indices: Sequence[int]) -> None:
        """Keep only these members of the stack, with their moments, in this order."""
        self.stack.keep(indices)
        self._pool.clear()
        for parameter in self.stack.parameters():
            state = self.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                if name in state:
                    state[name] = state[name][torch.as_tensor(indices, device=parameter.device)]
        self._prepare()


def _stacked(stack: Stack, parameter: Tensor) -> list[tuple[Rule, Tensor | slice]]:
    """Alike rules of all members stacked, with the members that they act on, by blocks of members of `parameter`."""
    alike: dict[tuple[str, str], list[tuple[int, Rule]]] = defaultdict(list)
    for k, member in enumerate(stack.members):
        for rule in member.rule.parts() if member.rule else ():
            if rule.acts in ("joint prox", "mask"):
                raise TypeError(f"StackAdam: member {k} has {rule!r}, which is neither penalty, decay nor constraint.")
            alike[type(rule).__name__, repr(fixed_settings(rule))].append((k, rule))
    run = max(1, _BLOCK // max(parameter[0].numel(), 1))
    result: list[tuple[Rule, Tensor | slice]] = []
    for claims in alike.values():
        if len({k for k, _ in claims}) < len(claims):
            raise ValueError(f"StackAdam: a member has {claims[0][1]!r} and another such; add their strengths instead.")
        for start in range(0, len(claims), run):
            members, rules = zip(*claims[start : start + run], strict=True)
            in_a_row = members[-1] - members[0] == len(members) - 1
            # a run of members is worked on where it lies; others are gathered and written back
            where = slice(members[0], members[-1] + 1) if in_a_row else torch.tensor(members, device=parameter.device)
            result.append((stack_rules(rules), where))
    return result
