"""Operations that bring two tensors together."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._operation import Apply, Made, Values, dim_of, divisor, operation


def _partner(draw: Random, values: Values, fits: Callable[[Tensor], bool]) -> int | None:
    """One of the values that fits the first; the first itself only where no other does."""
    found = [place for place, value in enumerate(values) if place and fits(value)]
    return draw.choice(found) if found else (0 if fits(values[0]) and draw.random() < 0.3 else None)


def _together(function: Callable[..., Any], place: int | None) -> Made:
    return None if place is None else (Apply(function), (0, place))


@operation
def residual(draw: Random, values: Values) -> Made:
    return _together(torch.add, _partner(draw, values, lambda v: v.shape == values[0].shape))


@operation
def meeting(draw: Random, values: Values) -> Made:
    """Elements of two tensors, broadcast where they may."""

    def fits(v: Tensor) -> bool:
        try:
            return math.prod(torch.broadcast_shapes(v.shape, values[0].shape)) <= 2048
        except RuntimeError:
            return False

    function = draw.choice(
        (
            *(torch.add, torch.sub, torch.mul, torch.mul, torch.maximum, torch.minimum),
            lambda a, b: a * b.sigmoid(),
            lambda a, b: a / (1 + b.square()),
            lambda a, b: torch.where(a > 0, a, b),
            lambda a, b: torch.where(b > 0, a, 0.0),
            lambda a, b: torch.add(a, b, alpha=0.5),
            lambda a, b: a * (b > 0),
            lambda a, b: torch.hypot(a, b + 1),
        )
    )
    return _together(function, _partner(draw, values, fits))


@operation
def joining(draw: Random, values: Values) -> Made:
    x = values[0]
    dim = dim_of(draw, x)

    def fits(v: Tensor) -> bool:
        return v.ndim == x.ndim and all(
            a == b for d, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)) if d != dim
        )

    ways = (lambda a, b: torch.cat([a, b], dim), lambda a, b: torch.cat([b, a, b], dim))
    return _together(draw.choice(ways), _partner(draw, values, fits))


@operation
def stacking(draw: Random, values: Values) -> Made:
    dim = draw.randrange(values[0].ndim + 1)
    function = draw.choice(
        (
            lambda a, b: torch.stack([a, b], dim),
            lambda a, b: torch.stack([a, b], dim).sum(dim),
            lambda a, b: torch.stack([a, b, a], dim).mean(dim),
            lambda a, b: torch.stack([a, b], dim).amax(dim),
            lambda a, b: torch.stack([a, b], dim).flatten(max(dim - 1, 0), max(dim, 1)),
        )
    )
    return _together(function, _partner(draw, values, lambda v: v.shape == values[0].shape))


@operation
def over_pixels(draw: Random, values: Values) -> Made:
    """An image and something with one number a channel."""
    x = values[0]
    if x.ndim != 4:
        return None
    function = draw.choice(
        (
            lambda a, b: a * b[:, :, None, None],
            lambda a, b: a + b.unsqueeze(-1).unsqueeze(-1),
            lambda a, b: a * b.view(*b.shape, 1, 1).sigmoid(),
        )
    )
    return _together(function, _partner(draw, values, lambda v: v.shape == x.shape[:2]))


@operation
def multiplying(draw: Random, values: Values) -> Made:
    """A product of two activations."""
    x = values[0]
    if x.ndim not in (3, 4):
        return None
    way = draw.randrange(3)

    def fits(v: Tensor) -> bool:
        if v.ndim != x.ndim or v.shape[:-2] != x.shape[:-2]:
            return False
        return v.shape[-1] == x.shape[-1] if way == 0 else v.shape[-2] == x.shape[-1 if way == 1 else -2]

    functions = (
        lambda a, b: a @ b.transpose(-1, -2),
        torch.matmul,
        lambda a, b: a.transpose(-1, -2) @ b,
    )
    return _together(functions[way], _partner(draw, values, fits))


@operation
def attention(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim != 3:
        return None
    heads, size = draw.choice(((1, 4), (2, 2), (2, 3), (4, 2), (3, 2)))
    shared = divisor(draw, heads) if draw.random() < 0.3 else heads
    context = _partner(draw, values, lambda v: v.ndim == 3 and len(v) == len(x)) if draw.random() < 0.3 else None
    places = (0, 0) if context is None else (0, context)
    return Attention(x.shape[-1], values[places[1]].shape[-1], heads, shared, size, draw.randrange(6)), places


class Attention(nn.Module):
    """Attention written by hand, in one of several ways."""

    def __init__(self, n: int, context: int, heads: int, shared: int, size: int, way: int) -> None:
        super().__init__()
        self.q, self.out = nn.Linear(n, heads * size), nn.Linear(heads * size, n)
        self.k, self.v = nn.Linear(context, shared * size), nn.Linear(context, shared * size)
        self.size, self.way, self.groups = size, way, heads // shared

    def split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.size).transpose(1, 2)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.split(self.q(x)), self.split(self.k(context)), self.split(self.v(context))
        if self.groups > 1:
            k, v = k.repeat_interleave(self.groups, 1), v.repeat_interleave(self.groups, 1)
        if self.way < 2:
            y = F.scaled_dot_product_attention(q, k, v, scale=None if self.way else 0.5)
        elif self.way == 2:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] == k.shape[2])
        elif self.way == 3:
            y = torch.einsum("bhqk,bhkd->bhqd", torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1), v)
        else:
            scores = q @ k.transpose(-1, -2) * self.size**-0.5
            y = (scores.softmax(-1) if self.way == 4 else scores) @ v
        return self.out(y.transpose(1, 2).flatten(2))


@operation
def fused(draw: Random, values: Values) -> Made:
    """Queries, keys and values in one layer, the heads in one of the orders that are in use."""
    x = values[0]
    return (
        (Fused(x.shape[-1], draw.choice((2, 3)), draw.choice((2, 3)), draw.randrange(4)), (0,)) if x.ndim == 3 else None
    )


class Fused(nn.Module):
    def __init__(self, n: int, heads: int, size: int, way: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(n, 3 * heads * size, bias=way != 1), nn.Linear(heads * size, n)
        self.heads, self.size, self.way = heads, size, way

    def forward(self, x: Tensor) -> Tensor:
        b, t = x.shape[:2]
        if self.way == 0:
            q, k, v = self.qkv(x).reshape(b, t, 3, -1, self.size).permute(2, 0, 3, 1, 4).unbind(0)
        elif self.way == 1:
            q, k, v = self.qkv(x).view(b, t, -1, 3 * self.size).transpose(1, 2).chunk(3, -1)
        elif self.way == 2:
            q, k, v = (part.view(b, t, -1, self.size).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        else:
            q, k, v = self.qkv(x).unflatten(-1, (3, -1, self.size)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / self.size**0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, -1))
