"""Where a plan puts rules over groups that span parameters: on the parameters that they name."""

from __future__ import annotations

from collections.abc import Iterable

from thinnet.penalties import CoupledGroupLasso
from thinnet.plan._keys import Every, Key, key_name, matches
from thinnet.plan._weights import Weight
from thinnet.rule import Rule


def member_name(rule: CoupledGroupLasso, weight: Weight) -> str | None:
    """The name by which `rule` has `weight` among its members; the first of them where it is tied, None if it has not.

    Raises:
        ValueError: the groups know a tied weight by two of its names, and say different things of it.
    """
    names = [name for name in weight.names if name in rule.members]
    if len({rule.members[name] for name in names}) > 1:
        raise ValueError(
            f"{rule!r} has {' and '.join(names)} in different groups, but they are one tied weight; name one of them."
        )
    return names[0] if names else None


def governs(rule: Rule, weight: Weight, claimed: bool) -> bool:
    """Whether `rule` is on `weight`: if its key claimed it, or if it names its members and this is one of them."""
    return member_name(rule, weight) is not None if isinstance(rule, CoupledGroupLasso) else claimed


def check_members(rule: CoupledGroupLasso, key: Key, found: Iterable[Weight]) -> None:
    """Refuse groups that are not this model's, and a key that does not claim all that they name."""
    by_name = {name: weight for weight in found for name in weight.names}
    missing = [name for name in rule.members if name not in by_name]
    if missing:
        raise ValueError(
            f"{rule!r} names {', '.join(missing)}, which the model does not have; make the groups again for this model."
        )
    for name in rule.members:
        rule.check(name, tuple(by_name[name].value().shape))
    unclaimed = [name for name in rule.members if not isinstance(key, Every) and not matches(key, by_name[name])]
    if unclaimed:
        raise ValueError(
            f"{rule!r} stands under {key_name(key)}, which does not claim {', '.join(unclaimed)}; put it under a key "
            'that claims all of its members, such as "*": it governs nothing else under any.'
        )
