import copy
import math
import pickle
from dataclasses import FrozenInstanceError, dataclass
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thinnet import L1, L2, DropConnect, ElasticNet, GroupLasso, MaxNorm, NonNegative, UnitNorm, WeightDecay
from thinnet.rule import Rule, stack_rules


def test_a_sum_keeps_its_parts_in_order_and_flat() -> None:
    a, b, c = L1(0.1), L2(0.2), MaxNorm(3.0)
    assert (a + b + c).parts() == (a + (b + c)).parts() == (a, b, c)
    assert list(a + b) == [a, b]
    assert a.parts() == (a,)


@pytest.mark.parametrize("other", [1.0, "L1", None])
def test_a_rule_adds_to_nothing_but_a_rule(other: object) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        L1(0.1) + other
    with pytest.raises(TypeError, match="unsupported operand"):
        (L1(0.1) + L2(0.1)) + other


@pytest.mark.parametrize("factor", [2, 2.0, torch.tensor(2.0)], ids=repr)
def test_a_factor_scales_every_strength_and_no_bound(factor: float | torch.Tensor) -> None:
    rule = ElasticNet(0.5, 0.25) + GroupLasso(0.5, by="inputs") + WeightDecay(0.5) + MaxNorm(3.0) + UnitNorm()
    doubled = ElasticNet(1.0, 0.5) + GroupLasso(1.0, by="inputs") + WeightDecay(1.0) + MaxNorm(3.0) + UnitNorm()
    assert factor * rule == rule * factor == doubled


def test_a_factor_a_member_makes_a_stack() -> None:
    assert L1(0.5) * torch.tensor([0.0, 2.0]) == L1(torch.tensor([0.0, 1.0]))


def test_a_factor_below_zero_or_of_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^L1: `strength` must be >= 0, got -0\.5\.$"):
        L1(0.5) * -1
    with pytest.raises(TypeError, match=r"can't multiply sequence|unsupported operand"):
        L1(0.5) * "2"
    with pytest.raises(TypeError, match=r"can't multiply sequence|unsupported operand"):
        (L1(0.5) + L2(0.5)) * "2"


def test_rules_are_equal_by_kind_and_settings() -> None:
    assert L1(0.5) == L1(0.5) and L1(1) == L1(1.0) == L1(torch.tensor(1.0))
    assert L1(0.5) != L2(0.5) and L1(0.5) != L1(0.25) and L1(0.5) != 0.5
    assert GroupLasso(1.0) != GroupLasso(1.0, by="inputs") != GroupLasso(1.0, by="inputs", blocks=[0, 1])
    assert GroupLasso(1.0, by="inputs", blocks=[0, 1]) != GroupLasso(1.0, by="inputs", blocks=[1, 0])
    assert GroupLasso(1.0, by="inputs", blocks=[0, 1]) == GroupLasso(1.0, by="inputs", blocks=torch.tensor([0, 1]))
    assert L1(torch.tensor([0.0, 1.0])) == L1(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert L1(0.5) + L2(0.5) != L2(0.5) + L1(0.5)


def test_equal_rules_are_one_in_a_set() -> None:
    assert len({L1(1), L1(1.0), L1(torch.tensor(1.0)), L1(torch.tensor(1))}) == 1
    assert len({L1(0.5) + L2(1), L1(0.5) + L2(1.0)}) == 1
    assert len({MaxNorm(math.inf), MaxNorm(math.inf)}) == 1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (L1(1), "L1(strength=1.0)"),
        (ElasticNet(l1=0.5, l2=2), "ElasticNet(l1=0.5, l2=2.0)"),
        (GroupLasso(0.5), "GroupLasso(strength=0.5, by='outputs')"),
        (
            GroupLasso(0.5, by="inputs", blocks=[4, 4, -1, 0]),
            "GroupLasso(strength=0.5, by='inputs', blocks=<2 groups of 4 inputs>)",
        ),
        (MaxNorm(math.inf), "MaxNorm(limit=inf)"),
        (NonNegative(), "NonNegative()"),
        (L1(torch.tensor([0.0, 2.0])), "L1(strength=[0.0, 2.0])"),
        (L1(0.5) + L2(0.25), "L1(strength=0.5) + L2(strength=0.25)"),
    ],
    ids=str,
)
def test_a_rule_is_written_as_it_was_typed(rule: Rule, text: str) -> None:
    assert repr(rule) == text


def test_a_rule_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'strength'"):
        L1(0.5).strength = 1.0


