"""Sizes of layers after their parameters shrank."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.shrink._shrink import shrink_


def at(*indices: int) -> Tensor:
    return torch.tensor(indices)


@pytest.mark.parametrize(
    ("layer", "kept", "sizes"),
    [
        (nn.Conv2d(4, 6, 3), {0: at(0, 2), 1: at(1)}, {"out_channels": 2, "in_channels": 1, "groups": 1}),
        (nn.Conv1d(6, 9, 2, groups=3), {0: at(0, 1, 2)}, {"out_channels": 3, "in_channels": 2, "groups": 1}),
        (nn.Conv3d(4, 4, 2, groups=4), {0: at(0, 2)}, {"out_channels": 2, "in_channels": 2, "groups": 2}),
        (
            nn.ConvTranspose2d(6, 4, 2),
            {0: at(0, 5), 1: at(1, 2, 3)},
            {"in_channels": 2, "out_channels": 3, "groups": 1},
        ),
        (nn.ConvTranspose1d(4, 6, 2, groups=2), {0: at(0, 1)}, {"in_channels": 2, "out_channels": 3, "groups": 1}),
        (nn.Linear(4, 6), {0: at(0), 1: at(0, 1)}, {"out_features": 1, "in_features": 2}),
        (nn.Embedding(7, 4), {1: at(1, 3)}, {"num_embeddings": 7, "embedding_dim": 2}),
        (nn.LayerNorm(4), {0: at(1, 3)}, {"normalized_shape": (2,)}),
        (nn.PReLU(4), {0: at(1, 3)}, {"num_parameters": 2}),
    ],
)
def test_sizes_of_layers(layer: nn.Module, kept: dict[int, Tensor], sizes: dict[str, object]) -> None:
    shrink_(nn.ModuleDict({"it": layer}), {"it.weight": kept}, {})
    assert {name: getattr(layer, name) for name in sizes} == sizes
