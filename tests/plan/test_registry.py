"""Every rule that thinnet exports declares what it does, found by discovery."""

import pytest

import thinnet as tn
from thinnet.plan import rule_types
from thinnet.rule import ACTS, Rule

RULES = rule_types()
METHODS = {"gradient": "gradient", "decay": "shrink", "prox": "prox", "joint prox": "prox_", "projection": "project"}


def test_the_registry_holds_every_rule_by_name() -> None:
    assert {name: getattr(tn, name) for name in RULES} == RULES
    assert set(RULES) == {
        *("L1", "L2", "ElasticNet", "GroupLasso", "CoupledGroupLasso", "WeightDecay"),
        *("MaxNorm", "UnitNorm", "NonNegative", "DropConnect"),
    }


@pytest.mark.parametrize("kind", RULES.values(), ids=RULES)
def test_every_rule_declares_once_what_it_does_and_has_the_method_for_it(kind: type[Rule]) -> None:
    assert kind.acts in ACTS
    assert sum("acts" in vars(base) for base in kind.__mro__) == 1
    if kind.acts != "mask":
        assert getattr(kind, METHODS[kind.acts]).__qualname__.split(".")[0] == kind.__name__  # its own, not a base's


@pytest.mark.parametrize("kind", RULES.values(), ids=RULES)
def test_what_follows_from_the_declaration(kind: type[Rule]) -> None:
    assert issubclass(kind, tn.Penalty) == (kind.acts in ("gradient", "prox", "joint prox"))
    assert issubclass(kind, tn.Constraint) == (kind.acts == "projection")


def test_every_way_to_act_is_taken_by_some_rule() -> None:
    assert {kind.acts for kind in RULES.values()} == set(ACTS)
