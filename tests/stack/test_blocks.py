import pytest
import torch
from torch import nn
from torch.testing import assert_close

import thinnet as tn

BLOCKS = [1, 0, 1, -1]


def test_equals_attach_on_the_plain_networks() -> None:
    """Members with other strengths, other blocks, none: each as its own network under torch's Adam."""
    rules = [
        tn.GroupLasso(0.02, by="inputs", blocks=BLOCKS),
        tn.GroupLasso(0.3, by="inputs", blocks=BLOCKS),
        tn.GroupLasso(0.3, by="inputs"),
        tn.GroupLasso(0.3, by="inputs", blocks=[0, 0, 2, 2]),
        tn.L1(0.01) + tn.GroupLasso(0.1, by="inputs", blocks=BLOCKS),
        None,
    ]
    members = [tn.Member(seed=k, lr=1e-2 * (k + 1), rule=rule) for k, rule in enumerate(rules)]
    # as many hidden units as inputs: a member's rule acts on every weight
    stack = tn.Stack(members, in_features=4, hidden=[4], out_features=1, dtype=torch.float64)
    plain = [stack.member(k) for k in range(len(members))]
    theirs = [torch.optim.Adam(network.parameters(), lr=m.lr) for network, m in zip(plain, members, strict=True)]
    for network, rule, optimizer in zip(plain, rules, theirs, strict=True):
        if rule is not None:
            tn.attach(network, tn.Plan(rule), optimizer)
    ours, draw = tn.StackAdam(stack), torch.Generator().manual_seed(0)
    for _ in range(50):
        x = torch.randn(10, 4, generator=draw, dtype=torch.float64)
        y = x.sum(1)
        ours.zero_grad()
        tn.stack_squared_error(stack(x), y).sum().backward()
        ours.step()
        for network, optimizer in zip(plain, theirs, strict=True):
            optimizer.zero_grad()
            nn.functional.mse_loss(network(x).squeeze(1), y).backward()
            optimizer.step()
    for k, network in enumerate(plain):
        for w, layer in zip(stack.weights, (network[0], network[2]), strict=True):
            assert_close(w[k], layer.weight, rtol=1e-8, atol=1e-10)
    assert bool((stack.weights[0][1] == 0).any()) and bool((stack.weights[0][5] != 0).all())


def test_a_weight_of_another_number_of_inputs_is_refused() -> None:
    member = tn.Member(rule=tn.GroupLasso(0.1, by="inputs", blocks=BLOCKS))
    stack = tn.Stack([member], in_features=4, hidden=[6], out_features=1)
    optimizer = tn.StackAdam(stack)
    tn.stack_squared_error(stack(torch.ones(2, 4)), torch.ones(2)).sum().backward()
    with pytest.raises(ValueError, match=r"`blocks` has 4 numbers, .* of shape \(1, 1, 6\) has 6 inputs"):
        optimizer.step()
