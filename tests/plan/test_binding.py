import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import thinnet as tn
from thinnet.plan import Binding


def bound(module: nn.Module, rule: tn.Rule) -> Binding:
    (binding,) = tn.Plan({"weight": rule}).bind(module)
    return binding


def test_a_binding_has_the_name_and_the_parameter_of_its_weight() -> None:
    module = nn.Linear(3, 2)
    binding = bound(module, tn.L2(0.5) + tn.L1(0.1))
    assert (binding.name, binding.claims) == ("weight", ("'weight'",))
    assert binding.parameter is module.weight
    assert binding.rules == (tn.L2(0.5), tn.L1(0.1))  # in the order in which they were written


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
def test_rules_see_outputs_first_whatever_the_module_stores(kind: type[nn.Module]) -> None:
    value = bound(kind(4, 3, 2), tn.GroupLasso(1.0)).value()
    assert value.shape == (3, 4, 2)
    value.sum().backward()  # differentiable
    assert value.requires_grad


def test_a_reparametrized_weight_is_seen_as_the_forward_pass_uses_it() -> None:
    module = parametrizations.weight_norm(nn.Linear(3, 2))
    binding = bound(module, tn.L2(1.0))
    torch.testing.assert_close(binding.value(), module.weight)
    assert binding.name == "weight" and binding.parameter is module.parametrizations.weight.original0
