from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from thinnet.tabular.model._network_blocks import FUNCTIONS, Block, from_folder, to_folder

RNG = np.random.default_rng(0)


def block(members: int = 3, sizes: tuple[int, ...] = (2, 4, 3, 2), activation: Any = "silu") -> Block:
    layers = list(pairwise(sizes))
    weights = [RNG.normal(size=(members, out, inputs)).astype(np.float32) for inputs, out in layers]
    biases = [RNG.normal(size=(members, out)).astype(np.float32) for _, out in layers]
    return Block(np.array([3, 1])[: sizes[0]], weights, biases, activation)


@pytest.mark.parametrize("activation", sorted(FUNCTIONS))
def test_it_is_torchs_layers_on_the_columns_that_are_seen(activation: str) -> None:
    one, x = block(activation=activation), RNG.normal(size=(6, 5)).astype(np.float32)
    before = x.copy()
    outputs = one.outputs(x)
    assert outputs.shape == (3, 6, 2)
    for k in range(3):
        h = torch.from_numpy(x[:, [3, 1]])
        for i in range(3):
            h = functional.linear(h, torch.from_numpy(one.weights[i][k]), torch.from_numpy(one.biases[i][k]))
            h = getattr(functional if activation != "tanh" else torch, activation)(h) if i < 2 else h
        np.testing.assert_allclose(outputs[k], h.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("activation", sorted(FUNCTIONS))
def test_activations_of_large_numbers_stay_finite(activation: Any) -> None:
    z = np.array([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=np.float32)
    expected = getattr(functional if activation != "tanh" else torch, activation)(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(FUNCTIONS[activation](z.copy()), expected, atol=1e-30)


def test_no_hidden_layer_is_a_linear_map() -> None:
    one = block(sizes=(2, 3))
    x = RNG.normal(size=(4, 5)).astype(np.float32)
    expected = [x[:, [3, 1]] @ one.weights[0][k].T + one.biases[0][k] for k in range(3)]
    np.testing.assert_allclose(one.outputs(x), expected, rtol=1e-5)


def test_blocks_come_back() -> None:
    blocks = (block(), block(1, (1, 4, 2)))
    settings, arrays = to_folder(blocks)
    for one, back in zip(blocks, from_folder(settings, arrays), strict=True):
        assert (back.sizes, back.activation, len(back)) == (one.sizes, "silu", len(one))
        np.testing.assert_array_equal(back.seen, one.seen)
        for ours, theirs in zip(back.arrays, one.arrays, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_rows_outputs_do_not_depend_on_its_place() -> None:
    one, x = block(4, (2, 32, 16, 3)), RNG.normal(size=(80, 5)).astype(np.float32)
    order = RNG.permutation(80)
    whole = one.outputs(x)
    np.testing.assert_array_equal(one.outputs(x[order]), whole[:, order])
    np.testing.assert_array_equal(one.outputs(x[77:]), whole[:, 77:])
