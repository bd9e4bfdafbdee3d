from torch import nn

import thinnet as tn
from thinnet.plan import joint_bindings

MEMBERS = {"0.weight": (0, [0, 1, -1, 1]), "2.weight": (1, [0, 1, -1, 1])}


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def test_a_rule_has_the_weights_that_it_names_however_many_bindings_hold_it() -> None:
    bindings = tn.Plan(tn.L1(0.1) + tn.CoupledGroupLasso(0.5, MEMBERS)).bind(model())
    (joint,) = joint_bindings(bindings, 4.0)
    assert joint.rule == tn.CoupledGroupLasso(2.0, MEMBERS)
    assert {name: binding.name for name, binding in joint.bindings.items()} == {name: name for name in MEMBERS}


def test_a_tied_weight_goes_by_the_name_that_the_rule_has_for_it() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    (joint,) = joint_bindings(tn.Plan(tn.CoupledGroupLasso(0.5, {"1.weight": (1, [0, 0, 1])})).bind(network))
    assert {name: binding.name for name, binding in joint.bindings.items()} == {"1.weight": "0.weight"}


def test_there_is_one_for_each_rule_and_none_without() -> None:
    rule = tn.CoupledGroupLasso(0.5, MEMBERS) + tn.CoupledGroupLasso(0.5, {"2.weight": (0, [0, 1])})
    assert [len(joint.bindings) for joint in joint_bindings(tn.Plan(rule).bind(model()))] == [2, 1]
    assert joint_bindings(tn.Plan(tn.L1(0.1)).bind(model())) == ()
