"""Linear, convolution and batch normalization layers that compute the kept neurons alone in training."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thinnet.dropout import DropoutLayer
from thinnet.thinning._node_sets import node_sets
from thinnet.thinning._submatrix import submatrix_linear


class Link:
    """Kept neurons between the layers that produce them and the one that consumes them.

    Args:
        nodes: has the rate and the generator.
        groups: how many sets a draw has.
        first: the layer that runs first and draws; None where nobody does, and `nodes` acts on all of them.
    """

    def __init__(self, nodes: DropoutLayer, groups: int, first: nn.Module | None) -> None:
        self.nodes = nodes
        self.groups = groups
        self.first = first
        self.sets: list[Tensor] | None = None

    def drawn(self, layer: nn.Module, n: int, device: torch.device) -> list[Tensor] | None:
        """Return the sets of kept neurons out of n, drawn anew for the first layer; None where all are kept."""
        if layer is self.first:
            p, generator = self.nodes.p, self.nodes.generator
            removes = layer.training and p > 0
            self.sets = node_sets(n, p, self.groups, generator=generator, device=device) if removes else None
        return self.sets

    def taken(self) -> list[Tensor] | None:
        """Return the sets to the consuming layer and forget them."""
        sets, self.sets = self.sets, None
        return sets


class ThinLayer(nn.Module):
    """Base class of linear layers that compute their kept outputs from their kept inputs."""

    link_in: Link | None = None
    link_out: Link | None = None
    weight: Tensor
    bias: Tensor | None
    trailing: int
    """Dimensions of an input from its nodes on."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute y_O = W_OI x_I / (1 − p) + b_O in training, the whole layer in eval mode."""
        ins = outs = None
        if self.link_in is not None:
            ins = self.link_in.taken()
            if ins is None:
                # all nodes are here; in eval mode this is the identity, unless the network is being sampled
                x = self.link_in.nodes(x)
        if self.link_out is not None:
            outs = self.link_out.drawn(self, self.weight.shape[0], x.device)
        sets = ins or outs
        if sets is None:
            return super().forward(x)  # type: ignore[no-any-return]
        parts = x.tensor_split(len(sets)) if len(sets) > 1 and x.ndim > self.trailing else (x,)
        whole = [None] * len(sets)
        y = [self._part(*of_group) for of_group in zip(parts, outs or whole, ins or whole, strict=False)]
        return torch.cat(y) if len(y) > 1 else y[0]

    def _part(self, x: Tensor, outs: Tensor | None, ins: Tensor | None) -> Tensor:
        if ins is not None and self.link_in is not None:
            p = self.link_in.nodes.p
            x = x * (1 / (1 - p) if p < 1 else 0.0)
        return self.cut(x, outs, ins)

    def cut(self, x: Tensor, outs: Tensor | None, ins: Tensor | None) -> Tensor:
        """Compute the layer between kept inputs and kept outputs."""
        raise NotImplementedError


class ThinLinear(ThinLayer, nn.Linear):  # type: ignore[misc]
    """`torch.nn.Linear`, thin in training; `thin_` makes it."""

    trailing = 1

    def cut(self, x: Tensor, outs: Tensor | None, ins: Tensor | None) -> Tensor:
        """W_OI x_I + b_O."""
        return submatrix_linear(x, self.weight, self.bias, outs, ins)


class _ThinConv(ThinLayer):
    def cut(self, x: Tensor, outs: Tensor | None, ins: Tensor | None) -> Tensor:
        """W_OI * x_I + b_O."""
        weight, bias = self.weight, self.bias
        if outs is not None:
            weight, bias = weight.index_select(0, outs), None if bias is None else bias.index_select(0, outs)
        if ins is not None:
            weight = weight.index_select(1, ins)
        return self._conv_forward(x, weight, bias)  # type: ignore[no-any-return, operator]


class ThinConv1d(_ThinConv, nn.Conv1d):
    """`torch.nn.Conv1d`, thin in training; `thin_` makes it."""

    trailing = 2


class ThinConv2d(_ThinConv, nn.Conv2d):
    """`torch.nn.Conv2d`, thin in training; `thin_` makes it."""

    trailing = 3


class ThinConv3d(_ThinConv, nn.Conv3d):
    """`torch.nn.Conv3d`, thin in training; `thin_` makes it."""

    trailing = 4


class _ThinNorm(nn.Module):
    """Batch normalization of the channels that stay; the others' running statistics stay as they are."""

    link_out: Link

    def forward(self, x: Tensor) -> Tensor:
        """The channels of each group of rows are normalized over the rows of the group."""
        if self.link_out.sets is None:
            return super().forward(x)  # type: ignore[no-any-return]
        norm = cast(nn.BatchNorm2d, self)
        norm._check_input_dim(x)
        if norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        parts = zip(x.tensor_split(len(self.link_out.sets)), self.link_out.sets, strict=True)
        y = [_normalized(norm, part, nodes) for part, nodes in parts]
        return torch.cat(y) if len(y) > 1 else y[0]


def _normalized(norm: nn.BatchNorm2d, x: Tensor, nodes: Tensor) -> Tensor:
    vectors = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, weight, bias = (None if v is None else v.index_select(0, nodes) for v in vectors)
    assert norm.momentum is not None
    of_batch = norm.training or mean is None
    y = F.batch_norm(x, mean, variance, weight, bias, of_batch, norm.momentum, norm.eps)
    if norm.training and norm.running_mean is not None and norm.running_var is not None:
        assert mean is not None and variance is not None
        norm.running_mean.index_copy_(0, nodes, mean)
        norm.running_var.index_copy_(0, nodes, variance)
    return y


class ThinBatchNorm1d(_ThinNorm, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` of the channels that stay; `thin_` makes it."""


class ThinBatchNorm2d(_ThinNorm, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` of the channels that stay; `thin_` makes it."""


class ThinBatchNorm3d(_ThinNorm, nn.BatchNorm3d):
    """`torch.nn.BatchNorm3d` of the channels that stay; `thin_` makes it."""


_THIN: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: ThinLinear,
    nn.Conv1d: ThinConv1d,
    nn.Conv2d: ThinConv2d,
    nn.Conv3d: ThinConv3d,
    nn.BatchNorm1d: ThinBatchNorm1d,
    nn.BatchNorm2d: ThinBatchNorm2d,
    nn.BatchNorm3d: ThinBatchNorm3d,
}


def made_thin(layer: nn.Module) -> ThinLayer:
    """Change a layer's class to the thin one; object, parameters and hooks are the same."""
    if type(layer) in _THIN:
        layer.__class__ = _THIN[type(layer)]
    return cast(ThinLayer, layer)
