"""A small network with nodes that are dead, and rows for it."""

import torch
from torch import Tensor, nn


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 3)
    ).double()


def data(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(40, 6, generator=generator, dtype=torch.float64), torch.randint(3, (40,), generator=generator)


def silence(model: nn.Sequential) -> None:
    """Zero nodes 2 and 5 of the first layer, their incoming and outgoing weights, and node 0 of the second."""
    with torch.no_grad():
        for tensor in (model[0].weight, model[0].bias, model[1].weight, model[1].bias):
            tensor[[2, 5]] = 0
        model[3].weight[:, [2, 5]] = 0
        model[3].weight[0] = 0
        model[3].bias[0] = 0
        model[5].weight[:, 0] = 0
