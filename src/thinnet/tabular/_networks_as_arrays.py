"""The networks of a trained stack as plain arrays for predicting."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from thinnet.stack import Stack
from thinnet.tabular.model._network_blocks import Block


def frozen(stack: Stack) -> tuple[Block, ...]:
    """Copy the members of a stack, those in a row with the same inputs together and without the inputs of others."""
    weights = [w.detach().cpu().numpy() for w in stack.weights]
    biases = [b.detach().cpu().numpy() for b in stack.biases]
    blocks, start = [], 0
    for inputs, run in groupby(member.inputs for member in stack.members):
        members = slice(start, start := start + len(list(run)))
        seen = np.arange(stack.sizes[0]) if inputs is None else np.flatnonzero(inputs)
        first, *others = (w[members] for w in weights)
        layers = [np.ascontiguousarray(first[:, :, seen]), *(w.copy() for w in others)]
        blocks.append(Block(seen, layers, [b[members].copy() for b in biases], stack.activation))
    return tuple(blocks)
