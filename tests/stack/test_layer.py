import copy

import pytest
import torch
from torch.testing import assert_close

import thinnet as tn


def stack() -> tn.Stack:
    members = [tn.Member(seed=k, dropout=0.5) for k in range(3)]
    return tn.Stack(members, in_features=4, hidden=[8, 8], out_features=2, activation="silu", dtype=torch.float64)


X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_two_forwards_before_two_backwards() -> None:
    ours, theirs = stack(), stack()
    first, second = ours(X), ours(2 * X)
    first.square().sum().backward()
    second.square().sum().backward()
    for x in (X, 2 * X):
        theirs(x).square().sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(a.grad, b.grad)


def test_a_second_backward_is_refused() -> None:
    loss = stack()(X).square().sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match=r"backward\(\) was called twice on the same forward pass"):
        loss.backward()


def test_outputs_and_input_gradients_outlive_the_next_step() -> None:
    network, x = stack(), X.clone().requires_grad_()
    outputs = network(x)
    outputs.square().sum().backward()
    kept, gradient = outputs.detach().clone(), x.grad.clone()
    for _ in range(3):
        network(5 * X).square().sum().backward()
    assert_close(outputs.detach(), kept)
    assert_close(x.grad, gradient)


def test_buffers_are_reused_and_not_copied_along() -> None:
    network = stack()
    for _ in range(3):
        network(X).square().sum().backward()
    free = network._pool._free
    places = {key: sorted(buffer.data_ptr() for buffer in buffers) for key, buffers in free.items()}
    network(X).square().sum().backward()
    assert {key: sorted(buffer.data_ptr() for buffer in buffers) for key, buffers in free.items()} == places
    assert sum(map(len, places.values())) >= 6  # values, gradients and masks of two hidden layers
    assert not copy.deepcopy(network)._pool._free
