"""Tensors by name, and kept slices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.analyze._slices import sliced, tensor_of


def at(*indices: int) -> Tensor:
    return torch.tensor(indices)


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))


def test_slices_in_memory_of_their_own() -> None:
    tensor = torch.arange(12.0).reshape(3, 4)
    found = sliced(tensor, {0: at(2, 0), 1: at(1)})
    assert found.tolist() == [[9.0], [1.0]]
    sliced(tensor, {}).zero_()
    assert tensor.sum() == 66


def test_a_tensor_is_found_by_its_name(model: nn.Sequential) -> None:
    assert tensor_of(model, "1.running_mean") is model[1].running_mean
    alone = nn.Linear(2, 2)
    assert tensor_of(alone, "bias") is alone.bias
