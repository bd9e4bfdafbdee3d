from itertools import pairwise
from typing import Any

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import thinnet as tn
from thinnet.tabular.model._dead_nodes import Network, without_dead_nodes, without_unread_inputs
from thinnet.tabular.model._network_blocks import FUNCTIONS


def random_network(sizes: tuple[int, ...], seed: int, zeros: float) -> Network:
    generator = torch.Generator().manual_seed(seed)
    weights, biases = [], []
    for inputs, outputs in pairwise(sizes):
        w = torch.randn(outputs, inputs, generator=generator)
        w[torch.rand(outputs, generator=generator) < zeros] = 0
        w[:, torch.rand(inputs, generator=generator) < zeros] = 0
        weights.append(w.numpy())
        biases.append(torch.randn(outputs, generator=generator).numpy())
    return Network(np.arange(sizes[0]), weights, biases)


def module(network: Network, activation: str) -> nn.Sequential:
    """The network as torch's own layers."""
    layers: list[nn.Module] = []
    for w, b in zip(network.weights, network.biases, strict=True):
        linear = nn.Linear(w.shape[1], w.shape[0], dtype=torch.float64)
        linear.load_state_dict({"weight": torch.from_numpy(w), "bias": torch.from_numpy(b)})
        layers += [linear, {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh}[activation]()]
    return nn.Sequential(*layers[:-1]).eval()


@example([1, 5, 1, 4, 1], 309, 0.1, "gelu")
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=3, max_size=5),
    st.integers(0, 10_000),
    st.sampled_from([0.1, 0.4, 0.8]),
    st.sampled_from(sorted(FUNCTIONS)),
)
def test_any_network_stays_equal_and_nothing_dead_is_left(sizes: Any, seed: int, zeros: float, activation: Any) -> None:
    network = random_network(tuple(sizes), seed, zeros)
    small = without_unread_inputs(without_dead_nodes(network, activation))
    x = torch.randn(20, sizes[0], dtype=torch.float64)
    torch.testing.assert_close(
        module(small, activation)(x[:, small.seen]), module(network, activation)(x), rtol=1e-5, atol=1e-5
    )
    for leading, leaving in pairwise(small.weights):
        if len(leading) > 1:
            assert (leading != 0).any(1).all()
            assert (leaving != 0).any(0).all()
    assert (small.weights[0] != 0).any(0).all() or small.sizes[0] == 1


def test_as_many_nodes_stay_as_compact_leaves() -> None:
    network = random_network((5, 9, 8, 3), 3, 0.3)
    model = module(network, "silu")
    expected, _ = tn.compact(model, torch.randn(6, 5, dtype=torch.float64))
    small = without_dead_nodes(network, "silu")
    assert small.sizes[1:] == (expected[0].out_features, expected[2].out_features, 3)
    assert small.sizes[1] < 9
