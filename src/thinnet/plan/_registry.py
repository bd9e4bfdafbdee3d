"""The registry of rules by the names of their classes."""

from __future__ import annotations

import inspect

import thinnet.constraints as constraints
import thinnet.dropout as dropout
import thinnet.penalties as penalties
from thinnet.rule import Rule


def rule_types() -> dict[str, type[Rule]]:
    """List every rule class that thinnet exports, by name.

    The rooms' own public names are the registry: importing one more module changes nothing.
    """
    public = [getattr(room, name) for room in (penalties, constraints, dropout) for name in room.__all__]
    rules = [item for item in public if isinstance(item, type) and issubclass(item, Rule)]
    return {rule.__name__: rule for rule in rules if not inspect.isabstract(rule)}
