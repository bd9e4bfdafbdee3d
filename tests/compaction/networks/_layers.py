"""Layers with parameters."""

from __future__ import annotations

import math
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._operation import Apply, Made, Values, divisor, operation, width


@operation
def linear(draw: Random, values: Values) -> Made:
    return nn.Linear(values[0].shape[-1], width(draw), bias=draw.random() < 0.8), (0,)


@operation
def mlp(draw: Random, values: Values) -> Made:
    """Two linear layers, so that there is a hidden width to lose."""
    n, hidden = values[0].shape[-1], draw.choice((4, 6, 8))
    between = draw.choice((nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid, nn.SiLU, nn.Softplus))()
    layers = [nn.Linear(n, hidden), between, nn.Linear(hidden, n, bias=draw.random() < 0.7)]
    if values[0].ndim == 2 and draw.random() < 0.3:
        layers.insert(1, nn.BatchNorm1d(hidden, affine=draw.random() < 0.8))
    return nn.Sequential(*layers), (0,)


@operation
def gated(draw: Random, values: Values) -> Made:
    return Gated(values[0].shape[-1], draw.choice((4, 6)), draw.choice((F.silu, torch.sigmoid, F.relu))), (0,)


class Gated(nn.Module):
    def __init__(self, n: int, hidden: int, function: object) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(n, hidden), nn.Linear(n, hidden), nn.Linear(hidden, n)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.function(self.gate(x)) * self.up(x))  # type: ignore[operator]


@operation
def tied(draw: Random, values: Values) -> Made:
    """One weight used both ways."""
    return Tied(values[0].shape[-1], width(draw), draw.choice((torch.relu, torch.tanh, torch.cos))), (0,)


class Tied(nn.Module):
    def __init__(self, n: int, hidden: int, function: object) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(n, hidden), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer(x)) @ self.layer.weight  # type: ignore[operator]


@operation
def product(draw: Random, values: Values) -> Made:
    """A product with a matrix that is a parameter, written in one of many ways."""
    return Product(values[0].shape[-1], width(draw), draw.randrange(5)), (0,)


class Product(nn.Module):
    def __init__(self, n: int, out: int, way: int) -> None:
        super().__init__()
        self.matrix, self.way = nn.Parameter(torch.randn(n, out) / math.sqrt(n)), way
        self.shift = nn.Parameter(torch.randn(out))

    def forward(self, x: Tensor) -> Tensor:
        if self.way == 0:
            return x @ self.matrix
        if self.way == 1:
            return torch.einsum("...i,io->...o", x, self.matrix) + self.shift
        if self.way == 2:
            return (x.unsqueeze(-1) * self.matrix).sum(-2)
        if self.way == 3:
            return torch.addmm(self.shift, x.flatten(0, -2), self.matrix).reshape(*x.shape[:-1], -1)
        return F.linear(x, self.matrix.T, self.shift)


