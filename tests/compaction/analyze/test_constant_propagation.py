"""What is known of every tensor: its value, and which of its elements inputs can change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thinnet.compaction.analyze._call import Value
from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._trace import trace


class Written(nn.Module):
    """A function of an input and of constants with zeros in them."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(4, 4, generator=generator))
        self.row = nn.Parameter(torch.tensor([0.0, 2.0, 0.0, -1.0]))
        with torch.no_grad():
            self.matrix[[0, 2]] = 0

    def forward(self, x: Tensor) -> Any:
        return self.function(x, self.matrix, self.row)


FUNCTIONS: list[Callable[..., Any]] = [
    lambda x, m, r: F.linear(x, m),
    lambda x, m, r: F.linear(x, m, r),
    lambda x, m, r: F.linear(x * r, m),
    lambda x, m, r: x @ m,
    lambda x, m, r: m @ x.T,
    lambda x, m, r: x * r,
    lambda x, m, r: x * r + r,
    lambda x, m, r: (x * r).relu() / (1 + x.square()),
    lambda x, m, r: torch.where(r == 0, r + 1, x),
    lambda x, m, r: torch.where(x > 0, r, r),
    lambda x, m, r: torch.cat([x * r, r.expand(3, 4)], 1),
    lambda x, m, r: torch.stack([x, r.expand(3, 4)]),
    lambda x, m, r: (x * r).sum(0),
    lambda x, m, r: (x * r).amax(1),
    lambda x, m, r: (x * r).softmax(0),
    lambda x, m, r: F.layer_norm(x, (4,), r),
    lambda x, m, r: F.layer_norm(r.expand(3, 4) + 0 * r, (4,)),
    lambda x, m, r: F.rms_norm(x, (4,), r),
    lambda x, m, r: F.rms_norm(x * r, (4,)),
    lambda x, m, r: F.batch_norm(x, r, r.square() + 1, r, r),
    lambda x, m, r: F.group_norm(x, 2, r, r),
    lambda x, m, r: F.instance_norm((x * r)[None], weight=r[1:].abs()),
    lambda x, m, r: F.conv1d(x[:, None], m[:1, None, :2]),
    lambda x, m, r: F.conv1d(x[:, :, None], m[:, :, None], r),
    lambda x, m, r: F.conv_transpose1d(x[:, :, None], m[:, :, None]),
    lambda x, m, r: F.max_pool1d((x * r)[:, None], 2),
    lambda x, m, r: F.avg_pool1d((x * r)[:, None], 2, 1),
    lambda x, m, r: F.interpolate((x * r)[:, None], scale_factor=2),
    lambda x, m, r: F.pad(x, (1, 2), value=0.5),
    lambda x, m, r: (x * r).reshape(2, 6).flip(0)[:, 1:].T,
    lambda x, m, r: (x * r).unflatten(1, (2, 2)).chunk(2, 1),
    lambda x, m, r: (x * r)[:, [1, 0, 2]],
    lambda x, m, r: (x * r).index_select(1, torch.tensor([3, 0])),
    lambda x, m, r: (x * r).gather(1, torch.tensor([[0], [2], [1]])),
    lambda x, m, r: F.embedding((x > 0).long(), m),
    lambda x, m, r: F.scaled_dot_product_attention(x[None], x[None], (x * r)[None]),
    lambda x, m, r: F.scaled_dot_product_attention(x[None], x[None], r.expand(1, 3, 4)),
    lambda x, m, r: torch.zeros_like(x) + r,
    lambda x, m, r: torch.arange(4) * r,
    lambda x, m, r: x.sort(1).values * r,
    lambda x, m, r: torch.outer(x[0], r),
]


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
@torch.no_grad()
def test_values_are_right_and_what_varies_covers_all_that_does(function: Callable[..., Any]) -> None:
    """Run with many inputs: an element that changes has to be marked."""
    model = Written(function).double()
    inputs = [
        scale * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed, scale in enumerate((1.0, 1.0, 100.0, 1e-3, -1.0))
    ]
    traced = trace(model, Inputs.of(inputs[0], "test"))
    outcomes = [model(x) for x in inputs]
    outcomes = [outcome if isinstance(outcome, tuple) else (outcome,) for outcome in outcomes]
    found = propagate_constants(traced)
    for place, node in enumerate(traced.outputs):
        known = found[node]
        assert isinstance(known, Value)
        torch.testing.assert_close(known.data, outcomes[0][place])
        assert known.varies.shape == known.data.shape
        changed = torch.stack([(outcome[place] - known.data).abs() > 1e-12 for outcome in outcomes]).any(0)
        assert not bool((changed & ~known.varies).any())


@pytest.mark.parametrize(
    ("function", "constant"),
    [
        (FUNCTIONS[0], [True, False, True, False]),
        (FUNCTIONS[1], [True, False, True, False]),
        (lambda x, m, r: x * r, [True, False, True, False]),
        (lambda x, m, r: (x * r).tanh() + r, [True, False, True, False]),
        (lambda x, m, r: F.layer_norm(x, (4,), r, r), [True, False, True, False]),
        (lambda x, m, r: F.batch_norm(x, r, r.square() + 1, r, r), [True, False, True, False]),
        (lambda x, m, r: (x * r).mean(0, keepdim=True), [True, False, True, False]),
        (lambda x, m, r: x + r, [False, False, False, False]),
    ],
)
@torch.no_grad()
def test_what_weights_alone_decide_is_known(function: Callable[..., Any], constant: list[bool]) -> None:
    model = Written(function).double()
    traced = trace(model, Inputs.of(torch.randn(3, 4, dtype=torch.float64), "test"))
    known = propagate_constants(traced)[traced.outputs[0]]
    assert (~known.varies).all(0).tolist() == constant


def test_zero_is_zero_whatever_the_input() -> None:
    known = Value(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([True, False, False]))
    assert known.zero.tolist() == [False, True, False]
    assert Value.variable(torch.zeros(2)).zero.tolist() == [False, False]
    assert Value.constant(torch.zeros(2)).zero.tolist() == [True, True]
