"""Binding the entries of a plan to the weights of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import nn

from thinnet.plan._binding import Binding
from thinnet.plan._keys import Every, Key, key_name, matches
from thinnet.plan._weights import Weight, weights
from thinnet.rule import Rule


def bind(entries: Iterable[tuple[Key, Rule]], factor: float | None, model: nn.Module) -> Iterator[Binding]:
    """See `Plan.bind`; every strength times `factor` where it is given."""
    found = weights(model)
    # once for all weights: a rule over several of them is one object in all their bindings
    scaled = [(key, [part * factor if factor else part for part in rule.parts()]) for key, rule in entries]
    for key, parts in scaled:
        for part in parts:
            _check_named(part, key, found)
    for weight in found:
        rules: list[Rule] = []
        claims: list[str] = []
        for key, parts in scaled:
            claimed = matches(key, weight)
            governing = [part for part in parts if part.governs(weight.names, claimed)]
            if any(part.parameter_names is None for part in governing):
                claims.append(key_name(key))
            kinds = {part.kind for part in governing}
            rules = [earlier for earlier in rules if earlier.kind not in kinds] + governing
        for rule in rules:
            _check_grouping(weight, rule)
        if rules:
            yield Binding(weight, tuple(rules), tuple(claims), weight.layouts[0])


def _check_named(rule: Rule, key: Key, found: Sequence[Weight]) -> None:
    """Refuse a rule that names parameters which this model does not have, or which its key does not claim."""
    if rule.parameter_names is None:
        return
    by_name = {name: weight for weight in found for name in weight.names}
    missing = [name for name in rule.parameter_names if name not in by_name]
    if missing:
        raise ValueError(
            f"{rule!r} names {', '.join(missing)}, which the model does not have; make the groups again for this model."
        )
    for name in rule.parameter_names:
        rule.check(name, tuple(by_name[name].value().shape))
    unclaimed = [n for n in rule.parameter_names if not isinstance(key, Every) and not matches(key, by_name[n])]
    if unclaimed:
        raise ValueError(
            f"{rule!r} stands under {key_name(key)}, which does not claim {', '.join(unclaimed)}; put it under a key "
            'that claims all of its members, such as "*": it governs nothing else under any.'
        )


def _check_grouping(weight: Weight, rule: Rule) -> None:
    """Refuse a rule over groups that the weight does not keep apart."""
    if rule.grouping not in ("outputs", "inputs"):
        return
    if weight.value().ndim < 2:
        raise ValueError(
            f"{rule!r} looks at {rule.grouping} together, but {weight.name} of shape {tuple(weight.value().shape)} has "
            f"no {rule.grouping} to tell apart; use a rule over single weights (L1, L2), or leave this parameter out."
        )
    if len(weight.layouts) > 1:
        names = " and ".join(place.name for place in weight.places)
        raise ValueError(
            f"{rule!r} looks at {rule.grouping} together, but {names} are one tied weight whose layers store outputs "
            "along different dimensions; use a rule over single weights (L1, L2), or untie them."
        )
    if weight.layouts[0].mixes(rule.grouping):
        raise ValueError(
            f"{rule!r} looks at {rule.grouping} together, but {weight.name} is a convolution of "
            f"{weight.layouts[0].groups} groups, where one slice holds weights of several {rule.grouping}; use a rule "
            "over single weights (L1, L2), or leave this parameter out."
        )
    rule.check(weight.name, tuple(weight.layouts[0].view(weight.value()).shape))
