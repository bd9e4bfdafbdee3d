"""The two kinds of rules of an operation, and their registries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thinnet.compaction.analyze._axes import Axes
from thinnet.compaction.analyze._call import Call
from thinnet.compaction.analyze._dependency_graph import DependencyGraph

ConstantRule = Callable[[Call, Any], Any]
"""From a call and its outcome to which elements of the outcome depend on the inputs; a tuple where it has several."""

DependencyRule = Callable[[Call, DependencyGraph], Axes | list[Axes]]
"""From a call to the axes of its outcome, a list where it has several.

On the way it unites labels that can only be removed together, pins those that must be kept, and notes consumers.
"""

CONSTANT_RULES: dict[str, ConstantRule] = {}
DEPENDENCY_RULES: dict[str, DependencyRule] = {}


def constant_rule(*names: str) -> Callable[[ConstantRule], ConstantRule]:
    """Register the rule of constant propagation for the operations of these names."""

    def register(rule: ConstantRule) -> ConstantRule:
        CONSTANT_RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def dependency_rule(*names: str) -> Callable[[DependencyRule], DependencyRule]:
    """Register the rule of dependency groups for the operations of these names."""

    def register(rule: DependencyRule) -> DependencyRule:
        DEPENDENCY_RULES.update(dict.fromkeys(names, rule))
        return rule

    return register
