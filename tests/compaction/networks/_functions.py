"""Functions of one tensor that keep its shape, or reduce it."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from ._operation import Made, Values, alone, dim_of, operation

_FUNCTIONS = (
    *(torch.relu, torch.tanh, F.gelu, F.silu, torch.sigmoid, torch.cos, torch.sin, F.softplus, F.elu, torch.abs),
    *(torch.square, F.hardswish, F.hardsigmoid, F.relu6, F.leaky_relu, F.softsign, torch.erf, torch.atan, torch.neg),
    *(F.logsigmoid, F.mish, F.selu, F.softshrink, F.hardshrink, F.tanhshrink, torch.sign),
    lambda x: torch.exp(-x.square()),
    lambda x: x + 1,
    lambda x: 2 - x,
    lambda x: 3 * x,
    lambda x: x / 2,
    lambda x: 1 / (1 + x.square()),
    lambda x: x.clamp(min=0.1),
    lambda x: x.clamp(-0.5, 0.5),
    lambda x: torch.where(x > 0, x, 0.1 * x),
    lambda x: torch.where(x > 0, x, 1.0),
    lambda x: x.masked_fill(x < 0, 0.3),
    lambda x: x * (x > 0),
    lambda x: torch.log1p(x.abs()),
    lambda x: x * 0 + 1,
    lambda x: x * torch.ones_like(x),
    lambda x: x + torch.full_like(x, 0.5),
    lambda x: torch.maximum(x, torch.zeros_like(x)),
    lambda x: torch.addcmul(x, x, torch.tanh(x), value=0.5),
    lambda x: torch.lerp(x, x.tanh(), 0.3),
    lambda x: x - x.detach() * 0.5,
    lambda x: F.dropout(x, 0.5, training=False),
)


@operation
def activation(draw: Random, values: Values) -> Made:
    return alone(draw.choice(_FUNCTIONS))


@operation
def common(draw: Random, values: Values) -> Made:
    """Those that most networks have."""
    return alone(draw.choice((torch.relu, F.gelu, torch.tanh, torch.sigmoid)))


@operation
def reduction(draw: Random, values: Values) -> Made:
    x = values[0]
    dim, keep = dim_of(draw, x), draw.random() < 0.5
    if x.ndim < 2:
        return None
    spatial = tuple(range(2, x.ndim)) if x.ndim > 2 and draw.random() < 0.4 else (dim,)
    reductions = (
        lambda x: x.mean(spatial, keepdim=keep),
        lambda x: x.sum(spatial, keepdim=keep),
        lambda x: x.amax(spatial, keepdim=keep),
        lambda x: x.amin(spatial, keepdim=keep),
        lambda x: x.max(dim, keepdim=keep).values,
        lambda x: x.std(spatial, correction=0, keepdim=keep),
        lambda x: x.var(spatial, correction=0, keepdim=keep),
        lambda x: x.logsumexp(spatial, keepdim=keep),
        lambda x: torch.linalg.vector_norm(x, dim=spatial, keepdim=keep),
        lambda x: x.square().mean(spatial, keepdim=keep),
        lambda x: x.prod(dim, keepdim=keep),
    )
    # a mean or a sum is what networks have most
    return alone(draw.choice((*reductions, *reductions[:2], *reductions[:2])))


@operation
def comparison(draw: Random, values: Values) -> Made:
    """Along a dimension whose elements compete or add up."""
    dim = dim_of(draw, values[0])
    return alone(
        draw.choice(
            (
                lambda x: x.softmax(dim),
                lambda x: x.log_softmax(dim),
                lambda x: x.cumsum(dim),
                lambda x: F.normalize(x, dim=dim),
                lambda x: x - x.mean(dim, keepdim=True),
                lambda x: x * torch.rsqrt(x.square().mean(dim, keepdim=True) + 1e-3),
                lambda x: x / (1 + x.abs().sum(dim, keepdim=True)),
                lambda x: x.softmax(dim) * x,
                lambda x: x.sort(dim).values,
                lambda x: x.topk(min(2, x.shape[dim]), dim).values,
                lambda x: x.tril() if x.ndim > 2 else x,
            )
        )
    )


@operation
def pooling(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim not in (3, 4) or min(x.shape[2:]) < 2:
        return None
    two = x.ndim == 4
    maximum, average = (F.max_pool2d, F.avg_pool2d) if two else (F.max_pool1d, F.avg_pool1d)
    adaptive, greatest = (
        (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)
        if two
        else (
            F.adaptive_avg_pool1d,
            F.adaptive_max_pool1d,
        )
    )
    kernel, padding = draw.choice(((2, 0), (2, 1), (1, 0)))
    size = draw.choice((1, 2))
    smooth = "bilinear" if two else "linear"

    def upsampled(x: Tensor, mode: str) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode=mode)

    pools = [
        lambda x: maximum(x, kernel, padding=padding),
        lambda x: average(x, kernel, padding=padding),
        lambda x: average(x, 2, 1, 1, count_include_pad=False),
        lambda x: adaptive(x, size),
        lambda x: greatest(x, size),
    ]
    if max(x.shape[2:]) <= 4:
        pools += [lambda x: upsampled(x, "nearest"), lambda x: upsampled(x, smooth)]
    return alone(draw.choice(pools))


@operation
def padding(draw: Random, values: Values) -> Made:
    x = values[0]
    if x.ndim < 2:
        return None
    before, after, value = draw.randrange(3), draw.randrange(2), draw.choice((0.0, 0.0, 0.7))
    back = draw.randrange(1, x.ndim)  # dimensions after the one that is padded, one less
    pads = [0, 0] * (back - 1) + [before, after]
    if x.ndim in (3, 4) and min(x.shape[2:]) > 1 and draw.random() < 0.5:
        mode = draw.choice(("reflect", "replicate", "circular"))
        return alone(lambda x: F.pad(x, (1, 0) * (x.ndim - 2), mode=mode))
    return alone(lambda x: F.pad(x, pads, value=value))