@pytest.mark.parametrize(
    "rule",
    [
        L1(0.5),
        L2(torch.tensor([0.5, 1.0])),
        L1(0.5) + MaxNorm(3.0),
        GroupLasso(0.5, by="inputs", blocks=[4, 4, -1, 0]),
    ],
    ids=repr,
)
def test_a_rule_survives_copies_and_pickles(rule: Rule) -> None:
    assert copy.deepcopy(rule) == rule == pickle.loads(pickle.dumps(rule))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-0.1, ValueError, r"^L1: `strength` must be >= 0, got -0\.1\.$"),
        (math.nan, ValueError, r"^L1: `strength` must be >= 0, got nan\.$"),
        (torch.tensor([1.0, -2.0]), ValueError, r"^L1: `strength` must be >= 0, got -2\.0\.$"),
        (torch.tensor([1.0, math.nan]), ValueError, r"^L1: `strength` must be >= 0, got nan\.$"),
        ("0.1", TypeError, r"^L1: `strength` must be a number or a tensor, got '0\.1' \(str\)\.$"),
        (None, TypeError, r"^L1: `strength` must be a number or a tensor, got None \(NoneType\)\.$"),
        (True, TypeError, r"^L1: `strength` must be a number or a tensor, got True \(bool\)\.$"),
        ([0.1], TypeError, r"^L1: `strength` must be a number or a tensor, got \[0\.1\] \(list\)\.$"),
        (1j, TypeError, r"^L1: `strength` must be a number or a tensor, got 1j \(complex\)\.$"),
        (
            torch.tensor([True]),
            TypeError,
            r"^L1: `strength` must be a tensor of real numbers, got one of torch\.bool\.$",
        ),
        (
            torch.tensor([1j]),
            TypeError,
            r"^L1: `strength` must be a tensor of real numbers, got one of torch\.complex64",
        ),
    ],
    ids=str,
)
def test_a_strength_that_is_none_is_refused_by_name(value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        L1(value)


@pytest.mark.parametrize("value", [math.inf, torch.tensor([1.0, math.inf])], ids=str)
def test_an_infinite_strength_is_refused_and_an_infinite_limit_is_not(value: float | torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"^L2: `strength` must be finite, got .*inf"):
        L2(value)
    assert MaxNorm(value).limit is value


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=5))
def test_stacked_strengths_are_the_members_in_order(strengths: list[float]) -> None:
    stacked = stack_rules([L1(s) for s in strengths])
    assert stacked.settings() == {"strength": strengths}  # no digit lost


def test_everything_but_the_strength_is_kept_in_a_stack() -> None:
    for kept in ({"by": "inputs"}, {"by": "inputs", "blocks": [0, -1, 0]}):
        stacked = stack_rules([GroupLasso(0.0, **kept), GroupLasso(1.0, **kept)])
        assert stacked == GroupLasso(torch.tensor([0.0, 1.0]), **kept)


def test_sums_stack_part_by_part() -> None:
    stacked = stack_rules([L1(0.0) + MaxNorm(3.0), L1(1.0) + MaxNorm(math.inf)])
    assert stacked == L1(torch.tensor([0.0, 1.0])) + MaxNorm(torch.tensor([3.0, math.inf]))


@pytest.mark.parametrize(
    "pair",
    [
        (L1(0.5), L2(0.5)),
        (GroupLasso(0.5), GroupLasso(0.5, by="inputs")),
        (GroupLasso(0.5, by="inputs"), GroupLasso(0.5, by="inputs", blocks=[0, 0])),
        (GroupLasso(0.5, by="inputs", blocks=[0, 0]), GroupLasso(0.5, by="inputs")),
        (GroupLasso(0.5, by="inputs", blocks=[0, 0]), GroupLasso(0.5, by="inputs", blocks=[0, 1])),
        (L1(0.5), L1(0.5) + L2(0.5)),
        (L1(0.5) + L2(0.5), L1(0.5)),
        (L1(0.5) + L2(0.5), L2(0.5) + L1(0.5)),
        (UnitNorm(), UnitNorm(depth=1)),
    ],
    ids=repr,
)
def test_rules_that_differ_in_more_than_strength_do_not_stack(pair: tuple[Rule, Rule]) -> None:
    with pytest.raises(ValueError, match=r"only rules that differ in nothing but their strength stack: .* do not"):
        stack_rules(pair)


def test_a_stack_of_nothing_or_of_stacks_is_refused() -> None:
    with pytest.raises(ValueError, match="a stack needs at least one rule, got none"):
        stack_rules([])
    with pytest.raises(ValueError, match=r"L1\(strength=\[1\.0, 1\.0\]\) is of a stack already: `strength` must"):
        stack_rules([L1(1.0), L1(torch.ones(2))])


def test_a_rule_that_declares_nothing_or_what_it_cannot_do_is_refused() -> None:
    @dataclass(frozen=True, eq=False, repr=False)
    class Silent(Rule):
        strength_fields: ClassVar[tuple[str, ...]] = ()

    with pytest.raises(TypeError, match=r"^Silent: declare what it does: set `acts` to one of 'gradient'"):
        Silent()
    with pytest.raises(TypeError, match=r"^Odd: `acts` must be one of 'gradient'.*, got 'clipping'\.$"):

        class Odd(Rule):
            acts = "clipping"

    with pytest.raises(TypeError, match=r"^Unable: acts as 'projection', so it must have a method `project`\.$"):

        class Unable(Rule):
            acts = "projection"


@pytest.mark.parametrize(
    ("rule", "has_effect"),
    [
        (L1(0.0), False),
        (L1(torch.zeros(3)), False),
        (L1(torch.tensor([0.0, 0.1])), True),
        (ElasticNet(0.0, 0.1), True),
        (WeightDecay(0.0), False),
        (MaxNorm(0.0), True),
        (NonNegative(), True),
        (DropConnect(0.0), False),
        (DropConnect(0.1), True),
    ],
    ids=str,
)
def test_a_rule_of_zero_strength_has_no_effect(rule: Rule, has_effect: bool) -> None:
    assert rule.has_effect is has_effect


def test_a_key_decides_what_most_rules_govern_and_losing_indices_changes_none() -> None:
    for rule in (L1(0.5), MaxNorm(2.0), DropConnect(0.5)):
        assert rule.parameter_names is None
        assert rule.governs(["weight"], claimed=True) and not rule.governs(["weight"], claimed=False)
        assert rule.kept({"weight": {0: torch.tensor([0])}}) is rule
