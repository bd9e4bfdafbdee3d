import json

import pytest
import torch
from torch import nn

import thinnet as tn

MEMBERS = {"0.weight": (0, [0, 1, -1, 1]), "0.bias": (0, [0, 1, -1, 1]), "2.weight": (1, [0, 1, -1, 1])}
GROUPS = tn.CoupledGroupLasso(0.5, MEMBERS)


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def rules_by_name(plan: tn.Plan, module: nn.Module) -> dict[str, tuple[tn.Rule, ...]]:
    return {binding.name: binding.rules for binding in plan.bind(module)}


@pytest.mark.parametrize("key", ["*", "[02].*", lambda name, parameter: True], ids=["all", "two", "predicate"])
def test_it_governs_exactly_what_it_names(key: object) -> None:
    for rules in (GROUPS, {key: GROUPS}):
        assert rules_by_name(tn.Plan(rules), model()) == dict.fromkeys(MEMBERS, (GROUPS,))


def test_a_sum_puts_the_other_rules_where_the_key_says() -> None:
    for plan in (tn.Plan(tn.L2(1.0) + GROUPS), tn.Plan({"*.weight": tn.L2(1.0), "*": GROUPS})):
        assert rules_by_name(plan, model()) == {
            "0.weight": (tn.L2(1.0), GROUPS),
            "0.bias": (GROUPS,),
            "2.weight": (tn.L2(1.0), GROUPS),
        }


def test_one_rule_is_one_object_in_all_its_bindings() -> None:
    rules = {id(rule) for (rule,) in rules_by_name(tn.Plan(GROUPS, examples=4), model()).values()}
    assert len(rules) == 1


def test_strengths_scale_and_are_divided_by_the_examples() -> None:
    rules = rules_by_name(tn.Plan({"*": GROUPS, "0.bias": tn.L1(1.0)}, examples=4) * 2, model())
    assert rules["2.weight"] == (tn.CoupledGroupLasso(0.25, MEMBERS),)
    assert rules["0.bias"] == (tn.CoupledGroupLasso(0.25, MEMBERS), tn.L1(0.5))


def test_later_ones_of_the_same_groups_replace_and_of_others_add_up() -> None:
    again, other = tn.CoupledGroupLasso(2.0, MEMBERS), tn.CoupledGroupLasso(2.0, {"2.weight": (0, [0, 1])})
    rules = rules_by_name(tn.Plan({"[02].*": GROUPS, "2.weight": other, "*": again}), model())
    assert rules == {"0.weight": (again,), "0.bias": (again,), "2.weight": (other, again)}


def test_a_plan_with_groups_comes_back_equal_from_json() -> None:
    plan = tn.Plan({"*.weight": tn.L2(1e-4), "*": GROUPS}, examples=7)
    assert tn.Plan.from_json(plan.to_json()) == plan
    (rule,) = json.loads(plan.to_json())["entries"][1]["rules"]
    assert rule == {"rule": "CoupledGroupLasso", "strength": 0.5, "members": {n: list(e) for n, e in MEMBERS.items()}}
    with pytest.raises(
        ValueError, match=r"of another kind.*group numbers of 0\.weight must be a list of whole numbers"
    ):
        tn.Plan.from_json(tn.Plan(GROUPS).to_json().replace("-1", '"none"'))


def test_tied_weights_are_bound_once_under_either_name() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    module[1].weight = module[0].weight
    columns = (1, [0, 1, 2])
    for members in ({"1.weight": columns}, {"0.weight": columns, "1.weight": columns}):
        (binding,) = tn.Plan(tn.CoupledGroupLasso(1.0, members)).bind(module)
        assert (binding.name, binding.claims) == ("0.weight", ())
    conflict = tn.CoupledGroupLasso(1.0, {"0.weight": columns, "1.weight": (0, [0, 1, 2])})
    with pytest.raises(ValueError, match=r"0\.weight and 1\.weight in different groups, but they are one tied weight"):
        tn.Plan(conflict).bind(module)


@pytest.mark.parametrize(
    ("rules", "module", "message"),
    [
        (GROUPS, nn.Sequential(nn.Linear(3, 4)), r"names 2\.weight, which the model does not have; make the"),
        (GROUPS, nn.Linear(3, 4), r"names 0\.weight, 0\.bias, 2\.weight, which the model does not have"),
        (GROUPS, nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)), r"0\.weight has shape \(5, 3\), but"),
        ({"*.weight": GROUPS}, model(), r"stands under '\*\.weight', which does not claim 0\.bias; put it"),
        ({nn.Linear: GROUPS}, model(), r"stands under Linear, which does not claim 0\.bias"),
        ({"groups": GROUPS}, model(), r"stands under 'groups', which does not claim 0\.weight, 0\.bias, 2\.weight"),
    ],
)
def test_groups_of_another_model_or_under_a_key_that_leaves_members_out_are_refused(
    rules: object, module: nn.Module, message: str
) -> None:
    for look in (tn.Plan(rules).bind, tn.Plan(rules).findings):
        with pytest.raises(ValueError, match=message):
            look(module)


def test_findings() -> None:
    def found(rules: object, module: nn.Module, *optimizer: torch.optim.Optimizer) -> list[tuple[str, str]]:
        return [(f.code, f.parameter) for f in tn.Plan(rules).findings(module, *optimizer)]

    good, half = model(), model()
    half[2].requires_grad_(False)
    assert found({"*.weight": tn.L2(1.0), "*": GROUPS}, good, torch.optim.SGD(good.parameters(), weight_decay=0)) == []
    assert found(GROUPS, good, torch.optim.SGD(good[0].parameters(), weight_decay=0.1)) == [
        ("not-in-optimizer", "2.weight")
    ]
    assert found(GROUPS, half) == [("frozen", "2.weight")]
    assert found({"*": 0 * GROUPS}, good) == [("zero-strength", name) for name in MEMBERS]
    assert found({"*": GROUPS, "fc": tn.L2(1.0)}, good) == [("no-match", "'fc'")]


def test_groups_over_norms_alone_need_no_weight_matrix() -> None:
    module = nn.Sequential(nn.BatchNorm1d(3))
    gains = tn.CoupledGroupLasso(1.0, {"0.weight": (0, [0, 1, 2]), "0.bias": (0, [0, 1, 2])})
    assert tn.Plan(gains).findings(module) == ()
    assert list(rules_by_name(tn.Plan(gains), module)) == ["0.weight", "0.bias"]


def test_a_wrapped_model_keeps_its_own_names() -> None:
    assert list(rules_by_name(tn.Plan(GROUPS), torch.compile(model(), backend="eager"))) == list(MEMBERS)
