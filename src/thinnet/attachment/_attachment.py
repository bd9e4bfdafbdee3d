"""The hooks that apply a plan around an optimizer's step."""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from thinnet.attachment._drop_connect_masks import Connections
from thinnet.attachment._joint_step import joint_step_
from thinnet.attachment._kernels import Scratch
from thinnet.attachment._metric import Metric, Moment, metric_of, next_gain, number, observe
from thinnet.attachment._summary import Summary
from thinnet.attachment._support import refuse_sparse
from thinnet.attachment._weight_step import WeightStep
from thinnet.plan import Binding, joint_bindings, penalty_values
from thinnet.rule import Rule

Mode = Literal["step", "cost"]

ATTACHED: weakref.WeakKeyDictionary[Optimizer, weakref.WeakSet[Attachment]] = weakref.WeakKeyDictionary()
"""Which attachments act inside an optimizer: nothing may act twice on one parameter."""


def is_attached(optimizer: Optimizer) -> bool:
    """Whether a plan acts inside this optimizer."""
    return bool(ATTACHED.get(optimizer))


class Attachment:
    """The handle of a plan that is applied on every step of an optimizer; `attach` returns it.

    Args:
        bindings: the weights and their rules.
        optimizer: the optimizer whose step they act around.
        mode: "step" or "cost", see `attach`.
        connections: the masks on the weights, on which they are put.

    Attributes:
        bindings: the weights and their rules, with the plan's own strengths.
        mode: how the penalties act.
    """

    def __init__(
        self, bindings: tuple[Binding, ...], optimizer: Optimizer, mode: Mode, connections: Connections
    ) -> None:
        self.bindings = bindings
        self.mode = mode
        self._optimizer = optimizer
        self._connections = connections
        self._scale = 1.0
        self._scratch = Scratch()
        self._gains: dict[str, float] = {}
        self._stepping: list[tuple[WeightStep, dict[str, Any], Any]] = []
        self._sort()
        self._handles = (
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        )
        connections.put_on()
        ATTACHED.setdefault(optimizer, weakref.WeakSet()).add(self)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer inside which it acts."""
        return self._optimizer

    @property
    def scale(self) -> float:
        """A factor on every strength of penalties and decays, 1 at first: set it as training goes, to schedule them.

        Strengths belong to the cost, so the learning rate does not change what is minimized: a proximal step is as long
        as the optimizer's own, and both shrink with the learning rate. Decay shrinks weights by lr · s a step, as
        `torch.optim.AdamW` does. Constraints have no strength.
        """
        return self._scale

    @scale.setter
    def scale(self, value: float) -> None:
        value = float(value)
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"Attachment: `scale` must be finite and >= 0, got {value}.")
        self._scale = value
        self._sort()

    def cost(self) -> Tensor:
        """Sum all penalties now, differentiably: to be added to the loss in mode "cost".

        Reparametrized weights (weight norm) are penalized as the forward pass uses them. Frozen ones are left out.

        Raises:
            RuntimeError: in mode "step", where the penalties act already and would count twice.
        """
        if self.mode != "cost":
            raise RuntimeError(
                "Attachment.cost: the penalties act inside optimizer.step() already and would count twice; "
                'use terms() to watch them, or attach(..., mode="cost") to add them to the loss.'
            )
        values = [value for _, value in penalty_values(self.bindings, self._scale)]
        device = values[0].device if values else None
        return torch.stack([value.to(device) for value in values]).sum() if values else torch.zeros(())

    @torch.no_grad()
    def terms(self) -> dict[str, float]:
        """Return the value of every penalty now, by class: `{"L2": 0.31, "L1": 0.02}`; frozen weights are left out."""
        found: dict[str, float] = {}
        for rule, value in penalty_values(self.bindings, self._scale):
            name = type(rule).__name__
            found[name] = found.get(name, 0.0) + float(value)
        return found

    @torch.no_grad()
    def summary(self) -> Summary:
        """Tabulate rules, norm, exact zeros, dead outputs and inputs of each parameter; `.rows` is for programs."""
        return Summary.of(self.bindings)

    def detach(self) -> None:
        """Remove the hooks from the optimizer and the model, for good; the weights do not change."""
        for handle in self._handles:
            handle.remove()
        self._connections.take_off()
        ATTACHED[self._optimizer].discard(self)

    def keep(self, indices: Mapping[str, Mapping[int, Tensor]]) -> None:
        """Renumber groups that span parameters after slices of the parameters were removed in place.

        Args:
            indices: per parameter, per dimension: the indices that were kept, in order.
        """
        kept: dict[int, Rule | None] = {}

        def left(rule: Rule) -> Rule | None:
            if id(rule) not in kept:  # one object stands for one step, whatever the number of its parameters
                kept[id(rule)] = rule.kept(indices)
            return kept[id(rule)]

        old = self.bindings
        self.bindings = tuple(
            dataclasses.replace(binding, rules=tuple(rule for rule in map(left, binding.rules) if rule is not None))
            for binding in old
        )
        self._connections.rebind(dict(zip(map(id, old), self.bindings, strict=True)))
        self._sort()

    def state_dict(self) -> dict[str, Any]:
        """Return what must be saved beside the optimizer's own state to resume training exactly."""
        return {"scale": self._scale, "gains": dict(self._gains), "masks": self._connections.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            ValueError: the state is of another kind, or of another plan's parameters.
        """
        if set(state) != {"scale", "gains", "masks"}:
            raise ValueError(
                f"Attachment.load_state_dict: needs the keys 'scale', 'gains' and 'masks', got {sorted(state)}."
            )
        known = {name for binding in self.bindings for name in binding.weight.names}
        unknown = {*state["gains"], *state["masks"]} - known
        if unknown:
            raise ValueError(f"Attachment.load_state_dict: {', '.join(sorted(unknown))}: not governed by this plan.")
        self.scale = state["scale"]
        self._gains = dict(state["gains"])
        self._connections.load_state_dict(state["masks"])

    def _sort(self) -> None:
        self._steps = tuple(WeightStep.of(binding, self._scale, self.mode == "step") for binding in self.bindings)
        self._joint = joint_bindings(self.bindings, self._scale)

    def _before_step(
        self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]] | None:
        self._stepping = []
        if len(args) > 1 and args[1] is not None:
            return (args[0], self._after_closure(args[1]), *args[2:]), kwargs
        if kwargs.get("closure") is not None:
            return args, {**kwargs, "closure": self._after_closure(kwargs["closure"])}
        self._prepare()
        return None

    def _after_closure(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Wrap a closure: it computes gradients, then those of the penalties are added."""

        def evaluate() -> Any:
            loss = closure()
            self._prepare()
            return loss

        return evaluate

    @torch.no_grad()
    def _prepare(self) -> None:
        found_inf = getattr(self._optimizer, "found_inf", None)
        if found_inf is not None and bool(found_inf > 0):
            return  # a fused optimizer under GradScaler will skip this step
        grad_scale = getattr(self._optimizer, "grad_scale", None)
        unscaled = 1.0 if grad_scale is None else float(grad_scale)
        groups = {id(p): group for group in self._optimizer.param_groups for p in group["params"]}
        stepped = []
        for step in self._steps:
            parameter, name = step.binding.parameter, step.binding.name
            group = groups.get(id(parameter))
            if group is None or parameter.grad is None or not parameter.requires_grad:
                continue
            stepped.append(step.binding)
            if step.order.gradient:
                refuse_sparse(name, parameter.grad)
            step.before(number(group["lr"]), -unscaled if group.get("maximize") else unscaled)
            seen = None
            if step.proximal:
                state = self._optimizer.state.get(parameter, {})
                self._gains[name] = next_gain(self._gains.get(name), self._optimizer, group, state)
                seen = observe(self._optimizer, parameter)
            self._stepping.append((step, group, seen))
        self._connections.watch(stepped)

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> None:
        metric_at = metric_of(optimizer)
        metrics: dict[str, Metric] = {}
        # the last weights that the optimizer stepped are the likeliest to be in the cache
        for step, group, seen in reversed(self._stepping):
            parameter = step.binding.parameter
            metric = Metric(0.0)
            if step.proximal:
                assert metric_at is not None
                gain = self._gains[step.binding.name]
                metric = metric_at(Moment(group, optimizer.state[parameter], parameter, seen, gain))
            if step.joint:
                metrics[step.binding.name] = metric
            if step.order.prox or step.order.projection:
                step.after(metric, self._scratch)
        if metrics:
            for joint in self._joint:
                joint_step_(joint, metrics)
            for step, _, _ in self._stepping:
                if step.joint:
                    step.project()
        self._stepping = []
