"""Torch-Pruning in the tables of compaction: sparse training by its group norms, then pruning to a ratio."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

import compact_training as training


def pruner(model: nn.Module, example: Tensor, ratio: float, reg: float) -> Any:
    """Its group norm pruner over all layers at once; the outputs stay."""
    return torch_pruning.pruner.GroupNormPruner(
        model,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        reg=reg,
        global_pruning=True,
        pruning_ratio=ratio,
        ignored_layers=[training.layers(model)[-1]],
    )


def train_sparse(model: nn.Module, x: Tensor, y: Tensor, phase: training.Phase, seed: int, reg: float) -> None:
    """Train with its regularizer, which shrinks unimportant groups more and adds to the gradients."""
    regularizer = pruner(model, x[:2], 0.5, reg)
    regularizer.update_regularizer()
    training.fit(model, x, y, phase, seed, after_backward=lambda: regularizer.regularize(model))


def pruned(model: nn.Module, example: Tensor, ratio: float) -> nn.Module:
    """A smaller copy without this part of the channels."""
    small = copy.deepcopy(model).eval()
    with torch.enable_grad():
        pruner(small, example, ratio, 0.0).step()
    return small
