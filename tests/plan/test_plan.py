import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thinnet as tn


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Embedding(4, 4), nn.LSTM(4, 2), nn.Conv2d(2, 2, 3))


def rules_by_name(plan: tn.Plan, module: nn.Module) -> dict[str, tuple[tn.Rule, ...]]:
    return {binding.name: binding.rules for binding in plan.bind(module)}


def test_one_rule_governs_matrices_and_kernels_alone() -> None:
    assert list(rules_by_name(tn.Plan(tn.L2(1.0)), model())) == [
        "0.weight",
        "3.weight_ih_l0",
        "3.weight_hh_l0",
        "4.weight",
    ]


def test_attention_and_norms_of_many_dimensions() -> None:
    module = nn.Sequential(nn.MultiheadAttention(4, 2), nn.LayerNorm((4, 4)))
    assert list(rules_by_name(tn.Plan(tn.L2(1.0)), module)) == ["0.in_proj_weight", "0.out_proj.weight"]


def test_globs_are_case_sensitive_and_cross_dots() -> None:
    module = nn.ModuleDict({"Fc": nn.Linear(2, 2), "fc": nn.Linear(2, 2)})
    assert list(rules_by_name(tn.Plan({"f*weight": tn.L2(1.0)}), module)) == ["fc.weight"]


def test_a_class_claims_its_own_weights_without_biases() -> None:
    plan = tn.Plan({nn.LSTM: tn.L2(1.0), nn.LayerNorm: tn.L1(1.0)})
    assert list(rules_by_name(plan, model())) == ["1.weight", "3.weight_ih_l0", "3.weight_hh_l0"]


def test_a_predicate_sees_name_and_parameter() -> None:
    plan = tn.Plan({lambda name, parameter: name.startswith("0") and parameter.ndim == 1: tn.L2(1.0)})
    assert list(rules_by_name(plan, model())) == ["0.bias"]


def test_rules_of_different_kinds_add_up_and_later_ones_of_the_same_kind_replace() -> None:
    plan = tn.Plan(
        {
            "*weight": tn.L2(1.0) + tn.GroupLasso(1.0),
            "0.*": tn.L1(2.0),
            "0.weight": tn.L2(3.0) + tn.GroupLasso(4.0, by="inputs"),
        }
    )
    module = nn.Sequential(nn.Linear(3, 4, bias=False))
    (rules,) = rules_by_name(plan, module).values()
    assert rules == (tn.GroupLasso(1.0), tn.L1(2.0), tn.L2(3.0), tn.GroupLasso(4.0, by="inputs"))


def test_rules_of_one_kind_under_one_key_are_kept() -> None:
    (rules,) = rules_by_name(tn.Plan(tn.L1(1.0) + tn.L1(2.0)), nn.Linear(2, 2)).values()
    assert rules == (tn.L1(1.0), tn.L1(2.0))


def test_examples_divide_strengths_and_leave_bounds() -> None:
    plan = tn.Plan(tn.L2(1.0) + tn.WeightDecay(2.0) + tn.MaxNorm(3.0), examples=4)
    (rules,) = rules_by_name(plan, nn.Linear(2, 2)).values()
    assert rules == (tn.L2(0.25), tn.WeightDecay(0.5), tn.MaxNorm(3.0))


def test_a_plan_scales() -> None:
    assert tn.Plan({"*": tn.L2(1.0) + tn.MaxNorm(1.0)}, examples=2) * 3 == tn.Plan(
        {"*": tn.L2(3.0) + tn.MaxNorm(1.0)}, examples=2
    )


def test_tied_weights_are_bound_once_and_claimed_under_either_name() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    (binding,) = tn.Plan({"1.weight": tn.L2(1.0)}).bind(module)
    assert (binding.name, binding.claims) == ("0.weight", ("'1.weight'",))
    assert binding.parameter is module[1].weight


def test_tied_weights_that_disagree_about_outputs_take_rules_over_single_weights_alone() -> None:
    module = nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 7, bias=False))
    module[1].weight = module[0].weight
    assert len(tn.Plan(tn.L1(1.0)).bind(module)) == 1
    with pytest.raises(ValueError, match=r"0\.weight and 1\.weight are one tied weight"):
        tn.Plan(tn.MaxNorm(1.0)).bind(module)


def test_groups_that_a_convolution_mixes_are_refused() -> None:
    module = nn.Sequential(nn.ConvTranspose2d(4, 4, 3, groups=2))
    assert len(tn.Plan(tn.GroupLasso(1.0, by="inputs") + tn.L1(1.0)).bind(module)) == 1
    with pytest.raises(ValueError, match=r"0\.weight is a convolution of 2 groups"):
        tn.Plan(tn.GroupLasso(1.0)).bind(module)


def test_groups_of_a_vector_are_refused() -> None:
    with pytest.raises(ValueError, match=r"MaxNorm.*bias of shape \(4,\) has no outputs"):
        tn.Plan({"bias": tn.MaxNorm(1.0)}).bind(nn.Linear(3, 4))


@pytest.mark.parametrize(
    ("rules", "examples", "error", "message"),
    [
        (3, None, TypeError, r"`rules` must be a rule or a mapping.*got 3"),
        ({}, None, ValueError, r"`rules` is empty"),
        ({3: tn.L2(1.0)}, None, TypeError, r"a key of a Plan must be a glob.*got 3"),
        ({int: tn.L2(1.0)}, None, TypeError, r"a key of a Plan must be a glob.*int"),
        ({"*": 1e-4}, None, TypeError, r"'\*' must map to a rule.*got 0\.0001"),
        (tn.L2(1.0), 0, ValueError, r"`examples` must be > 0, got 0"),
        (tn.L2(1.0), 2.5, TypeError, r"`examples` must be an integer, got 2\.5"),
    ],
)
def test_what_is_no_plan_is_refused(rules: object, examples: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tn.Plan(rules, examples=examples)


@given(
    st.lists(st.sampled_from([nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Conv1d(2, 2, 1), nn.Embedding(2, 2)]), max_size=5)
)
def test_every_distinct_parameter_is_bound_exactly_once(layers: list[nn.Module]) -> None:
    module = nn.Sequential(*layers)
    bound = [id(binding.parameter) for binding in tn.Plan({"*": tn.L1(1.0)}).bind(module)]
    assert sorted(bound) == sorted(map(id, module.parameters()))


def test_the_value_of_a_binding_is_turned_outputs_first() -> None:
    module = nn.ConvTranspose1d(2, 5, 3)
    (binding,) = tn.Plan(tn.L1(1.0)).bind(module)
    assert binding.value().shape == torch.Size([5, 2, 3])


def test_blocks_of_another_length_are_refused_by_the_name_of_the_weight() -> None:
    model = nn.Sequential(nn.Linear(5, 4))
    plan = tn.Plan(tn.GroupLasso(1.0, by="inputs", blocks=[0, 0, 1, 1]))
    with pytest.raises(ValueError, match=r"`blocks` has 4 numbers, .* but 0\.weight of shape \(4, 5\) has 5 inputs"):
        plan.bind(model)
