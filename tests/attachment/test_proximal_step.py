import torch
from torch import nn

import thinnet as tn
from thinnet.attachment import proximal_step_


def test_it_is_the_step_that_an_optimizer_without_gradients_takes() -> None:
    torch.manual_seed(0)
    plan = tn.Plan(
        {"0.weight": tn.L1(0.1) + tn.GroupLasso(0.2) + tn.NonNegative(), "*": coupled(), "1.bias": tn.L2(9.0)}
    )
    ours, theirs = network(), network()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.5)
    attachment = tn.attach(theirs, tn.Plan(dict(plan.entries[:2])), optimizer)
    attachment.scale = 1.5
    for parameter in theirs.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    proximal_step_(plan.bind(ours), scale=1.5, step=0.5)
    for (name, mine), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, expected, msg=lambda text, name=name: f"{name}: {text}")
    assert not torch.equal(network()[0].weight, ours[0].weight)


def coupled() -> tn.CoupledGroupLasso:
    return tn.CoupledGroupLasso(0.3, {"0.bias": (0, [0, 1, 2, -1]), "1.weight": (1, [0, 1, 2, -1])})


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
