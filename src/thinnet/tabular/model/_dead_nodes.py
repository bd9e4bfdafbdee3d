"""Networks without their dead nodes and without the inputs that no weight of theirs uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thinnet.tabular.model._network_blocks import FUNCTIONS, Array, Block

if TYPE_CHECKING:
    from thinnet.stack import Activation

Sizes = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Network:
    """One network by itself.

    Attributes:
        seen: which encoded columns are its inputs, (d,).
        weights: of every layer, (out, in).
        biases: of every layer, (out,).
    """

    seen: NDArray[np.int64]
    weights: list[Array]
    biases: list[Array]

    @property
    def sizes(self) -> Sizes:
        """The nodes of every layer, inputs and outputs included."""
        return (self.weights[0].shape[1], *(w.shape[0] for w in self.weights))


def narrowed(blocks: Sequence[Block]) -> tuple[Sequence[Block], list[int], tuple[tuple[Sizes, Sizes], ...]]:
    """Remove dead nodes and unused inputs from networks, and put those that are alike together.

    Returns:
        The smaller networks, or `blocks` itself where nothing can be removed; where each of them was before; the sizes
        of every former network before and now.
    """
    activation = blocks[0].activation
    before = [one for block in blocks for one in _networks(block)]
    after = [without_unread_inputs(without_dead_nodes(one, activation)) for one in before]
    sizes = tuple((old.sizes, new.sizes) for old, new in zip(before, after, strict=True))
    if all(old == new for old, new in sizes):
        return blocks, list(range(len(sizes))), sizes
    alike: dict[tuple[tuple[int, ...], Sizes], list[int]] = defaultdict(list)
    for k, one in enumerate(after):
        alike[tuple(one.seen.tolist()), one.sizes].append(k)
    smaller = [_block([after[k] for k in run], activation) for run in alike.values()]
    return smaller, [k for run in alike.values() for k in run], sizes


def without_dead_nodes(network: Network, activation: Activation) -> Network:
    r"""The network without hidden nodes that no weight leads from, or that no weight leads to.

    A node i without inputs is the constant f(b_i), which goes into the biases of the next layer: b'_o = b_o + W'_oi
    f(b_i), summed in float64. A layer whose nodes are all removed keeps one with weights of 0.

    Example:
        >>> weights = [np.array([[1.0], [0.0], [1.0]]), np.array([[1.0, 4.0, 0.0]])]
        >>> dead = Network(np.array([0]), weights, [np.array([0.0, 2.0, 0.0]), np.zeros(1)])
        >>> small = without_dead_nodes(dead, "relu")  # node 1 is always 2, with a weight of 4; node 2 is unused
        >>> small.sizes, small.biases[1].item()
        ((1, 1, 1), 8.0)
    """
    f, kind = FUNCTIONS[activation], network.weights[0].dtype
    weights, biases = ([t.astype(np.float64) for t in arrays] for arrays in (network.weights, network.biases))
    connections: list[int] = []
    # a node that is removed may have been the only consumer, or the only source, of another one
    while connections != (connections := [int((w != 0).sum()) for w in weights]):
        for i in range(len(weights) - 1):
            constant = ~(weights[i] != 0).any(1)
            biases[i + 1] = biases[i + 1] + weights[i + 1][:, constant] @ f(biases[i][constant])
            alive = np.flatnonzero(~constant & (weights[i + 1] != 0).any(0))
            if len(alive) == 0:
                weights[i], biases[i] = np.zeros_like(weights[i][:1]), np.zeros_like(biases[i][:1])
                weights[i + 1] = np.zeros_like(weights[i + 1][:, :1])
            else:
                weights[i], biases[i], weights[i + 1] = weights[i][alive], biases[i][alive], weights[i + 1][:, alive]
    return replace(network, weights=[w.astype(kind) for w in weights], biases=[b.astype(kind) for b in biases])


def without_unread_inputs(network: Network) -> Network:
    """The network with those inputs alone that a weight leads from; one at least."""
    first, *others = network.weights
    read = np.flatnonzero((first != 0).any(0))
    read = read if len(read) else np.array([0])
    return replace(network, seen=network.seen[read], weights=[first[:, read], *others])


def _networks(block: Block) -> list[Network]:
    return [Network(block.seen, [w[k] for w in block.weights], [b[k] for b in block.biases]) for k in range(len(block))]


def _block(networks: list[Network], activation: Activation) -> Block:
    weights, biases = (
        [np.stack(alike) for alike in zip(*layers, strict=True)]
        for layers in ([one.weights for one in networks], [one.biases for one in networks])
    )
    return Block(networks[0].seen, weights, biases, activation)
