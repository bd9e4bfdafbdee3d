"""Cost of a model, counted by hand."""

import pytest
import torch
from torch import nn

from thinnet.compaction._cost import Cost, cost_of, latency_pair
from thinnet.compaction.analyze._inputs import Inputs


def test_parameters_bytes_and_operations_by_hand() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False)).double().eval()
    inputs = Inputs.of(torch.randn(5, 3, dtype=torch.float64), "test")
    parameters = 3 * 4 + 4 + 4 + 4 + 4 * 2
    buffers = 4 + 4 + 1  # mean, variance, number of batches
    assert cost_of(model, inputs) == Cost(parameters, 8 * (parameters + buffers), 2 * 5 * (3 * 4 + 4 * 2))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_tied_layer_counts_once_and_runs_twice() -> None:
    layer = nn.Linear(3, 3, bias=False)
    found = cost_of(nn.Sequential(layer, layer).eval(), Inputs.of(torch.randn(2, 3), "test"))
    assert (found.parameters, found.size, found.flops) == (9, 36, 2 * (2 * 2 * 9))


class Counting(nn.Module):
    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        self.calls += 1
        return x


def test_both_models_are_called_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Counting(), Counting()
    times = latency_pair(one, other, Inputs.of(torch.ones(1), "test"))
    assert one.calls == other.calls >= 5
    assert all(time > 0 for time in times)
