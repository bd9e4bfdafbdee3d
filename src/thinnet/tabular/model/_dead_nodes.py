"""Networks without their dead nodes and without the inputs that they do not read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thinnet.stack import Activation, Member, Stack
from thinnet.tabular.model._blocks import FUNCTIONS, Block, Blocks, blocks_of, stacked

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """One member by itself.

    Args:
        settings: of the member.
        seen: which encoded columns it reads, (d,).
        weights: of every layer, (out, in).
        biases: of every layer, (out,).
    """

    settings: Member
    seen: Tensor
    weights: list[Tensor]
    biases: list[Tensor]

    @property
    def sizes(self) -> Sizes:
        """The nodes of every layer, inputs and outputs included."""
        return (self.weights[0].shape[1], *(w.shape[0] for w in self.weights))


def narrowed(network: Stack | Blocks) -> tuple[Stack | Blocks, list[int], tuple[tuple[Sizes, Sizes], ...]]:
    """The same networks without dead nodes and unread inputs, those that are alike together.

    Returns:
        The smaller networks, or `network` itself where nothing can go; where each of them was before; the sizes of
        every former member before and now.
    """
    blocks = blocks_of(network)
    activation = blocks[0].stack.activation
    before = [one for block in blocks for one in _members(block)]
    after = [without_unread_inputs(without_dead_nodes(one, activation)) for one in before]
    sizes = tuple((old.sizes, new.sizes) for old, new in zip(before, after, strict=True))
    if all(old == new for old, new in sizes):
        return network, list(range(len(sizes))), sizes
    alike: dict[tuple[tuple[int, ...], Sizes], list[int]] = defaultdict(list)
    for k, one in enumerate(after):
        alike[tuple(one.seen.tolist()), one.sizes].append(k)
    smaller = [_block([after[k] for k in run], activation) for run in alike.values()]
    return Blocks(smaller).eval(), [k for run in alike.values() for k in run], sizes


def without_dead_nodes(network: Network, activation: Activation) -> Network:
    r"""The network without hidden nodes that no weight leads from, or that no weight leads to.

    A node i without inputs is the constant f(b_i), which goes into the biases of the next layer: b'_o = b_o + W'_oi
    f(b_i), summed in float64. A layer that loses all its nodes keeps one that says nothing.

    Example:
        >>> weights = [torch.tensor([[1.0], [0.0], [1.0]]), torch.tensor([[1.0, 4.0, 0.0]])]
        >>> dead = Network(Member(), torch.tensor([0]), weights, [torch.tensor([0.0, 2.0, 0.0]), torch.zeros(1)])
        >>> small = without_dead_nodes(dead, "relu")  # node 1 is always 2 and read by 4; nobody reads node 2
        >>> small.sizes, small.biases[1].item()
        ((1, 1, 1), 8.0)
    """
    f, kind = FUNCTIONS[activation], network.weights[0].dtype
    weights, biases = ([t.double() for t in tensors] for tensors in (network.weights, network.biases))
    connections: list[int] = []
    # a node that goes may have been the only reader, or the only source, of another one
    while connections != (connections := [int((w != 0).sum()) for w in weights]):
        for i in range(len(weights) - 1):
            constant = ~(weights[i] != 0).any(1)
            biases[i + 1] = biases[i + 1] + weights[i + 1][:, constant] @ f(biases[i][constant])
            alive = (~constant & (weights[i + 1] != 0).any(0)).nonzero().flatten()
            if len(alive) == 0:
                weights[i], biases[i] = torch.zeros_like(weights[i][:1]), torch.zeros_like(biases[i][:1])
                weights[i + 1] = torch.zeros_like(weights[i + 1][:, :1])
            else:
                weights[i], biases[i], weights[i + 1] = weights[i][alive], biases[i][alive], weights[i + 1][:, alive]
    return replace(network, weights=[w.to(kind) for w in weights], biases=[b.to(kind) for b in biases])


def without_unread_inputs(network: Network) -> Network:
    """The network with those inputs alone that a weight leads from; one at least."""
    first, *others = network.weights
    read = (first != 0).any(0).nonzero().flatten()
    read = read if len(read) else torch.tensor([0])
    return replace(network, seen=network.seen[read], weights=[first[:, read], *others])


def _members(block: Block) -> list[Network]:
    stack = block.stack
    return [
        Network(replace(settings, inputs=None), block.seen, [w[k] for w in stack.weights], [b[k] for b in stack.biases])
        for k, settings in enumerate(stack.members)
    ]


def _block(networks: list[Network], activation: Activation) -> Block:
    stack = stacked(
        [one.settings for one in networks],
        [torch.stack(alike) for alike in zip(*(one.weights for one in networks), strict=True)],
        [torch.stack(alike) for alike in zip(*(one.biases for one in networks), strict=True)],
        activation,
    )
    return Block(stack, networks[0].seen)
