"""Adam for a stack: every member with its own learning rate and its own rules."""

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
from thinnet.constraints import Constraint
from thinnet.penalties import Decay, Penalty
from thinnet.rule import Rule, stack_rules
from thinnet.stack._stack import Stack

_BLOCK = 1 << 17
"""Weights that a rule acts on at a time: its temporaries stay in the cache, and those, not arithmetic, are the cost."""


@dataclass(frozen=True)
class _Acting:
    """One stacked rule and the members that it acts on."""

    rule: Rule
    members: Tensor | slice

    def write(self, target: Tensor, value: Tensor) -> None:
        target[self.members] = value


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
        self._pool = BufferPool()
        super().__init__(stack.parameters(), {"lr": lr, "betas": betas, "eps": eps})
        self._prepare()

    def _prepare(self) -> None:
        """What depends on which members there are: their learning rates and rules."""
        self._lr_K = torch.tensor([m.lr for m in self.stack.members], dtype=torch.float64)
        self._acting: dict[Tensor, list[_Acting]] = {w: _acting(self.stack, w) for w in self.stack.weights}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step on every parameter that has a gradient."""
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
        """Gradients of the smooth penalties, and decay."""
        w, g = parameter, parameter.grad
        assert g is not None
        for a in self._acting.get(parameter, ()):
            if isinstance(a.rule, Penalty) and a.rule.smooth:
                a.write(g, g[a.members] + a.rule.gradient(w[a.members]))
            elif isinstance(a.rule, Decay):
                a.write(w, a.rule.shrink(w[a.members], lr_K[a.members]))

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
        """Proximal steps in Adam's metric, then projections."""
        w, v = parameter, self.state[parameter]["exp_avg_sq"]
        root = math.sqrt(1 - beta2 ** self.state[parameter]["step"])
        for a in self._acting.get(parameter, ()):
            if isinstance(a.rule, Penalty) and not a.rule.smooth:
                metric = v[a.members].sqrt().div_(root).add_(eps)
                a.write(w, a.rule.prox(w[a.members], lr_K[a.members], metric))
            elif isinstance(a.rule, Constraint):
                a.write(w, a.rule.project(w[a.members]))

    def keep(self, indices: Sequence[int]) -> None:
        """Only these members of the stack stay, with their moments, in this order."""
        self.stack.keep(indices)
        self._pool.clear()
        for parameter in self.stack.parameters():
            state = self.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                if name in state:
                    state[name] = state[name][torch.as_tensor(indices, device=parameter.device)]
        self._prepare()


def _order(rule: Rule) -> int:
    """Elementwise penalties before grouped ones, which makes their composition the exact proximal step; sets last."""
    return 2 if isinstance(rule, Constraint) else int(rule.couples != "elements")


def _acting(stack: Stack, parameter: Tensor) -> list[_Acting]:
    """Alike rules of all members stacked, in the order in which they act, by blocks of members of `parameter`."""
    alike: dict[tuple[object, ...], list[tuple[int, Rule]]] = defaultdict(list)
    for k, member in enumerate(stack.members):
        for rule in member.rule.parts() if member.rule else ():
            if not isinstance(rule, Penalty | Decay | Constraint):
                raise TypeError(f"StackAdam: member {k} has {rule!r}, which is neither penalty, decay nor constraint.")
            fixed = {name: value for name, value in rule.settings().items() if name not in rule.dials}
            alike[_order(rule), type(rule).__name__, repr(fixed)].append((k, rule))
    run = max(1, _BLOCK // max(parameter[0].numel(), 1))
    result = []
    for _, claims in sorted(alike.items()):
        if len({k for k, _ in claims}) < len(claims):
            raise ValueError(f"StackAdam: a member has {claims[0][1]!r} and another such; add their strengths instead.")
        for start in range(0, len(claims), run):
            members, rules = zip(*claims[start : start + run], strict=True)
            in_a_row = members[-1] - members[0] == len(members) - 1
            # a run of members is worked on where it lies; others are gathered and written back
            where = slice(members[0], members[-1] + 1) if in_a_row else torch.tensor(members, device=parameter.device)
            result.append(_Acting(stack_rules(rules), where))
    return result
