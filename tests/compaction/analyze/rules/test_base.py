"""The registries of rules."""

import pytest
import torch

from thinnet.compaction.analyze import rules
from thinnet.compaction.analyze._trace import _WHOLE
from thinnet.compaction.analyze.rules import CONSTANT_RULES, DEPENDENCY_RULES, _base


@pytest.mark.parametrize("register", ["constant_rule", "dependency_rule"])
def test_a_rule_is_found_by_each_of_its_names(register: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = {}
    monkeypatch.setattr(_base, {"constant_rule": "CONSTANT_RULES"}.get(register, "DEPENDENCY_RULES"), registry)

    @getattr(_base, register)("one", "two")
    def rule(call: object, other: object) -> str:
        return "found"

    assert registry == {"one": rule, "two": rule}
    assert rule(None, None) == "found"


def test_every_operation_with_dependencies_propagates_constants() -> None:
    assert set(DEPENDENCY_RULES) <= set(CONSTANT_RULES)


def test_every_operation_that_stays_whole_has_both_rules() -> None:
    assert set(_WHOLE) <= set(DEPENDENCY_RULES)
    assert not any(name in DEPENDENCY_RULES for name in ("relu", "add"))  # by the rules of all elementwise ones
    assert rules.elementwise_dependencies is not None


def test_names_are_operations_of_torch() -> None:
    unknown = {name for name in DEPENDENCY_RULES if not hasattr(torch.ops.aten, name)}
    assert not unknown
