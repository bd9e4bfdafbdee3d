"""Cost of a model: parameters, bytes, floating-point operations, latency."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from thinnet._timing import latencies
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._trace import plain_attention

SECONDS = 1.0
"""About how long both models are run to measure their latency."""


@dataclass(frozen=True)
class Cost:
    """Sizes of one model.

    Args:
        parameters: their number, tied ones once.
        size: bytes of parameters and buffers.
        flops: floating-point operations of one call on the example inputs, multiplications and additions.
    """

    parameters: int
    size: int
    flops: int


def cost_of(model: nn.Module, inputs: Inputs) -> Cost:
    """The sizes of a model."""
    tensors = [*model.parameters(), *model.buffers()]
    # the counter hangs hooks on gradients, which some models give it no place for
    frozen = copy.deepcopy(model).requires_grad_(False)
    with torch.no_grad(), plain_attention(), FlopCounterMode(display=False) as counter:
        inputs.call(frozen)
    return Cost(
        sum(p.numel() for p in model.parameters()), sum(t.nbytes for t in tensors), int(counter.get_total_flops())
    )


def latency_pair(model: nn.Module, small: nn.Module, inputs: Inputs) -> tuple[float, float]:
    """Median duration of a call of each model on the inputs, in seconds."""
    on_cuda = any(t.is_cuda for t in inputs.tensors())
    with torch.no_grad():
        before, after = latencies(
            [lambda: inputs.call(model), lambda: inputs.call(small)],
            seconds=SECONDS,
            wait=torch.cuda.synchronize if on_cuda else lambda: None,
        )
    return before, after
