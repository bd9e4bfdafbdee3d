"""Members whose layers differ in width, as stacks of those that are alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from thinnet.stack import Activation, Member, Stack

FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
}


class Block(nn.Module):
    """Members of one architecture that see the same inputs, and those alone.

    Args:
        stack: the members.
        seen: which of the encoded columns are their inputs, in order, (d,).
    """

    seen: Tensor

    def __init__(self, stack: Stack, seen: Tensor) -> None:
        super().__init__()
        self.stack = stack
        self.register_buffer("seen", seen)

    def forward(self, x_ND: Tensor) -> Tensor:
        """The outputs of every member, (k, N, C)."""
        # many small blocks: the plain operations cost less than a stack's own forward, which is made for training
        activation, last = FUNCTIONS[self.stack.activation], len(self.stack.weights) - 1
        h = x_ND.index_select(1, self.seen)
        for i, (w_kOI, b_kO) in enumerate(zip(self.stack.weights, self.stack.biases, strict=True)):
            if len(w_kOI) == 1:
                h = functional.linear(h, w_kOI[0], b_kO[0])
            else:
                h = torch.baddbmm(b_kO.unsqueeze(1), h.expand(len(w_kOI), -1, -1), w_kOI.mT)
            h = activation(h) if i < last else h
        return h if h.ndim == 3 else h.unsqueeze(0)


class Blocks(nn.Module):
    """Members of several architectures, block after block: predicts as a `Stack` of them all does.

    Args:
        blocks: at least one; all have as many outputs and one activation.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x_ND: Tensor, members: slice = slice(None)) -> Tensor:
        """The outputs of a run of members, (K, N, C)."""
        return torch.cat([block(x_ND) for block in self.blocks])[members]

    @property
    def members(self) -> tuple[Member, ...]:
        """The settings of all members."""
        return tuple(chain.from_iterable(block.stack.members for block in blocks_of(self)))

    def __len__(self) -> int:
        return len(self.members)


def blocks_of(network: Stack | Blocks) -> list[Block]:
    """The blocks of either kind of network; a stack is one that sees all inputs."""
    if isinstance(network, Stack):
        return [Block(network, torch.arange(network.sizes[0]))]
    return [block for block in network.blocks if isinstance(block, Block)]


def to_folder(network: Stack | Blocks) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a saved model says of its networks as JSON, and their tensors by name."""
    blocks = blocks_of(network)
    settings: dict[str, Any] = {
        "activation": blocks[0].stack.activation,
        "dropout": [member.dropout for member in network.members],
    }
    if isinstance(network, Stack):
        settings["sizes"] = list(network.sizes)
        return settings, {f"stack.{name}": p.detach() for name, p in network.named_parameters()}
    settings["blocks"] = [{"members": len(block.stack), "sizes": list(block.stack.sizes)} for block in blocks]
    tensors: dict[str, Tensor] = {}
    for i, block in enumerate(blocks):
        tensors[f"blocks.{i}.seen"] = block.seen
        tensors |= {f"blocks.{i}.{name}": p.detach() for name, p in block.stack.named_parameters()}
    return settings, tensors


def from_folder(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Stack | Blocks:
    """The networks that `to_folder` wrote."""
    members = [Member(dropout=rate) for rate in settings["dropout"]]
    if "blocks" not in settings:
        return _read(members, settings, tensors, "stack.", len(settings["sizes"]) - 1)
    blocks, start = [], 0
    for i, block in enumerate(settings["blocks"]):
        run = members[start : start + block["members"]]
        stack = _read(run, settings, tensors, f"blocks.{i}.", len(block["sizes"]) - 1)
        blocks.append(Block(stack, tensors[f"blocks.{i}.seen"]))
        start += len(run)
    return Blocks(blocks).eval()


def stacked(
    members: Sequence[Member], weights: Sequence[Tensor], biases: Sequence[Tensor], activation: Activation
) -> Stack:
    """A stack of these members, for predicting: of every layer, the weights (k, out, in) and biases (k, out)."""
    inputs, *hidden, outputs = (weights[0].shape[2], *(w.shape[1] for w in weights))
    stack = Stack(members, in_features=inputs, hidden=hidden, out_features=outputs, activation=activation)
    for parameter, value in zip(stack.parameters(), [*weights, *biases], strict=True):
        parameter.data = value.detach().clone()
    return stack.requires_grad_(False).eval()


def _read(
    members: Sequence[Member], settings: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str, layers: int
) -> Stack:
    weights, biases = ([tensors[f"{prefix}{kind}.{i}"] for i in range(layers)] for kind in ("weights", "biases"))
    return stacked(members, weights, biases, settings["activation"])
