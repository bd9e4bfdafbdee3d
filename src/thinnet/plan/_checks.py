"""Checks of a plan against its model and optimizer, each of which yields findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn
from torch.optim import Optimizer

from thinnet.plan._binding import Binding
from thinnet.plan._finding import Finding
from thinnet.plan._keys import Key, key_name, key_suggestion, matches
from thinnet.plan._neighbours import dropouts_before_norm, norms_after
from thinnet.plan._weights import unwrap, weights
from thinnet.rule import Rule


def check(
    entries: Iterable[tuple[Key, Rule]], bindings: Iterable[Binding], model: nn.Module, optimizer: Optimizer | None
) -> Iterator[Finding]:
    """Find what is wrong with a plan: its keys first, then parameter by parameter.

    Args:
        entries: the plan's keys and rules.
        bindings: the plan bound to `model`.
        model: the model.
        optimizer: the optimizer that trains it; None looks at the plan and the model alone.
    """
    found = weights(model)
    for key, rule in entries:
        if all(part.parameter_names is not None for part in rule.parts()):
            continue  # it names what it governs, whatever the key
        if not any(matches(key, weight) for weight in found):
            yield Finding("no-match", key_name(key), "claims no parameter.", key_suggestion(key, found))
    for dropout, norm in dropouts_before_norm(unwrap(model)):
        yield Finding(
            "dropout-before-norm",
            dropout,
            f"feeds {norm}: the variance that the normalization learns in training is not the one it meets in eval.",
            "Move the dropout behind the last normalization.",
        )
    norms = norms_after(unwrap(model))
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]} if optimizer else None
    for binding in bindings:
        yield from _on_plan(binding)
        yield from _on_model(binding, norms)
        if groups is not None:
            yield from _on_optimizer(binding, groups)


def _on_plan(binding: Binding) -> Iterator[Finding]:
    name = binding.name
    if len(binding.claims) > 1:
        yield Finding(
            "claimed-twice",
            name,
            f"is claimed by {' and '.join(binding.claims)}: it gets {' + '.join(map(repr, binding.rules))}.",
            "Rules of different kinds add up, and a later one replaces an earlier one of its kind; narrow a pattern if "
            "that is not meant.",
        )
    for rule in binding.rules:
        if not rule.has_effect:
            yield Finding("zero-strength", name, f"{rule!r} has zero strength: no effect.", "Leave it out.")


def _on_model(binding: Binding, norms: dict[int, str]) -> Iterator[Finding]:
    name = binding.name
    if binding.frozen:
        yield Finding("frozen", name, "is frozen: no rule acts on it until it requires gradients.", "Leave it out.")
    shrinking = [rule for rule in binding.rules if _shrinks(rule)]
    if not shrinking:
        return
    rules = " and ".join(map(repr, shrinking))
    if binding.weight.is_bias():
        yield Finding("decay-on-bias", name, f"is a bias under {rules}.", "Biases are best left alone: leave it out.")
    elif binding.weight.in_a_norm():
        message = f"is the weight of a normalization under {rules}."
        yield Finding("decay-on-norm", name, message, "Normalizations are best left alone: leave it out.")
    elif norm := next((norms[id(p)] for p in binding.weight.parameters if id(p) in norms), None):
        yield Finding(
            "scale-cancelled",
            name,
            f"feeds {norm}, which cancels its scale: {rules} only changes the effective learning rate.",
            "Lower the learning rate by a schedule instead, or keep it knowing that it does not limit the function.",
        )


def _on_optimizer(binding: Binding, groups: dict[int, dict[str, object]]) -> Iterator[Finding]:
    group = next((groups[id(p)] for p in binding.weight.parameters if id(p) in groups), None)
    if group is None and not all(rule.acts == "mask" for rule in binding.rules):
        yield Finding(
            "not-in-optimizer",
            binding.name,
            "is not a parameter of this optimizer: no penalty, decay or constraint acts on it.",
            "Give it to the optimizer, or leave it out.",
        )
    if group is None:
        return
    for setting in ("weight_decay", "lambd"):
        if group.get(setting) and any(_shrinks(rule) for rule in binding.rules):
            rules = " and ".join(repr(rule) for rule in binding.rules if _shrinks(rule))
            message = f"has {setting}={group[setting]} in the optimizer beside {rules} in the plan."
            yield Finding("double-decay", binding.name, message, f"Set {setting}=0 in the optimizer, or drop the rule.")


def _shrinks(rule: Rule) -> bool:
    """Whether a rule pulls weights towards zero in proportion to them, with some strength: L2 and decay."""
    return rule.acts in ("gradient", "decay") and rule.has_effect