@operation
def convolution(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim not in (3, 4):
        return None
    size, channels = min(x.shape[2:]), x.shape[1]
    kernel = draw.choice([k for k in (1, 2, 3) if k <= size])
    groups = draw.choice((1, 1, 1, channels, divisor(draw, channels)))
    out = groups * draw.choice((1, 2)) if groups > 1 else width(draw)
    padding, mode = draw.choice((0, 0, 1)), draw.choice(("zeros", "zeros", "circular", "replicate", "reflect"))
    if mode == "reflect" and size < 2:
        mode = "zeros"
    kind = nn.Conv1d if x.ndim == 3 else nn.Conv2d
    stride, bias = draw.choice((1, 1, 2)), draw.random() < 0.8
    return kind(channels, out, kernel, stride, padding, groups=groups, bias=bias, padding_mode=mode), (0,)


@operation
def transposed(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim not in (3, 4) or max(x.shape[2:]) > 6:
        return None
    groups = draw.choice((1, 1, divisor(draw, x.shape[1])))
    kind = nn.ConvTranspose1d if x.ndim == 3 else nn.ConvTranspose2d
    out = groups * draw.choice((1, 2, 3))
    return kind(x.shape[1], out, 2, draw.choice((1, 2)), groups=groups, bias=draw.random() < 0.8), (0,)


@operation
def block(draw: Random, values: Values) -> Made:
    """A convolution, a normalization and an activation, as networks have them."""
    x = values[0]
    if x.ndim != 4:
        return None
    out = draw.choice((4, 6, 8))
    norm = draw.choice(
        (nn.BatchNorm2d(out), nn.BatchNorm2d(out), nn.GroupNorm(2, out), nn.InstanceNorm2d(out, affine=True))
    )
    act = draw.choice((nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Hardswish))()
    return nn.Sequential(nn.Conv2d(x.shape[1], out, 3, padding=1, bias=draw.random() < 0.5), norm, act), (0,)


@operation
def normalization(draw: Random, values: Values) -> Made:
    x = values[0]
    n, affine = x.shape[1] if x.ndim > 1 else 1, draw.random() < 0.8
    last = list(x.shape[-draw.choice((1, 1, 2)) :]) if x.ndim > 2 else [x.shape[-1]]
    kinds = [nn.LayerNorm(last, elementwise_affine=affine), nn.RMSNorm(last, eps=1e-3, elementwise_affine=affine)]
    if x.ndim in (2, 3):
        kinds += 2 * [nn.BatchNorm1d(n, affine=affine)]
    if x.ndim == 4:
        kinds += 2 * [nn.BatchNorm2d(n, affine=affine)]
    if x.ndim >= 2:
        kinds += [nn.GroupNorm(divisor(draw, n), n, affine=affine)]
    if x.ndim in (3, 4) and math.prod(x.shape[2:]) > 1:
        kinds += [(nn.InstanceNorm1d if x.ndim == 3 else nn.InstanceNorm2d)(n, affine=affine)]
        kinds += [(nn.InstanceNorm1d if x.ndim == 3 else nn.InstanceNorm2d)(n, track_running_stats=True)]
    return draw.choice(kinds), (0,)


@operation
def scale(draw: Random, values: Values) -> Made:
    """A parameter with a length on some dimensions that multiplies or is added."""
    x = values[0]
    first = draw.randrange(1, x.ndim) if x.ndim > 1 else 0
    shape = [n if draw.random() < 0.7 else 1 for n in x.shape[first:]]
    return Scale(shape, draw.randrange(5)), (0,)


class Scale(nn.Module):
    def __init__(self, shape: list[int], way: int) -> None:
        super().__init__()
        self.factor, self.way = nn.Parameter(torch.randn(shape)), way
        self.register_buffer("mask", (torch.rand(shape) < 0.6).double())

    def forward(self, x: Tensor) -> Tensor:
        if self.way == 0:
            return x * self.factor
        if self.way == 1:
            return x + self.factor
        if self.way == 2:
            return x - self.factor.cos()
        if self.way == 3:
            return x * self.factor.sigmoid() + self.factor
        return x * self.mask + self.factor


@operation
def prelu(draw: Random, values: Values) -> Made:
    x = values[0]
    return (nn.PReLU(draw.choice((1, x.shape[1]))), (0,)) if x.ndim > 1 else None


@operation
def learned(draw: Random, values: Values) -> Made:
    """Tokens that are parameters, in front of a sequence or beside features."""
    x = values[0]
    return (Learned(x.shape, draw.randrange(1, x.ndim)), (0,)) if x.ndim > 1 else None


class Learned(nn.Module):
    def __init__(self, shape: torch.Size, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.token = nn.Parameter(torch.randn([1, *(2 if d == dim else n for d, n in enumerate(shape) if d > 0)]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.token.expand(len(x), *self.token.shape[1:]), x], self.dim)


@operation
def weighted(draw: Random, values: Values) -> Made:
    """A linear layer whose weight is worked out of others."""
    n, out = values[0].shape[-1], width(draw)
    layer = nn.Linear(n, out)
    way = draw.randrange(3)
    if way == 0:
        return nn.utils.parametrizations.weight_norm(layer), (0,)
    return (Masked(layer), (0,)) if way == 1 else (LowRank(n, out, draw.choice((2, 3, 4))), (0,))


class Masked(nn.Module):
    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("mask", (torch.rand(layer.weight.shape) < 0.7).double())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.layer.weight * self.mask, self.layer.bias)


class LowRank(nn.Module):
    """A layer with an update of low rank beside it."""

    def __init__(self, n: int, out: int, rank: int) -> None:
        super().__init__()
        self.base, self.down, self.up = nn.Linear(n, out), nn.Linear(n, rank, bias=False), nn.Linear(rank, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + 0.5 * self.up(self.down(x))


@operation
def excitation(draw: Random, values: Values) -> Made:
    """Channels weighted by what all of their pixels say."""
    x = values[0]
    return (Excitation(x.shape[1], draw.choice((2, 4))), (0,)) if x.ndim == 4 else None


class Excitation(nn.Module):
    def __init__(self, n: int, hidden: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(n, hidden), nn.Linear(hidden, n)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.up(F.relu(self.down(x.mean((2, 3))))).sigmoid()
        return x * gate[:, :, None, None]


@operation
def twice(draw: Random, values: Values) -> Made:
    """One layer applied again to its own output."""
    n = values[0].shape[-1]
    layer, function = nn.Linear(n, n), draw.choice((torch.relu, torch.sigmoid, torch.sin))
    return nn.Sequential(layer, Apply(function), layer), (0,)
