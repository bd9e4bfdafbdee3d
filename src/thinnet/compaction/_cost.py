"""What a model costs: parameters, bytes, operations, measured time."""

from __future__ import annotations

import copy
import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._trace import plain_attention

SECONDS = 1.0
"""About how long both models are run to measure their times."""


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


def latencies(model: nn.Module, small: nn.Module, inputs: Inputs) -> tuple[float, float]:
    """Median seconds of a call of each, run in turn so that both meet the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    with torch.no_grad():
        for each in (model, small):
            inputs.call(each)
        end = time.perf_counter() + SECONDS
        while len(times[0]) < 5 or (time.perf_counter() < end and len(times[0]) < 200):
            for each, taken in zip((model, small), times, strict=True):
                _wait(inputs)
                began = time.perf_counter()
                inputs.call(each)
                _wait(inputs)
                taken.append(time.perf_counter() - began)
    return statistics.median(times[0]), statistics.median(times[1])


def _wait(inputs: Inputs) -> None:
    if any(t.is_cuda for t in inputs.tensors()):
        torch.cuda.synchronize()
