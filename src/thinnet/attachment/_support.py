"""Which rules each optimizer supports; the others are refused by name."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.optim import Optimizer

from thinnet.attachment._metric import metric_of
from thinnet.plan import Binding
from thinnet.rule import Rule

_NOTHING = {
    "LBFGS": "evaluates the loss many times a step and remembers differences of gradients",
    "SparseAdam": "steps only the rows that a sparse gradient names",
}
_NOTHING_AFTER = {"ASGD": "averages the weights before anything could act on them after the step"}
_NO_METRIC = {
    "Muon": "orthogonalizes its update, so that no diagonal metric describes its step",
    "Rprop": "moves by the sign of the gradient alone, so that no proximal step has the right fixed point",
}


def refuse(bindings: Iterable[Binding], optimizer: Optimizer, penalties_act: bool) -> None:
    """Raise ValueError for the first rule that cannot act as it says.

    Args:
        bindings: the weights and their rules.
        optimizer: the optimizer to act in.
        penalties_act: whether penalties act inside the step; False where they are a term of the loss.
    """
    settings = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for binding in bindings:
        for rule in binding.rules:
            if rule.acts == "mask" or (rule.in_cost and not penalties_act):
                continue  # it acts in the forward pass or in the loss
            _refuse_parameter(binding, rule, settings.get(id(binding.parameter), {}))
            _refuse_optimizer(binding, rule, optimizer)


def _refuse_parameter(binding: Binding, rule: Rule, group: dict[str, object]) -> None:
    where = f"attach: {rule!r} cannot act on {binding.name}"
    if binding.weight.by is not None:
        raise ValueError(
            f"{where}, which is {binding.weight.by}: a step on the parameters behind it would not be a step on the "
            'weight itself; use penalties with mode="cost", which penalizes the effective weight, or remove the '
            "reparametrization."
        )
    if binding.parameter.is_complex():
        raise ValueError(f"{where}, which is complex; rules act on real weights: leave it out.")
    if hasattr(binding.parameter, "full_tensor"):
        raise ValueError(f"{where}, which is sharded (DTensor): norms would be those of one shard; leave it out.")
    if group.get("differentiable"):
        raise ValueError(f"{where} with differentiable=True: the rule's step would be left out of the graph.")


def _refuse_optimizer(binding: Binding, rule: Rule, optimizer: Optimizer) -> None:
    reasons = dict(_NOTHING)
    if rule.acts_after_step:
        reasons |= _NOTHING_AFTER
    if rule.induces_zeros:
        reasons |= _NO_METRIC
    kinds = [kind.__name__ for kind in type(optimizer).__mro__]
    reason = next((reasons[kind] for kind in kinds if kind in reasons), None)
    if reason is None and rule.induces_zeros and metric_of(optimizer) is None:
        reason = "is not known, so that neither is the metric of its step"
    if reason is not None:
        remedy = 'add attachment.cost() to the loss (mode="cost")' if rule.in_cost else "use SGD, Adam or AdamW"
        raise ValueError(
            f"attach: {rule!r} on {binding.name} cannot act inside {type(optimizer).__name__}, which {reason}; "
            f"{remedy}."
        )


def refuse_sparse(name: str, gradient: Tensor | None) -> None:
    """Refuse to add a penalty's gradient, which is dense, to a sparse one."""
    if gradient is not None and gradient.layout is not nn.Parameter().layout:
        raise ValueError(f"attach: the gradient of {name} is sparse; build its layer with sparse=False.")
